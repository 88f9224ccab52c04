"""The CPU: which waiting attempts run there, and with how many threads."""

from __future__ import annotations

from batch.schedule.board import Board, memory_code
from batch.schedule.demand import Wish
from batch.schedule.model import CPU, Step, Worker
from batch.schedule.share import threads_speed


def start_on_cpu(board: Board) -> None:
    """Start what the places, threads and memory allow, in rank; load what is missing."""
    places = board.snapshot.max_workers - _places_for_gpus(board)
    for wish in board.demand.wishes:
        if not wish.step.gpu and not board.served(wish):
            serve_on_cpu(board, wish, places)


def serve_on_cpu(board: Board, wish: Wish, places: int) -> None:
    """Start the request, or load a worker for it, or say why it waits."""
    if board.ledger.running >= places:
        board.wait(wish, "turn")
    elif board.keep_threads or board.ledger.free_threads < 1:
        _wait_for_threads(board, wish)
    elif board.share.waits(wish.step, board.ledger.free_threads):
        board.keep_threads = True
        board.wait(wish, "threads")
    elif wish.step.key is None:
        _start_cold(board, wish)
    else:
        _start_warm(board, wish, wish.step.key)


def end_oversized(board: Board) -> None:
    """End idle workers that were loaded with more threads than an attempt may have by now."""
    share = board.share
    elastic = {key for key, step in board.demand.steps.items() if step.elastic}
    for worker in list(board.idle):
        if worker.key in elastic and worker.threads > share.usual and share.rest_s is None:
            board.evict(worker, "as it has more threads than an attempt may have")


def _places_for_gpus(board: Board) -> int:
    """Places kept for requests whose model is being loaded on a free GPU."""
    return sum(
        1
        for worker in board.snapshot.workers
        if worker.state == "starting"
        and worker.key in board.demand.waiting_s
        and board.ledger.on_device.get(worker.device) == 0
    )


def _start_warm(board: Board, wish: Wish, key: str) -> None:
    """Run the request on an idle worker of its key, or see to it that there will be one."""
    threads = _threads_now(board, wish.step)
    enough = threads <= board.ledger.free_threads
    waited = board.snapshot.now - wish.file.since
    worker = _at_hand(board, wish.step, threads)
    if board.share.is_long(wish.step) and board.claim(key):
        _wait_for_model(board, wish)
    elif worker is not None and not (
        enough
        and _worth_more_threads(wish.step, worker.threads, threads)
        and not board.ledger.short_of(board.held(wish.step, CPU), CPU)
    ):
        _start(board, wish, worker, worker.threads)
    elif board.claim(key):
        _wait_for_model(board, wish)
    elif not enough:
        _wait_for_threads(board, wish)
    elif worker is None and not _worth_another(board, wish.step, key, threads, waited):
        board.wait(wish, "worker")
    else:
        _load_for(board, wish, key, threads)


def _at_hand(board: Board, step: Step, threads: int) -> Worker | None:
    """The idle worker for the step that has most of ``threads``.

    Among the last files one with more is used as well, the least above: it was not ended then.
    """
    most = board.ledger.free_threads
    if not (step.elastic and board.share.rest_s is not None):
        most = min(threads, most)
    fitting = [one for one in board.idle_of(step.key or "", CPU) if one.threads <= most]
    return max(
        fitting,
        key=lambda one: (one.threads <= threads, -abs(threads - one.threads), one.last_used),
        default=None,
    )


def _start_cold(board: Board, wish: Wish) -> None:
    threads = _threads_now(board, wish.step)
    if threads > board.ledger.free_threads:
        _wait_for_threads(board, wish)
    else:
        _start(board, wish, None, threads)


def _start(board: Board, wish: Wish, worker: Worker | None, threads: int) -> None:
    need = board.need(wish.step, CPU, threads, worker)
    short = board.room(need, CPU, own=worker)
    if short:
        board.wait(wish, memory_code(short))
    else:
        board.start(wish, worker, CPU, need)


def _load_for(board: Board, wish: Wish, key: str, threads: int) -> None:
    short = board.room(board.held(wish.step, CPU), CPU)
    if short:
        board.wait(wish, memory_code(short))
    else:
        board.launch(wish.step, CPU, threads)
        board.claim(key)
        _wait_for_model(board, wish)


def _wait_for_model(board: Board, wish: Wish) -> None:
    board.wait(wish, "model")
    board.keep_threads = board.keep_threads or board.share.is_long(wish.step)


def _wait_for_threads(board: Board, wish: Wish) -> None:
    board.wait(wish, "threads")
    board.keep_threads = board.keep_threads or board.force


def load_ahead_on_cpu(board: Board) -> None:
    """Load what files will ask for next, with threads and memory that nobody asks for.

    No further ahead: loading would take threads from the attempt that runs before. Of a model as
    many as can work at once and make up for their loading.
    """
    if board.snapshot.holding or board.keep_threads or board.making_room(CPU) or board.closed(CPU):
        return
    for key, step in board.demand.steps.items():
        if step.gpu or key not in board.demand.soon_s:
            continue
        threads = _threads(board, step)
        while _worth_loading(board, step, key, threads):
            board.launch(step, CPU, threads)


def _threads(board: Board, step: Step) -> int:
    """What an attempt gets: an elastic one its share, any other what it asks for."""
    if step.elastic:
        return board.share.of(step)
    return max(1, min(step.need.cpu_threads, board.snapshot.budget.cpu_threads))


def _threads_now(board: Board, step: Step) -> int:
    """Where threads are shared out among the last, one that need not wait takes those there are."""
    threads = _threads(board, step)
    last = step.elastic and board.share.rest_s is not None
    return min(threads, board.ledger.free_threads) if last else threads


def _worth_more_threads(step: Step, has: int, wanted: int) -> bool:
    """Whether loading once more, with more threads, ends sooner than the worker at hand."""
    if not step.elastic or has >= wanted:
        return False
    slower, faster = (step.run_s / threads_speed(threads) for threads in (has, wanted))
    return step.load_s + faster < 0.9 * slower


def _worth_loading(board: Board, step: Step, key: str, threads: int) -> bool:
    """Whether to load a worker, the first or one more of a model, before it is asked for."""
    free = board.ledger.free_threads >= 1
    more = step.elastic and _worth_another(board, step, key, threads)
    if not free or (board.present(step) and not more):
        return False
    return not board.ledger.short_of(board.held(step, CPU), CPU)


def _worth_another(board: Board, step: Step, key: str, threads: int, waited: float = 0.0) -> bool:
    """Whether one more worker pays: the first always does, more than can work at once never.

    Whoever has ``waited`` for as long as loading takes was told too little of what the others take;
    but where one is being loaded, that is waited for first.
    """
    there = board.present(step)
    budget = board.snapshot.budget
    fitting = budget.ram_bytes // max(1, step.need.ram_bytes)
    at_once = min(board.snapshot.max_workers, budget.cpu_threads // threads, fitting)
    long = waited > step.load_s and not board.coming(key)
    return not there or (there < at_once and (long or board.pays(step, there + 1)))
