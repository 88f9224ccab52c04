"""Why a file waits, in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from batch.schedule.board import Board
from batch.schedule.model import CPU, Need, Step

_WORDS = {
    "turn": "waits for its turn: {}",
    "gpu": "waits for the GPU: {}",
    "gpu_memory": "waits for GPU memory: {}",
    "memory": "waits for memory: {}",
    "making_room": "waits for memory that an idle worker is giving back",
    "threads": "waits for CPU threads: {}",
    "model": "waits for its model: {}",
    "worker": "waits for its worker: {} is busy with another file",
    "held_back": "held back: {}",
    "congested": "not started yet: files that are begun have waited too long already",
    "look_ahead": "not started yet: {} files are begun, that is enough to keep busy",
    "descriptors": "not started yet: {} files are begun, and the system allows no more pipes",
    "disk": "not started yet: the files that are begun may fill the disk",
}
CODES = frozenset(_WORDS)

_KEPT = ", and the rest is kept for a file that goes first"


def words_for(board: Board, file: str, code: str, detail: str) -> str:
    """The sentence of ``code`` for ``file``, with the figures of the moment."""
    step = next((one.steps[0] for one in board.snapshot.files if one.file == file), None)
    figures = _FIGURES.get(code)
    return _WORDS[code].format(detail if figures is None else figures(board, step))


def _turn(board: Board, step: Step | None) -> str:
    running, places = board.ledger.running, board.snapshot.max_workers
    kept = ", and a place is kept for a file whose model is being loaded"
    return f"{running} of {places} files are being worked on{kept if running < places else ''}"


def _gpu(board: Board, step: Step | None) -> str:
    busy = [f"{one.file} on {one.device}" for one in board.snapshot.leases if one.device != CPU]
    return ", ".join(busy) or "it is kept free for a file that has waited long"


def _threads(board: Board, step: Step | None) -> str:
    used, threads = board.ledger.threads, board.ledger.budget.cpu_threads
    few = _KEPT if board.keep_threads else f", and {_stage(board, step)} takes more than the rest"
    if step is not None and board.share.waits(step, threads - used):
        few = ", and it would end last: with more of them it ends sooner"
    return f"{used} of {threads} are in use{few if used < threads else ''}"


def _model(board: Board, step: Step | None) -> str:
    if step is None or step.key is None:
        return ""
    states = {worker.state for worker in board.workers.get(step.key, ())}
    if "starting" in states or any(one.key == step.key for one in board.launched):
        return f"{step.stage} is being loaded"
    if "busy" in states:
        return f"{step.stage} is busy with another file"
    return f"{step.stage} is loaded when those before it have had their turn"


def _ram(board: Board, step: Step | None) -> str:
    ledger = board.ledger
    said = f"{ledger.ram / 1e9:.1f} of {ledger.budget.ram_bytes / 1e9:.1f} GB are reserved"
    left = ledger.budget.ram_available
    if left is not None and left < ledger.budget.ram_bytes:
        return f"{said}, and other programs leave {left / 1e9:.1f} GB"
    if step is None:
        return said
    need = Need(0, board.need(step, CPU, 0).ram_bytes)
    return said if ledger.short_of(need, CPU) else said + _KEPT


def _vram(board: Board, step: Step | None) -> str:
    """How much of each GPU is taken and by whom, and what other programs leave of it."""
    ledger = board.ledger
    said = []
    for device, size in ledger.budget.vram_bytes.items():
        left = ledger.budget.vram_available.get(device, size)
        others = f" (other programs leave {left / 1e9:.1f} GB)" if left < size else ""
        said.append(f"{ledger.vram[device] / 1e9:.1f} of {size / 1e9:.1f} GB of {device}{others}")
    holders = ", ".join(_holders(board))
    words = ", ".join(said) + " reserved" + (f" ({holders})" if holders else "")
    fits = step is not None and any(
        ledger.short_of(board.need(step, device, 0), device) != "vram"
        for device in ledger.homes(step.need)
    )
    return words + _KEPT if fits else words


def _stage(board: Board, step: Step | None) -> str:
    return step.stage if step is not None else ""


def _open_files(board: Board, step: Step | None) -> str:
    return str(len(board.snapshot.files))


def _holders(board: Board) -> list[str]:
    """Who holds GPU memory, and how much."""
    return [
        f"{worker.key} {worker.held.vram_bytes / 1e9:.1f} GB"
        for worker in board.snapshot.workers
        if worker.device != CPU
    ]


_FIGURES: Mapping[str, Callable[[Board, Step | None], str]] = {
    "turn": _turn,
    "gpu": _gpu,
    "gpu_memory": _vram,
    "memory": _ram,
    "threads": _threads,
    "model": _model,
    "worker": _stage,
    "look_ahead": _open_files,
    "descriptors": _open_files,
}
