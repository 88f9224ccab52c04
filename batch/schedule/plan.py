"""The scheduler: what to do now, and why the rest waits."""

from __future__ import annotations

from batch.schedule.board import Board
from batch.schedule.cpu import end_oversized, load_ahead_on_cpu, start_on_cpu
from batch.schedule.first import hold_back, serve_first, serve_stuck
from batch.schedule.gpu import load_ahead_on_gpus, load_on_gpus, start_on_gpus
from batch.schedule.model import Decision, Reason, Snapshot
from batch.schedule.opening import open_files, park_files, release_idle
from batch.schedule.words import words_for


def schedule(snapshot: Snapshot) -> tuple[Decision, ...]:
    """What to do now, in the order in which to do it.

    Call it after every event: a file came into the queue, a job asked, an attempt or a worker
    ended, a worker became idle, the load changed; and from time to time, for what depends on the
    clock alone. All decisions of one answer hold together; carry them out, then take a new
    snapshot. The same snapshot gives the same answer.

    What is decided never reserves more than the budget, or than what is available where that was
    measured. docs/scheduling.md explains the rules.

    Raises:
        ValueError: a step wants a GPU, and the budget has none.
    """
    return tuple(_decide(snapshot).decisions)


def explain(snapshot: Snapshot) -> tuple[Reason, ...]:
    """Why each file that waits does so, after all that :func:`schedule` decides is done.

    One for each waiting request that is not started, and one for the next file of the queue.
    """
    board = _decide(snapshot)
    return tuple(
        Reason(file, code, words_for(board, file, code, detail))
        for file, (code, detail) in board.waits.items()
    )


def _decide(snapshot: Snapshot) -> Board:
    """The rules, in the order in which they may take from the machine."""
    board = Board(snapshot)
    end_oversized(board)
    hold_back(board)
    serve_first(board)
    start_on_gpus(board)
    load_on_gpus(board)
    start_on_cpu(board)
    serve_stuck(board)
    load_ahead_on_gpus(board)
    load_ahead_on_cpu(board)
    park_files(board)
    open_files(board)
    release_idle(board)
    return board
