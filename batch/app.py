"""One run of the batch, from discovery to the exit code. The flow is :func:`run_batch`."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import trio

from batch.admission import Thresholds
from batch.candidates import Candidates
from batch.decide import Policy
from batch.dispatch import Dispatcher, Rules
from batch.events import (
    Event,
    FileFinished,
    Observer,
    RunFinished,
    RunWarning,
    Throttled,
    ThrottleEnded,
)
from batch.filejob import FileRunner
from batch.gate import FIRST_SAMPLE_SECONDS, Gate
from batch.history import History
from batch.leases import Machine
from batch.listing import DirectoryListing
from batch.load import Counters, Gpus, LoadSampler
from batch.machine import most_open_files
from batch.measures import Measures
from batch.places import Place
from batch.queue import Queue
from batch.scan import Places, Scan
from batch.schedule.model import Limits
from batch.schedule.order import Policy as Order
from batch.state import State
from batch.status import NAME as STATUS
from batch.status import keep_status
from batch.stop import Stop
from batch.storage import Storage
from batch.streak import Streak
from batch.timeline import NAME as TIMELINE
from batch.timeline import Timeline
from batch.wake import Wake
from batch.workers import READY, Pool, Worker, cold_warning
from orchestrator.contract.errors import ErrorClass, ErrorInfo, ExitCode, Failure
from orchestrator.contract.paths import WorkFolder
from orchestrator.launcher import Orders, job_argv
from orchestrator.prepare import JobMaker, Recipe
from orchestrator.prober import Prober, open_prober

HISTORY_SECONDS = 60.0

_EXIT_CODES = {
    ErrorClass.STORAGE: ExitCode.RESUMABLE,
    ErrorClass.ENVIRONMENT: ExitCode.PREFLIGHT,
}


class Bus:
    """Hands events to the observers, one at a time, whichever thread they come from.

    The end of the run is the last event: a walk that hung on a lost disk may still wake up later.
    """

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = tuple(observers)
        self._lock = threading.Lock()
        self._ended = False
        self.failed = self.interrupted = False

    def emit(self, event: Event) -> None:
        with self._lock:
            if self._ended:
                return
            self._ended = isinstance(event, RunFinished)
            if isinstance(event, FileFinished):
                self.failed = self.failed or event.status == "failed"
                self.interrupted = self.interrupted or event.status == "interrupted"
            for observer in self._observers:
                observer.handle(event)


@dataclass(frozen=True, slots=True)
class Plan:
    """All that one run needs to know. ``limit``: at most so many files are worked on.

    ``gpus`` maps the devices of ``machine`` to their indices. ``resident``: stages run in workers
    that stay; otherwise each attempt has a process of its own. ``load_since``: the machine's load
    is known from then on.
    """

    run_id: str
    recipe: Recipe
    policy: Policy
    places: Places
    work: WorkFolder
    user: str
    probe_python: Path
    probe_stage: Path
    thresholds: Thresholds
    machine: Machine
    max_workers: int
    drain_seconds: float
    storage_wait_seconds: float = 0.0
    limit: int | None = None
    dry_run: bool = False
    gpus: Mapping[str, int] = field(default_factory=dict)
    order: Order = "fifo"
    priority: Callable[[str], float] = lambda path: 0.0
    resident: bool = True
    limits: Limits = Limits()
    job_argv: Callable[[Path], list[str]] = job_argv
    load_since: Counters | None = None


async def run_batch(
    plan: Plan, listings: Iterable[DirectoryListing], state: State, bus: Bus
) -> ExitCode:
    """Work through the library; returns when every file is done, skipped, failed or stopped.

    However it ends, no process of it is left and the same command goes on where it was.
    """
    orders = Orders()
    stop = Stop(orders, plan.drain_seconds, bus.emit)
    run: _Run | None = None
    with trio.CancelScope() as everything:
        async with (
            open_prober(plan.probe_python, plan.probe_stage, plan.work.root, plan.run_id) as prober,
            trio.open_nursery() as background,
        ):
            background.start_soon(stop.watch_signals, everything)
            background.start_soon(stop.watch_deadline)
            history = History(await trio.to_thread.run_sync(state.history))
            places = await trio.to_thread.run_sync(_places_of, plan, abandon_on_cancel=True)
            run = _Run(plan, state, bus, orders, stop, prober, history, places)
            await (run.look_only(listings) if plan.dry_run else run.work_through(listings))
            background.cancel_scope.cancel()
    code = _exit_code(stop, bus)
    not_begun = 0 if run is None or plan.dry_run else run.not_begun
    bus.emit(RunFinished(code, stop.error, not_begun))
    return code


class _Run:
    """What the parts of one run share, and how they are put together."""

    def __init__(
        self,
        plan: Plan,
        state: State,
        bus: Bus,
        orders: Orders,
        stop: Stop,
        prober: Prober,
        history: History,
        places: Sequence[Place],
    ) -> None:
        self._plan = plan
        self._state = state
        self._bus = bus
        self._orders = orders
        self._stop = stop
        self._history = history
        self._measures = Measures(
            plan.recipe.stages, plan.machine, plan.recipe.device, history, plan.resident
        )
        threads = max(1, plan.machine.threads // plan.max_workers)
        self._wake = Wake()
        self._queue = Queue(plan.order)
        self._streak = Streak()
        self._gate: Gate | None = None
        self._told_unsaved = False
        self._storage = Storage(
            places,
            plan.storage_wait_seconds,
            self._hold,
            lambda error: _stop_for(stop, error),
            stop.requested,
        )
        self._runner = FileRunner(
            plan.recipe,
            JobMaker(plan.work, plan.user),
            state,
            orders,
            plan.run_id,
            self._storage,
            plan.job_argv,
        )
        self._candidates = Candidates(
            Scan(
                plan.places,
                plan.policy,
                state,
                self._emit,
                comes_back=lambda error: trio.from_thread.run(self._storage.comes_back, error),
                look_only=plan.dry_run,
            ),
            plan.policy,
            state,
            prober,
            self._emit,
            self._runner.begin,
            self._queue,
            plan.limit,
            plan.priority,
            lambda audio_seconds: self._measures.expected_seconds(audio_seconds, threads),
            self._wake.set,
            comes_back=self._storage.comes_back,
        )

    async def look_only(self, listings: Iterable[DirectoryListing]) -> None:
        """Say what would be done."""
        await self._storage.lost()  # the first look
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_cancel_on, self._stop.requested, nursery.cancel_scope)
            nursery.start_soon(self._storage.watch)
            await self._look(listings)
            nursery.cancel_scope.cancel()

    async def work_through(self, listings: Iterable[DirectoryListing]) -> None:
        """Look, and work on what is found; returns when all processes have ended."""
        plan = self._plan
        folder = plan.work.runs / plan.run_id
        timeline = Timeline(folder / TIMELINE)
        await self._storage.lost()  # the first look

        def tell(event: Event) -> None:
            if isinstance(event, Throttled):
                timeline.hold(event.reason)
            elif isinstance(event, ThrottleEnded):
                timeline.hold("")
            self._bus.emit(event)

        async with trio.open_nursery() as residents, trio.open_nursery() as tasks:
            sampler = LoadSampler(Gpus(plan.gpus).read, plan.work.root, plan.load_since)
            gate = self._gate = Gate(
                plan.thresholds,
                sampler,
                tell,
                self._wake.set,
                lambda load: timeline.sample(load, dispatcher.counts),
                first_after=max(0.0, FIRST_SAMPLE_SECONDS - sampler.elapsed),
            )

            def note_worker(worker: Worker, what: str) -> None:
                timeline.worker(worker, what)
                if what == READY:
                    self._measures.loaded(worker.kind.key, worker.last_used - worker.launched)

            def note_cold(worker: Worker) -> None:
                self._emit(cold_warning(worker))

            pool = Pool(
                folder / "workers", plan.run_id, residents, self._wake.set, note_worker, note_cold
            )
            dispatcher = Dispatcher(
                Rules(
                    plan.machine,
                    plan.max_workers,
                    replace(plan.limits, most_open=most_open_files()),
                ),
                self._queue,
                self._candidates,
                self._runner,
                pool,
                gate,
                self._measures,
                timeline,
                self._state,
                self._emit,
                self._orders,
                self._stop.requested,
                self._wake,
                self._note_error,
                lambda error: _stop_for(self._stop, error),
            )
            timeline.begin(
                run_id=plan.run_id,
                threads=plan.machine.threads,
                ram_bytes=plan.machine.ram_bytes,
                vram_bytes=dict(plan.machine.vram_bytes),
            )
            tasks.start_soon(self._look, listings)
            tasks.start_soon(self._keep_history)
            tasks.start_soon(keep_status, folder / STATUS, plan.run_id, dispatcher.status)
            tasks.start_soon(gate.watch)
            tasks.start_soon(self._storage.watch)
            tasks.start_soon(pool.watch)
            try:
                await dispatcher.run()
            finally:
                tasks.cancel_scope.cancel()
                pool.close()
        await trio.to_thread.run_sync(timeline.end)
        await self._save_history()

    async def _keep_history(self) -> None:
        """Write down now and then what was learnt, so that a crash does not cost all of it."""
        while True:
            await trio.sleep(HISTORY_SECONDS)
            await self._save_history()

    async def _save_history(self) -> None:
        changes = self._history.take_changes()
        if not changes:
            return
        try:
            await trio.to_thread.run_sync(self._state.save_history, changes)
        except Failure as failure:
            if failure.info.code == "state_damaged":  # it is to be made anew
                _stop_for(self._stop, failure.info)
            elif not self._told_unsaved:  # what is not saved is learnt again
                self._told_unsaved = True
                self._emit(RunWarning("history_not_saved", failure.info.message))

    async def _look(self, listings: Iterable[DirectoryListing]) -> None:
        try:
            await self._candidates.survey(listings)
        except* Failure as failures:
            _stop_for(self._stop, _first(failures))
        finally:
            self._queue.complete = True
            self._wake.set()

    @property
    def not_begun(self) -> int:
        """How many files are waiting for their turn."""
        return len(self._queue)

    def _emit(self, event: Event) -> None:
        self._bus.emit(event)
        if isinstance(event, FileFinished):
            broken = self._streak.note(event)
            if broken is not None:
                _stop_for(self._stop, broken)

    def _hold(self, reason: str) -> None:
        if self._gate is not None:
            self._gate.shut(reason)

    def _note_error(self, error: ErrorInfo) -> None:
        if error.code == "work_folder_error":  # every further file would fail the same way
            _stop_for(self._stop, error)


def _places_of(plan: Plan) -> tuple[Place, ...]:
    """The folders whose loss ends the run. Asks the disks: call it in a thread."""
    library, output = plan.places.input_root, plan.places.output_root
    places = [
        Place("the library", library, written=output is None and not plan.dry_run),
        Place("the work folder", str(plan.work.root), written=not plan.dry_run),
    ]
    if output is not None:
        while not os.path.isdir(output) and output != os.path.dirname(output):
            output = os.path.dirname(output)
        places.append(Place("the output folder", output, written=not plan.dry_run))
    return tuple(places)


def _stop_for(stop: Stop, error: ErrorInfo) -> None:
    stop.drain(error.message, _EXIT_CODES.get(error.error_class, ExitCode.INTERNAL), error)


def _first(failures: BaseExceptionGroup[Failure]) -> ErrorInfo:
    error: BaseException = failures
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, Failure)
    return error.info


def _exit_code(stop: Stop, bus: Bus) -> ExitCode:
    if stop.exit_code is not None:
        return stop.exit_code
    if bus.interrupted:  # whatever the reason was, something is left to be done
        return ExitCode.RESUMABLE
    return ExitCode.SOME_FAILED if bus.failed else ExitCode.OK


async def _cancel_on(event: trio.Event, scope: trio.CancelScope) -> None:
    await event.wait()
    scope.cancel()
