"""The GPUs: which waiting attempt each one gets, and which models it holds."""

from __future__ import annotations

from batch.schedule.board import Board, memory_code
from batch.schedule.demand import Wish
from batch.schedule.ledger import larger, total
from batch.schedule.model import Step, Worker


def threads_beside_gpu(board: Board, step: Step) -> int:
    """CPU threads of an attempt on a GPU: what it asks for, but it leaves one to the CPU stages."""
    budget = board.snapshot.budget
    share = max(1, (budget.cpu_threads - 1) // max(1, len(budget.vram_bytes)))
    return max(1, min(step.need.cpu_threads, share))


def start_on_gpus(board: Board) -> None:
    """Give each free GPU the first request in rank whose model it holds.

    Affinity comes from the rank being asked of warm workers only: a model stays for as long as
    there is work for it.
    """
    for wish in board.demand.wishes:
        if wish.step.gpu and not board.served(wish):
            serve_on_gpu(board, wish)


def serve_on_gpu(board: Board, wish: Wish) -> None:
    """Start the request where it can run at once, or say why it waits."""
    if board.ledger.running >= board.snapshot.max_workers:
        board.wait(wish, "turn")
        return
    free = _free_gpus(board, wish.step)
    if not free:
        board.wait(wish, "gpu")
        return
    threads = threads_beside_gpu(board, wish.step)
    if threads > board.ledger.free_threads:
        board.keep_threads = True
        board.wait(wish, "threads")
        return
    short = ""
    for device, worker in _places(board, wish.step, free):
        need = board.need(wish.step, device, threads, worker)
        # A warm request may end the models of others, as it keeps the GPU busy. A cold one not.
        short = board.room(need, device, own=worker, force=worker is not None)
        if not short:
            board.start(wish, worker, device, need)
            return
        board.wait(wish, memory_code(short))
        if board.force:
            board.close(device, short_of_ram=True)
        if board.force or short == "evicting":
            return
    if not short:
        board.wait(wish, "model")


def _places(board: Board, step: Step, free: list[str]) -> list[tuple[str, Worker | None]]:
    """The free GPUs where the step could run, with the worker that would run it."""
    if step.key is None:
        return [(device, None) for device in free]
    return [(device, worker) for device in free for worker in board.idle_of(step.key, device)]


def load_for_one(board: Board, wish: Wish) -> None:
    """Load the model of this one request, at the cost of any that is idle."""
    if wish.step.key is None or board.present(wish.step):
        return
    if board.ledger.free_threads < 1:
        board.keep_threads = True
        board.wait(wish, "threads")
        return
    limit = board.snapshot.limits.leases_per_gpu
    homes = _homes(board, wish.step)
    devices = sorted(homes, key=lambda one: board.ledger.on_device[one] >= limit)
    short = board.room(board.held(wish.step, devices[0]), devices[0])
    if short:
        board.wait(wish, memory_code(short))
        board.close(devices[0], short_of_ram=True)
    else:
        board.launch(wish.step, devices[0], threads_beside_gpu(board, wish.step))


def load_on_gpus(board: Board) -> None:
    """Load the models that requests wait for."""
    for device in _by_free_memory(board):
        _load_waiting(board, device)


def load_ahead_on_gpus(board: Board) -> None:
    """Load what open files will need, where it fits beside what is there."""
    if board.snapshot.holding or board.keep_threads:
        return
    for step in board.demand.steps.values():
        if step.gpu and not board.present(step):
            _load_ahead(board, step)
    if board.rounds.gpu_look_ahead_s:
        return  # room for a second copy is room for another model
    for step in board.demand.steps.values():
        while step.gpu and board.present(step) < len(board.ledger.vram):
            if not (board.pays(step, board.present(step) + 1) and _load_ahead(board, step)):
                break


def _load_ahead(board: Board, step: Step) -> bool:
    """Load the model on the first GPU that lacks it and has room; tell whether there is one."""
    for device in _homes(board, step):
        absent = not board.present(step, device)
        if board.making_room(device) or board.closed(device):
            continue
        if absent and board.ledger.free_threads > 0 and _fits_beside(board, step, device):
            board.launch(step, device, threads_beside_gpu(board, step))
            return True
    return False


def _load_waiting(board: Board, device: str) -> None:
    """Load what is waited for on ``device``; end models there when its own work runs out."""
    if board.making_room(device) or board.closed(device):
        return
    demand = board.demand
    work_left = _warm_work(board, device)
    wanted = sorted(
        (step for key, step in demand.steps.items() if step.gpu and key in demand.waiting_s),
        key=lambda step: -demand.waiting_s[step.key or ""],
    )
    for step in wanted:
        assert step.key is not None
        if board.ledger.free_threads < 1:
            board.keep_threads = True
            return
        if board.present(step, device) or device not in board.ledger.homes(step.need):
            continue
        copies = board.present(step)
        if copies and (work_left > step.load_s or not board.pays(step, copies + 1)):
            continue
        if _fits_beside(board, step, device):
            board.launch(step, device, threads_beside_gpu(board, step))
        elif work_left <= step.load_s and not board.loading(device):
            # Room to run, not to idle only: else its first attempt would chase the others away.
            need = larger(board.need(step, device, 0), board.held(step, device))
            if not board.room(need, device):
                board.launch(step, device, threads_beside_gpu(board, step))
            return


def _fits_beside(board: Board, step: Step, device: str) -> bool:
    """Whether the model fits with all others, and leaves room for any of them to run."""
    held, spare = board.held(step, device), board.rounds.activation
    if board.ledger.short_of(held, device):
        return False
    running = board.ledger.above_held(device)
    return not board.ledger.short_of(total([held, spare]), device, running)


def _warm_work(board: Board, device: str) -> float:
    """Seconds of work that ``device`` can do with the models it has, or is loading.

    Work that files bring soon counts: to change models before it is done would cost two changes.
    """
    snapshot = board.snapshot
    seconds = sum(
        max(0.0, lease.expected_end - snapshot.now)
        for lease in snapshot.leases
        if lease.device == device
    )
    for work in (board.demand.waiting_s, board.demand.soon_s):
        for key, work_s in work.items():
            step = board.demand.steps[key]
            if board.present(step, device):
                seconds += work_s / board.present(step)
    return seconds


def _free_gpus(board: Board, step: Step) -> list[str]:
    limit = board.snapshot.limits.leases_per_gpu
    return [device for device in _homes(board, step) if board.ledger.on_device[device] < limit]


def _homes(board: Board, step: Step) -> list[str]:
    """The GPUs where the step can run, that with most free memory first."""
    homes = board.ledger.homes(step.need)
    return [device for device in _by_free_memory(board) if device in homes]


def _by_free_memory(board: Board) -> list[str]:
    ledger = board.ledger
    return sorted(ledger.vram, key=lambda device: -ledger.free_vram(device))
