"""The one task that decides what runs: it shows the scheduler how things stand, and does as told.

Whatever happens (a job asks, an attempt or a worker ends, a file is found, the load changes) only
wakes it. Its view of the world is built here, the decision is :func:`batch.schedule.schedule`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import trio

from batch.candidates import Candidates
from batch.desk import Desk, Running, let_one_through
from batch.events import Event, FileFinished, FileParked
from batch.filejob import Begun, FileRunner, Task
from batch.gate import Gate
from batch.leases import Books, Machine, budget_of, disk_bytes
from batch.measures import Measures
from batch.queue import Queue, Waiting
from batch.schedule import schedule
from batch.schedule.model import (
    Decision,
    Evict,
    Launch,
    Lease,
    Limits,
    Open,
    OpenFile,
    Park,
    QueuedFile,
    Snapshot,
    Start,
    Worker,
)
from batch.schedule.share import threads_speed
from batch.state import State
from batch.status import status_of
from batch.steps import held_by
from batch.timeline import Timeline
from batch.wake import Wake
from batch.workers import Exchange, Kind, Pool
from orchestrator.contract.errors import ErrorInfo, Failure
from orchestrator.contract.messages import Finished
from orchestrator.launcher import Orders

LOOK_SECONDS = 2.0
"""The longest time between two decisions: some depend on the clock alone."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the settings say about the run."""

    machine: Machine
    max_workers: int
    limits: Limits = Limits()


