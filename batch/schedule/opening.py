"""Which files are opened, which are parked, and which workers are let go."""

from __future__ import annotations

from dataclasses import dataclass

from batch.schedule.board import Board
from batch.schedule.ledger import JOB_BYTES
from batch.schedule.model import CPU, Need, Open, Park, QueuedFile, Step

RAM_SHARE_OF_JOBS = 0.25
"""Of the RAM that the batch may use, job processes that wait take so much at most."""


@dataclass(slots=True)
class _Opened:
    """What the open files amount to; ``ahead`` of them have not passed their last model yet."""

    count: int
    ahead: int
    gpu_s: float
    cpu_s: float
    disk: int


def open_files(board: Board) -> None:
    """Open files in the queue's order until there is enough to do, or something would run short.

    Enough is twice ``max_workers`` that have a model before them, so that one which becomes free
    finds a file, also when several end together; where the models do not all fit, it is the work of
    the look-ahead.
    """
    files, rounds = board.snapshot.files, board.rounds
    opened = _Opened(
        len(files),
        sum(_has_model_ahead(file.steps) for file in files),
        sum(rounds.gpu_work(file.steps) for file in files),
        sum(rounds.cpu_work(file.steps) for file in files),
        sum(file.disk_bytes for file in files),
    )
    for file in board.snapshot.queue:
        code = _why_closed(board, file, opened)
        if code:
            board.waits[file.file] = (code, board.snapshot.holding)
            return
        board.decisions.append(Open(file.file))
        board.ledger.hold(Need(0, JOB_BYTES), CPU)
        opened.count += 1
        opened.ahead += 1
        opened.gpu_s += rounds.gpu_work(file.steps)
        opened.cpu_s += rounds.cpu_work(file.steps)
        opened.disk += file.disk_bytes


def _why_closed(board: Board, file: QueuedFile, opened: _Opened) -> str:
    """Why the file is not opened now; empty: it is."""
    snapshot = board.snapshot
    budget = snapshot.budget
    if snapshot.holding:
        return "held_back"
    if _tired(board):
        return "congested"
    if board.rounds.all_fit:
        waiting = opened.ahead if _has_model_ahead(file.steps) else opened.count
        enough = waiting >= 2 * snapshot.max_workers
    else:
        enough = not board.rounds.short_of_work(opened.gpu_s, opened.cpu_s)
    if enough and opened.count > snapshot.max_workers:
        return "look_ahead"
    # The first one is opened in any case: if it needs more than there is, its stages can say so.
    if opened.count and board.ledger.short_of(Need(0, JOB_BYTES), CPU):
        return "memory"
    if opened.count >= max(snapshot.max_workers, _most_jobs(budget.ram_bytes)):
        return "memory"
    most = snapshot.limits.most_open
    if opened.count and most is not None and opened.count >= most:
        return "descriptors"
    limited = opened.count and budget.disk_bytes is not None
    if limited and opened.disk + file.disk_bytes > (budget.disk_bytes or 0):
        return "disk"
    return ""


def _has_model_ahead(steps: tuple[Step, ...]) -> bool:
    return any(step.gpu or step.elastic for step in steps)


def _most_jobs(ram_bytes: int) -> int:
    return int(RAM_SHARE_OF_JOBS * ram_bytes / JOB_BYTES)


def _tired(board: Board) -> bool:
    """Whether a file has waited so long that opening more would only let more of them wait."""
    latest = board.snapshot.now - board.rounds.park_after_s
    return any(wish.file.since < latest for wish in board.demand.wishes)


def park_files(board: Board) -> None:
    """Park files that have waited too long, the last in rank first, but keep ``max_workers``.

    A parked job's memory is free for others; the file goes on from its manifest later.
    """
    snapshot = board.snapshot
    latest = snapshot.now - board.rounds.park_after_s
    spare = len(snapshot.files) - snapshot.max_workers
    for wish in reversed(board.demand.wishes):
        if spare <= 0:
            return
        if wish.file.since < latest and wish.file.file not in board.started:
            board.decisions.append(Park(wish.file.file, wish.request))
            board.waits.pop(wish.file.file, None)
            spare -= 1


def release_idle(board: Board) -> None:
    """End workers that nobody has needed for long: the memory is for whoever uses the machine."""
    after = board.snapshot.limits.idle_release_s
    if after is None:
        return
    for worker in list(board.idle):
        needed = board.usable(worker) and not board.snapshot.holding
        if not needed and board.snapshot.now - worker.last_used >= after:
            board.evict(worker, "as nobody has used it for long")
