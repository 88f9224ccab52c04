"""Resident stage processes: each keeps its model, and serves one attempt after another.

A worker runs ``bootstrap.py STAGE_FOLDER`` in a session of its own; it ends when its pipe does, so
it dies with us. This module knows nothing of files and jobs: it is told what to launch, what to
run and what to end, and says what came of it. Everything here runs in the Trio thread.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any

import trio

from batch.events import RunWarning
from batch.schedule.model import Need
from batch.wear import Silence, Tolerance, Wear, why_recycle
from orchestrator.child import Log
from orchestrator.contract.devices import visible_to
from orchestrator.contract.errors import ErrorInfo
from orchestrator.contract.job import JobStage
from orchestrator.contract.messages import Finished, Heartbeat, Message, Run, Started
from orchestrator.job.stageprocess import stage_argv, stage_environment
from orchestrator.launcher import EXIT_SECONDS, JobCommand, Orders, run_job_process
from orchestrator.outbox import Outbox

TICK_SECONDS = 1.0
"""How often stuck workers are looked for."""

LAUNCHES = 2
"""What could not be started so often in a row runs cold for a while."""

COLD_SECONDS = 600.0
"""Then it is tried once more: what was in the way, as full memory or a game on the GPU, may be
gone. A model takes up to a minute to load: a try in vain takes a tenth of the time at most."""

UNPREPARED_SECONDS = 30.0
"""How long it runs cold where our own folder for it could not be made, as on a full disk: that
says nothing of the worker, and what runs cold meets the same disk, and tells it."""

SCRATCH = "scratch"
LOG = "worker.log"

LAUNCHED = "launched"
READY = "ready"
END_OF_RUN = "at the end of the run"


class Phase(Enum):
    STARTING = "starting"
    IDLE = "idle"
    BUSY = "busy"
    ENDING = "ending"


@dataclass(frozen=True, slots=True)
class Kind:
    """What a worker is made of. ``load`` is what it loads before it is asked for anything,
    ``held`` what is booked for it until it says what it really takes."""

    key: str
    stage: JobStage
    device: str
    threads: int
    load: Mapping[str, Any]
    held: Need = Need()


@dataclass(frozen=True, slots=True)
class Exchange:
    """One attempt on a worker: what to run, whom to tell, and how long it may be silent."""

    attempt: Path
    on_message: Callable[[Message], None]
    on_finished: Callable[[Finished], None]
    stall_seconds: float


@dataclass(slots=True, eq=False)
class Worker:
    """A resident process. ``rss_bytes`` is what it said last, after loading or an attempt.

    ``owner`` is the request that it is reserved for; it may be reserved for the next one before
    the job of the last one has said that it is done with it.
    """

    id: str
    kind: Kind
    launched: float
    last_used: float
    outbox: Outbox = field(default_factory=Outbox)
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    phase: Phase = Phase.STARTING
    wear: Wear = Wear()
    rss_bytes: int | None = None
    vram_bytes: int | None = None
    prepared: bool = False
    ready: bool = False
    owner: str | None = None
    exchange: Exchange | None = None
    silence: Silence | None = None
    ending: str = ""


class Pool:
    """All workers of a run. ``changed`` is called whenever one starts, gets free or has ended.

    ``on_cold`` is told once of each kind that could not be started, with the worker that failed.
    """

    def __init__(
        self,
        folder: Path,
        run_id: str,
        nursery: trio.Nursery,
        changed: Callable[[], None],
        on_event: Callable[[Worker, str], None] = lambda worker, what: None,
        on_cold: Callable[[Worker], None] = lambda worker: None,
        tolerance: Tolerance = Tolerance(),
        clock: Callable[[], float] = trio.current_time,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._folder = folder
        self._run_id = run_id
        self._nursery = nursery
        self._changed = changed
        self._on_event = on_event
        self._on_cold = on_cold
        self._tolerance = tolerance
        self._clock = clock
        self._environ = os.environ if environ is None else environ
        self._launched = 0
        self._failures: dict[str, int] = {}
        self._cold_until: dict[str, float] = {}
        self._told_cold: set[str] = set()
        self.workers: dict[str, Worker] = {}

    def is_broken(self, key: str) -> bool:
        """Whether this kind of worker could not be started: its attempts are to run cold."""
        return self._clock() < self._cold_until.get(key, -math.inf)

    @property
    def broken(self) -> frozenset[str]:
        """The keys of the kinds that are."""
        return frozenset(key for key in self._cold_until if self.is_broken(key))

    def launch(self, kind: Kind) -> Worker:
        """Start a worker and let it load its model."""
        self._launched += 1
        now = self._clock()
        worker = Worker(f"worker-{self._launched}", kind, now, now)
        worker.silence = Silence(now, TICK_SECONDS)
        self.workers[worker.id] = worker
        self._nursery.start_soon(self._live, worker)
        worker.outbox.say(Run({"load": dict(kind.load)}))
        self._on_event(worker, LAUNCHED)
        return worker

    def reserve(self, worker_id: str, owner: str) -> None:
        """From now on the idle worker is for the attempt that the request ``owner`` is about."""
        worker = self.workers[worker_id]
        assert worker.phase is Phase.IDLE
        worker.phase, worker.owner = Phase.BUSY, owner

    def give_back(self, worker_id: str, owner: str) -> None:
        """``owner`` is done with the worker; an attempt of it that still runs is killed."""
        worker = self.workers.get(worker_id)
        if worker is None or worker.owner != owner:
            return
        if worker.exchange is not None:
            self.kill(worker_id, "its job is gone")
        elif worker.phase is Phase.BUSY:
            worker.phase, worker.owner, worker.last_used = Phase.IDLE, None, self._clock()
            self._changed()

    def run(self, worker_id: str, owner: str, exchange: Exchange) -> None:
        """Serve the attempt on the worker reserved for it; its end is told, however it ends."""
        worker = self.workers.get(worker_id)
        if worker is None or worker.phase is not Phase.BUSY or worker.owner != owner:
            exchange.on_finished(_died("ended before the attempt began"))
            return
        worker.exchange = exchange
        worker.silence = Silence(self._clock(), TICK_SECONDS)
        worker.outbox.say(Run({"attempt": str(exchange.attempt)}))

    def retire(self, worker_id: str, why: str) -> None:
        """End an idle worker; it is listed until it is gone and its memory is free."""
        worker = self.workers.get(worker_id)
        if worker is None or worker.phase not in (Phase.IDLE, Phase.STARTING):
            return
        self._close(worker, why)

    def kill(self, worker_id: str, why: str) -> None:
        """Kill a worker, and what it started, at once."""
        worker = self.workers.get(worker_id)
        if worker is not None:
            worker.phase, worker.ending = Phase.ENDING, worker.ending or why
            worker.scope.cancel()

    def kill_busy(self, why: str) -> None:
        """Kill every worker that serves an attempt."""
        for worker in list(self.workers.values()):
            if worker.exchange is not None:
                self.kill(worker.id, why)

    def close(self) -> None:
        """End all workers; the nursery ends when the last one has."""
        for worker_id in list(self.workers):
            self.retire(worker_id, END_OF_RUN)

    async def watch(self) -> None:
        """Kill workers that are stuck; run it in a nursery."""
        while True:
            await trio.sleep(TICK_SECONDS)
            self.look(self._clock())

    def look(self, now: float) -> None:
        """Kill the workers that have made no progress for too long."""
        for worker in list(self.workers.values()):
            limit = worker.kind.stage.stall_seconds
            if worker.exchange is not None:
                limit = worker.exchange.stall_seconds
            elif worker.phase is not Phase.STARTING:
                continue
            if worker.silence is not None and worker.silence.look(now) > limit:
                if worker.exchange is not None:
                    self._answer(worker, _stalled(worker.kind.stage.name, limit))
                self.kill(worker.id, "stuck")

    def _close(self, worker: Worker, why: str) -> None:
        worker.phase, worker.ending = Phase.ENDING, why
        worker.outbox.close()
        worker.scope.deadline = trio.current_time() + EXIT_SECONDS

    async def _live(self, worker: Worker) -> None:
        how = END_OF_RUN  # where all is cancelled
        try:
            with worker.scope:
                command = await trio.to_thread.run_sync(self._command, worker)
                worker.prepared = True
                heard = partial(self._heard, worker)
                status = await run_job_process(command, heard, Orders(), worker.outbox)
                how = f"ended with status {status}"
        except OSError as error:
            how = str(error)
        finally:
            self._gone(worker, how)
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(_tidy, self._folder / worker.id)

    def _command(self, worker: Worker) -> JobCommand:
        kind = worker.kind
        folder = self._folder / worker.id
        scratch = folder / SCRATCH
        scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
        environ = stage_environment(self._environ, kind.threads, scratch)
        environ.update(visible_to(kind.device, self._environ))
        return JobCommand(
            argv=stage_argv(kind.stage.environment.python, kind.stage.folder),
            job_id=worker.id,
            run_id=self._run_id,
            log=Log(folder / LOG),
            environ=environ,
            folder=scratch,
            may_fork=True,
        )

    def _heard(self, worker: Worker, message: Message) -> None:
        if not isinstance(message, Heartbeat) and worker.silence is not None:
            worker.silence.sign(self._clock())
        if isinstance(message, Finished):
            if worker.exchange is not None:
                self._served(worker, message)
            elif worker.phase is Phase.STARTING:
                self._loaded(worker, message)
        elif worker.exchange is not None and not isinstance(message, Started):
            worker.exchange.on_message(message)

    def _loaded(self, worker: Worker, message: Finished) -> None:
        if not message.ok:
            self._close(worker, "its model could not be loaded")
            return
        worker.rss_bytes = _bytes(message.data.get("rss_bytes"))
        worker.phase, worker.last_used = Phase.IDLE, self._clock()
        worker.ready = True
        self._failures.pop(worker.kind.key, None)
        self._cold_until.pop(worker.kind.key, None)
        self._on_event(worker, READY)
        self._changed()

    def _served(self, worker: Worker, message: Finished) -> None:
        rss = _bytes(message.data.get("rss_bytes"))
        worker.rss_bytes = rss or worker.rss_bytes
        worker.vram_bytes = _bytes(message.data.get("peak_vram_bytes")) or worker.vram_bytes
        worker.wear = worker.wear.after(rss, _bytes(message.data.get("tensor_bytes")))
        worker.last_used = self._clock()
        why = why_recycle(worker.wear, message.ok, self._tolerance)
        worker.phase, worker.owner = Phase.IDLE, None
        self._answer(worker, message)
        if why is not None:
            self._close(worker, why)
        self._changed()

    def _answer(self, worker: Worker, message: Finished) -> None:
        exchange, worker.exchange = worker.exchange, None
        if exchange is not None:
            exchange.on_finished(message)

    def _gone(self, worker: Worker, how: str) -> None:
        del self.workers[worker.id]
        worker.ending = worker.ending or how
        if not worker.ready and worker.ending != END_OF_RUN:
            self._not_started(worker)
        self._on_event(worker, worker.ending)
        self._answer(worker, _died(worker.ending))
        self._changed()

    def _not_started(self, worker: Worker) -> None:
        key, now = worker.kind.key, self._clock()
        if not worker.prepared:
            self._cold_until[key] = max(now + UNPREPARED_SECONDS, self._cold_until.get(key, now))
            return
        self._failures[key] = self._failures.get(key, 0) + 1
        if self._failures[key] >= LAUNCHES:
            self._cold_until[key] = now + COLD_SECONDS
            if key not in self._told_cold:
                self._told_cold.add(key)
                self._on_cold(worker)


def cold_warning(worker: Worker) -> RunWarning:
    """What the user is told of a kind of worker that could not be started."""
    return RunWarning(
        "stage_runs_cold",
        f"stage {worker.kind.stage.name} could not be made ready for many files: {worker.ending}. "
        "Each file starts it anew for now, which takes longer; "
        f"see workers/{worker.id}/{LOG} of the run",
    )


def _tidy(folder: Path) -> None:
    """Leave nothing of a worker but what it printed."""
    shutil.rmtree(folder / SCRATCH, ignore_errors=True)
    log = folder / LOG
    with contextlib.suppress(OSError):
        if log.stat().st_size == 0:
            log.unlink()
            folder.rmdir()


def _bytes(value: object) -> int | None:
    return int(value) if isinstance(value, int | float) else None


def _died(how: str) -> Finished:
    error = ErrorInfo(
        "worker_died",
        f"the process that ran the stage {how}",
        "Run again; if it happens again, look into the job's stage.log.",
        retryable=True,
    )
    return Finished("", False, error.to_json())


def _stalled(stage: str, seconds: float) -> Finished:
    error = ErrorInfo(
        "stage_stalled",
        f"stage {stage} made no progress for {seconds:.0f} s",
        "Run again; if it stalls again, report it with the job's stage.log.",
        retryable=True,
    )
    return Finished(stage, False, error.to_json())
