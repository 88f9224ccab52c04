"""Nobody starves: one request at a time goes before all rules of efficiency."""

from __future__ import annotations

from batch.schedule.board import Board
from batch.schedule.cpu import serve_on_cpu
from batch.schedule.demand import Wish
from batch.schedule.gpu import load_for_one, serve_on_gpu
from batch.schedule.model import CPU

_SHORT_OF_MEMORY = ("gpu_memory", "memory", "making_room")


def hold_back(board: Board) -> None:
    """While other programs load the machine, only files that are begun go on."""
    if board.snapshot.holding:
        for wish in board.demand.wishes:
            if not wish.file.begun:
                board.wait(wish, "held_back", board.snapshot.holding)


def serve_first(board: Board) -> None:
    """Serve the longest waiting of the urgent requests.

    It may end models that others want. What it lacks is kept for it: nobody else gets threads, or
    memory of that kind, before it has run. What runs ends some day, what is idle can be ended, and
    a need is never larger than the budget; so it does run. Then it is the next one's turn.
    """
    wish = next((one for one in board.demand.wishes if not board.served(one)), None)
    if wish is not None and wish.urgent:
        _serve(board, wish)


def serve_stuck(board: Board) -> None:
    """Where nothing moves, as each waits for what another one's idle model holds: end that."""
    if not board.stalled:
        return
    for wish in board.demand.wishes:
        if board.waits[wish.file.file][0] != "held_back":
            _serve(board, wish)
            return


def _serve(board: Board, wish: Wish) -> None:
    board.force = True
    if wish.step.gpu:
        serve_on_gpu(board, wish)
        if board.why(wish) in ("model", "gpu"):
            load_for_one(board, wish)
    else:
        serve_on_cpu(board, wish, board.snapshot.max_workers)
        if board.why(wish) in _SHORT_OF_MEMORY:
            board.close(CPU, short_of_ram=True)
    board.force = False