class Dispatcher:
    """Works through a queue until it is complete and empty, or ``stopping`` is set.

    ``on_error`` hears every error that a file ended with, and those of our own state.
    """

    def __init__(
        self,
        rules: Rules,
        queue: Queue,
        candidates: Candidates[Begun | ErrorInfo],
        runner: FileRunner,
        pool: Pool,
        gate: Gate,
        measures: Measures,
        timeline: Timeline,
        state: State,
        emit: Callable[[Event], None],
        orders: Orders,
        stopping: trio.Event,
        wake: Wake,
        on_error: Callable[[ErrorInfo], None],
        on_failure: Callable[[ErrorInfo], None],
        clock: Callable[[], float] = trio.current_time,
    ) -> None:
        self._rules = rules
        self._queue = queue
        self._candidates = candidates
        self._runner = runner
        self._pool = pool
        self._gate = gate
        self._measures = measures
        self._timeline = timeline
        self._state = state
        self.emit = emit
        self._orders = orders
        self._stopping = stopping
        self._on_error = on_error
        self._on_failure = on_failure
        self.now = clock
        self._books = Books()
        self._desks: dict[str, Desk] = {}
        self._opened = 0
        self._wake = wake
        self._looked = 0
        self._known: tuple[frozenset[str], int] = (frozenset(), 0)
        self._status: tuple[int, dict[str, Any]] | None = None
        self._taking: dict[str, trio.CancelScope] = {}

    async def run(self) -> None:
        """Returns when everything is done; after a stop, when what was open has ended."""
        async with trio.open_nursery() as nursery, trio.open_nursery() as watching:
            watching.start_soon(self._wake_on_stop)
            watching.start_soon(self._end_attempts_on_cancel)
            while not self._is_over:
                self._wake.clear()
                self._looked += 1
                if not self._stopping.is_set():
                    let_one_through(self._gate, self._desks.values(), self.now())
                    for decision in schedule(self.snapshot()):
                        self._carry_out(decision, nursery)
                with trio.move_on_after(LOOK_SECONDS):
                    await self._wake.wait()
            watching.cancel_scope.cancel()

    @property
    def _is_over(self) -> bool:
        nothing_left = self._queue.complete and not len(self._queue)
        return not self._desks and (nothing_left or self._stopping.is_set())

    async def _wake_on_stop(self) -> None:
        await self._stopping.wait()
        for scope in self._taking.values():
            scope.cancel()  # nothing of these files has begun, and their disk may hang
        self._wake.set()

    async def _end_attempts_on_cancel(self) -> None:
        """A job that is told to cancel cannot stop a worker: we do."""
        await self._orders.cancelling.wait()
        self._pool.kill_busy("stopped on request")

    # What the scheduler is shown

    def snapshot(self) -> Snapshot:
        """How things stand now."""
        known = (self._pool.broken, self._measures.changes)
        if self._known != known:  # what was shown of their stages holds no more
            self._known = known
            for desk in self._desks.values():
                desk.view = None
            for waiting in self._queue.front:
                waiting.view = None
        now = self.now()
        holding = self._gate.holding(now)
        # In a busy while one file is let through, with a place of its own.
        front = self._queue.front[:1] if self._gate.is_patient else self._queue.front
        written = sum(desk.disk_bytes for desk in self._desks.values() if desk.written)
        return Snapshot(
            now=now,
            budget=budget_of(self._rules.machine, self._gate.measured, written),
            max_workers=self._rules.max_workers,
            files=tuple([desk.view or self._view(desk) for desk in self._desks.values()]),
            leases=self._books.leases,
            workers=tuple(self._worker(one_id) for one_id in self._pool.workers),
            queue=tuple([waiting.view or self._queued(waiting) for waiting in front]),
            more=not self._queue.complete or len(self._queue) > len(front),
            holding=holding,
            limits=self._rules.limits,
        )

    def _view(self, desk: Desk) -> OpenFile:
        asked = desk.asked
        running = desk.running
        first = asked or (running.asked if running else None)
        steps = self._measures.steps(
            desk.left,
            desk.waiting.audio_seconds,
            fresh=first is not None and first.fresh,
            load=first.load if first is not None else {},
            broken=self._pool.is_broken,
        )
        desk.view = OpenFile(
            desk.path,
            desk.waiting.order,
            steps,
            asked.id if asked else None,
            asked.since if asked else desk.opened,
            desk.begun,
            desk.disk_bytes,
        )
        return desk.view

    def _queued(self, waiting: Waiting) -> QueuedFile:
        steps = self._measures.steps(
            self._measures.stages, waiting.audio_seconds, broken=self._pool.is_broken
        )
        waiting.view = QueuedFile(waiting.path, waiting.order, steps, _disk_bytes(waiting))
        return waiting.view

    def _worker(self, worker_id: str) -> Worker:
        worker = self._pool.workers[worker_id]
        return Worker(
            worker.id,
            worker.kind.key,
            worker.kind.device,
            worker.phase.value,
            held_by(worker.kind.held, worker.rss_bytes, worker.vram_bytes),
            worker.kind.threads,
            worker.last_used,
        )

    # What the scheduler says

    def _carry_out(self, decision: Decision, nursery: trio.Nursery) -> None:
        match decision:
            case Start():
                self._start(decision)
            case Launch(key, device, threads, held):
                profile = self._measures.profile_of(key)
                load = {**profile.load_on(device), "threads": threads}
                self._pool.launch(Kind(key, profile.stage, device, threads, load, held))
            case Evict(worker_id, why):
                self._pool.retire(worker_id, why)
            case Open(path):
                self._open(path, nursery)
            case Park(path):
                self._desks[path].park()

    def _start(self, start: Start) -> None:
        desk = self._desks[start.file]
        asked = desk.asked
        if asked is None or asked.id != start.request:
            return
        assert desk.view is not None
        step = desk.view.steps[0]
        now = self.now()
        speed = threads_speed(start.need.cpu_threads) if step.elastic else 1.0
        expected = now + step.run_s / speed + (step.load_s if start.worker is None else 0.0)
        self._books.reserve(
            Lease(start.request, start.file, start.worker, start.device, start.need, expected)
        )
        if start.worker is not None:
            self._pool.reserve(start.worker, start.request)
        running = Running(asked, step, start.need, start.device, start.worker, now)
        desk.grant(running, self._measures.rung(step.stage))

    def _open(self, path: str, nursery: trio.Nursery) -> None:
        waiting = self._queue.take(path)
        disk = _disk_bytes(waiting)
        desk = Desk(waiting, self._opened, self, self._measures.stages, self.now(), disk)
        self._opened += 1
        if self._gate.is_patient:
            desk.begun = True
            self._gate.passed(self.now())
        self._desks[path] = desk
        nursery.start_soon(self._work, desk)
        if not self._books.leases and self._lacks_worker(waiting):
            self._wake.set()  # what the job will ask for can be loaded by then

    def _lacks_worker(self, waiting: Waiting) -> bool:
        steps = (waiting.view or self._queued(waiting)).steps
        there = {worker.kind.key for worker in self._pool.workers.values()}
        return any(step.key is not None and step.key not in there for step in steps)

    async def _work(self, desk: Desk) -> None:
        """One file, from its turn to its end."""
        try:
            taken = await self._take(desk)
            if taken is not None and not self._stopping.is_set():
                await self._run(desk, *taken)
            elif taken is not None:
                self._queue.put_back(desk.waiting)  # it counts among those not begun
        except Failure as failure:
            self._on_failure(failure.info)
        finally:
            self._close(desk)

    async def _take(self, desk: Desk) -> tuple[Task, Begun | ErrorInfo] | None:
        """Decide about the file for good; None when it needs no work, or the run stops."""
        with trio.CancelScope() as scope:
            self._taking[desk.path] = scope
            return await self._candidates.take(desk.waiting.candidate)
        self._queue.put_back(desk.waiting)
        return None

    async def _run(self, desk: Desk, task: Task, begun: Begun | ErrorInfo) -> None:
        if not isinstance(begun, ErrorInfo):
            desk.folder, desk.job_id = begun.folder, begun.job.id
        finished = None
        try:
            finished = await self._runner.run(task, begun, desk)
            # For its turn, for its storage, or for another job, as its own has died.
            waits = desk.parked or finished.error is not None
            if waits and finished.status == "interrupted" and not self._stopping.is_set():
                await self._put_back(desk)
                return
            length = finished.audio_seconds or desk.waiting.audio_seconds
            self._measures.learn(length, finished.stages)
            self._tell(desk, finished)
        except Failure as failure:
            status = "interrupted" if failure.info.is_of_storage else "failed"
            self._tell(desk, FileFinished(desk.path, status, error=failure.info))
            raise
        except BaseException:  # cancelled, alone or in a group, or a bug
            self._tell(desk, FileFinished(desk.path, "interrupted"))
            raise
        finally:
            status = finished.status if finished is not None else "interrupted"
            verified = finished.length_verified if finished is not None else None
            self._timeline.file(desk, "parked" if desk.parked else status, self.now(), verified)
        if finished.error is not None:
            self._on_error(finished.error)

    def _tell(self, desk: Desk, finished: FileFinished) -> None:
        """A file of which no stage has run was merely ready: an interruption is no news of it."""
        if desk.told or finished.status != "interrupted":
            desk.tell_started()
            self.emit(finished)
        else:
            self._queue.put_back(desk.waiting)

    async def _put_back(self, desk: Desk) -> None:
        """Let the file wait again; its job is found by the record of it."""
        record = await trio.to_thread.run_sync(self._state.record, desk.path)
        view = desk.waiting.candidate.view
        if record is not None:
            view.records = {**view.records, os.path.basename(desk.path): record}
        self.emit(FileParked(desk.path))
        self._queue.put_back(desk.waiting)

    def _close(self, desk: Desk) -> None:
        """The job is gone: what it had is free, and no worker goes on with what it asked for."""
        running, desk.running = desk.running, None
        if running is not None:
            self._books.release(running.asked.id)
            if running.worker is not None:
                self._pool.give_back(running.worker, running.asked.id)
        desk.close()
        del self._desks[desk.path], self._taking[desk.path]
        self._wake.set()

    # What the jobs say (see batch.desk.Host)

    def asked(self, desk: Desk) -> None:
        self._wake.set()

    def began(self, desk: Desk, running: Running) -> None:
        """The job has prepared the attempt: a warm one can run now."""
        if running.worker is None or desk.folder is None:
            return

        def finished(message: Finished) -> None:
            running.told = message
            if message.ok and key is not None:
                self._measures.held(key, message.data.get("rss_bytes"))
            if not message.stage:
                message = Finished(running.asked.stage, message.ok, message.error, message.data)
            desk.say(message)

        stage, key = self._measures.stage(running.asked.stage), running.step.key
        exchange = Exchange(
            desk.folder.attempts / running.asked.attempt, desk.show, finished, stage.stall_seconds
        )
        self._pool.run(running.worker, running.asked.id, exchange)

    def released(self, desk: Desk, running: Running) -> None:
        self._books.release(running.asked.id)
        if running.worker is not None:
            self._pool.give_back(running.worker, running.asked.id)
        stage = self._measures.stage(running.asked.stage)
        desk.written = desk.written or any(output.large for output in stage.outputs)
        self._timeline.attempt(desk, running, self.now())
        if any(one.asked for one in self._desks.values()):
            self._wake.set()  # what its own job wants next it says by itself, or ends

    def status(self) -> dict[str, Any]:
        """What a person may ask a running batch; the same object while nothing has happened."""
        if self._status is None or self._looked != self._status[0]:
            snapshot = self.snapshot()
            self._status = self._looked, status_of(snapshot, self._desks, len(self._queue))
        return self._status[1]

    @property
    def counts(self) -> tuple[int, int, int]:
        """Attempts that run, workers that live, files that are open."""
        return len(self._books.leases), len(self._pool.workers), len(self._desks)


def _disk_bytes(waiting: Waiting) -> int:
    return disk_bytes(waiting.audio_seconds, waiting.candidate.item.size)
