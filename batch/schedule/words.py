"""Why a file waits, in words."""

from __future__ import annotations

from batch.schedule.board import Board
from batch.schedule.model import CPU

_WORDS = {
    "turn": "waits for its turn: {running} of {max_workers} files are being worked on",
    "gpu": "waits for the GPU: {running_on_gpu}",
    "gpu_memory": "waits for GPU memory: {vram}",
    "memory": "waits for memory: {ram}",
    "making_room": "waits for memory that an idle worker is giving back",
    "threads": "waits for CPU threads: all {threads} are in use",
    "model": "waits for its model: {stage} is being loaded, or busy with another file",
    "worker": "waits for its worker: {stage} is busy with another file",
    "held_back": "held back: {detail}",
    "congested": "not started yet: files that are begun have waited too long already",
    "look_ahead": "not started yet: {open} files are begun, that is enough to keep busy",
    "disk": "not started yet: the files that are begun may fill the disk",
}
CODES = frozenset(_WORDS)


def words_for(board: Board, file: str, code: str, detail: str) -> str:
    """The sentence of ``code`` for ``file``, with the figures of the moment."""
    snapshot = board.snapshot
    ledger = board.ledger
    stage = next((one.steps[0].stage for one in snapshot.files if one.file == file), "")
    holders = _holders(board)
    vram = ", ".join(
        f"{used / 1e9:.1f} of {ledger.budget.vram_bytes[device] / 1e9:.1f} GB of {device}"
        for device, used in ledger.vram.items()
    )
    held = f" ({', '.join(holders)})" if holders else ""
    ram = f"{ledger.ram / 1e9:.1f} of {ledger.budget.ram_bytes / 1e9:.1f} GB are reserved"
    busy = [f"{one.file} on {one.device}" for one in snapshot.leases if one.device != CPU]
    return _WORDS[code].format(
        running=ledger.running,
        max_workers=snapshot.max_workers,
        running_on_gpu=", ".join(busy) or "it is kept free for a file that has waited long",
        vram=f"{vram} reserved{held}",
        ram=ram,
        threads=ledger.budget.cpu_threads,
        stage=stage,
        detail=detail,
        open=len(snapshot.files),
    )


def _holders(board: Board) -> list[str]:
    """Who holds GPU memory, and how much."""
    return [
        f"{worker.key} {worker.held.vram_bytes / 1e9:.1f} GB"
        for worker in board.snapshot.workers
        if worker.device != CPU
    ]
