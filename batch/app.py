"""One run of the batch, from discovery to the exit code. The flow is :func:`run_batch`."""

from __future__ import annotations

import os
import threading
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import trio

from batch.admission import Thresholds
from batch.candidates import Candidates
from batch.decide import Policy
from batch.events import Event, FileFinished, Observer, RunFinished
from batch.filejob import Begun, FileRunner, Task
from batch.gate import Gate
from batch.listing import DirectoryListing
from batch.load import LoadSampler
from batch.pool import cancel_on, run_pool
from batch.scan import Places, Scan
from batch.state import State
from batch.stop import Stop
from orchestrator.contract.errors import ErrorClass, ErrorInfo, ExitCode, Failure
from orchestrator.contract.paths import WorkFolder
from orchestrator.launcher import Orders, job_argv
from orchestrator.prepare import JobMaker, Recipe
from orchestrator.prober import Prober, open_prober


class Bus:
    """Hands events to the observers, one at a time, whichever thread they come from.

    The end of the run is the last event: a walk that hung on a lost disk may still wake up later.
    """

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = tuple(observers)
        self._lock = threading.Lock()
        self._ended = False
        self.failed = False

    def emit(self, event: Event) -> None:
        with self._lock:
            if self._ended:
                return
            self._ended = isinstance(event, RunFinished)
            if isinstance(event, FileFinished) and event.status == "failed":
                self.failed = True
            for observer in self._observers:
                observer.handle(event)


@dataclass(frozen=True, slots=True)
class Plan:
    """All that one run needs to know. ``limit``: at most so many files are worked on."""

    run_id: str
    recipe: Recipe
    policy: Policy
    places: Places
    work: WorkFolder
    user: str
    probe_python: Path
    probe_stage: Path
    thresholds: Thresholds
    max_workers: int
    drain_seconds: float
    limit: int | None = None
    dry_run: bool = False
    gpu_load: Callable[[], tuple[float, float] | None] = lambda: None
    job_argv: Callable[[Path], list[str]] = job_argv

    @property
    def threads(self) -> int:
        """CPU threads for each job: its share of the machine."""
        return max(1, self.recipe.threads // self.max_workers)


async def run_batch(
    plan: Plan, listings: Iterable[DirectoryListing], state: State, bus: Bus
) -> ExitCode:
    """Work through the library; returns when every file is done, skipped, failed or stopped.

    However it ends, no process of it is left and the same command goes on where it was.
    """
    orders = Orders()
    stop = Stop(orders, plan.drain_seconds, bus.emit)
    with trio.CancelScope() as everything:
        async with (
            open_prober(plan.probe_python, plan.probe_stage, plan.work.root, plan.run_id) as prober,
            trio.open_nursery() as background,
        ):
            background.start_soon(stop.watch_signals, everything)
            background.start_soon(stop.watch_deadline)
            await _work_through(plan, listings, state, bus, orders, stop, prober, background)
            background.cancel_scope.cancel()
    code = _exit_code(stop, bus)
    bus.emit(RunFinished(code, stop.error))
    return code


async def _work_through(
    plan: Plan,
    listings: Iterable[DirectoryListing],
    state: State,
    bus: Bus,
    orders: Orders,
    stop: Stop,
    prober: Prober,
    background: trio.Nursery,
) -> None:
    scan = Scan(plan.places, plan.policy, state, bus.emit)
    runner = FileRunner(
        plan.recipe,
        JobMaker(plan.work, plan.user),
        state,
        orders,
        bus.emit,
        plan.run_id,
        plan.threads,
        plan.job_argv,
    )
    candidates = Candidates(scan, plan.policy, state, prober, bus.emit, runner.begin, plan.limit)

    async def look() -> None:
        try:
            await candidates.survey(listings)
        except* Failure as failures:
            _stop_for(stop, _first(failures))

    async with trio.open_nursery() as looking:
        if plan.dry_run:
            looking.start_soon(cancel_on, stop.requested, looking.cancel_scope)
            await look()
        else:
            looking.start_soon(look)
            gate = Gate(plan.thresholds, LoadSampler(plan.gpu_load), bus.emit)
            background.start_soon(gate.watch)
            work = _worker(plan, runner, bus, stop)
            try:
                await run_pool(candidates, plan.max_workers, gate.wait_open, work, stop.requested)
            except* Failure as failures:
                _stop_for(stop, _first(failures))
        looking.cancel_scope.cancel()


def _worker(
    plan: Plan, runner: FileRunner, bus: Bus, stop: Stop
) -> Callable[[tuple[Task, Begun | ErrorInfo]], Awaitable[None]]:
    async def work(begun: tuple[Task, Begun | ErrorInfo]) -> None:
        path = begun[0].item.path
        try:
            error = await runner.run(*begun)
        except Failure as failure:
            bus.emit(FileFinished(path, "failed", error=failure.info))
            _stop_for(stop, failure.info)
            return
        except BaseException:  # cancelled, alone or in a group, or a bug
            bus.emit(FileFinished(path, "interrupted"))
            raise
        if error is not None and _ends_the_run(error, plan.places.input_root):
            _stop_for(stop, error)

    return work


def _ends_the_run(error: ErrorInfo, input_root: str) -> bool:
    """Whether every further file would fail the same way."""
    if error.error_class is not ErrorClass.STORAGE:
        return False
    return error.code in ("disk_full", "work_folder_error") or not os.path.exists(input_root)


def _stop_for(stop: Stop, error: ErrorInfo) -> None:
    code = ExitCode.RESUMABLE if error.error_class is ErrorClass.STORAGE else ExitCode.INTERNAL
    stop.drain(error.message, code, error)


def _first(failures: BaseExceptionGroup[Failure]) -> ErrorInfo:
    error: BaseException = failures
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, Failure)
    return error.info


def _exit_code(stop: Stop, bus: Bus) -> ExitCode:
    if stop.exit_code is not None:
        return stop.exit_code
    return ExitCode.SOME_FAILED if bus.failed else ExitCode.OK
