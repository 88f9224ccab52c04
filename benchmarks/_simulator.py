"""A simulated machine that does what :func:`batch.schedule.schedule` says: discrete events.

It is deterministic: the same library, machine and seed give the same run. What the scheduler is
told are expected times; what really happens differs from them at random, as it does at night.
Loading overlaps with computing and slows nothing down; a warm worker computes at full speed.
"""

from __future__ import annotations

import heapq
import random
from bisect import insort
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count

from batch.schedule.model import (
    CPU,
    Budget,
    Evict,
    Launch,
    Lease,
    Limits,
    Need,
    Open,
    OpenFile,
    Park,
    QueuedFile,
    Snapshot,
    Start,
    Step,
    Worker,
)
from batch.schedule.plan import schedule
from batch.schedule.share import threads_speed

JOB_START_S = 0.12
"""From opening a file to its first request."""
BETWEEN_STAGES_S = 0.005
WORKER_END_S = 0.3
"""From evicting a worker until its memory is free."""
TICK_S = 1.0
PATIENCE_TICKS = 2000
"""While nothing happens the scheduler is asked every second, for what depends on the clock."""
QUEUE_SHOWN = 64
JOB_BYTES = 16 << 20


class Broken(AssertionError):
    """A rule was broken: over budget, more files than places, stuck, or somebody starved."""


@dataclass(frozen=True, slots=True)
class Bar:
    """Something that took time on a lane of the timeline; ``kind``: ``run`` or ``load``."""

    lane: str
    begin: float
    end: float
    kind: str
    stage: str
    file: str


@dataclass(slots=True)
class Outcome:
    """What a run came to; times in seconds from its beginning."""

    makespan: float = 0.0
    first_file: float = 0.0
    loads: int = 0
    evictions: int = 0
    parked: int = 0
    decisions: int = 0
    most_open: int = 0
    longest_wait: float = 0.0
    bars: list[Bar] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Surprises:
    """What the scheduler is not told beforehand.

    ``needs``: what a stage turns out to need and to hold, known when an attempt of it has ended.
    ``deaths``: of the attempts on workers so many (0 to 1) end the worker, half of them in vain:
    those are tried again in a process of their own. ``available``: what other programs leave of
    GPUs after the first minute.
    """

    needs: Mapping[str, tuple[Need, Need]] = field(default_factory=dict)
    deaths: float = 0.0
    available: Mapping[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Job:
    file: QueuedFile
    steps: tuple[Step, ...]
    since: float
    request: str | None = None
    begun: bool = False


class Simulation:
    """Runs ``files`` to their end on one machine."""

    def __init__(
        self,
        files: Iterable[QueuedFile],
        budget: Budget,
        max_workers: int,
        *,
        limits: Limits = Limits(),
        noise: float = 0.0,
        seed: int = 0,
        surprises: Surprises = Surprises(),
        keep_bars: bool = False,
        holding: Callable[[float], str] = lambda now: "",
        decide: Callable[[Snapshot], Iterable[object]] = schedule,
    ) -> None:
        self.now = 0.0
        self.outcome = Outcome()
        self._budget = budget
        self._max_workers = max_workers
        self._limits = limits
        self._noise = noise
        self._seed = seed
        self._surprises = surprises
        self._measured: set[str] = set()
        self._keep_bars = keep_bars
        self._holding = holding
        self._decide = decide
        self._files = sorted(files, key=lambda file: file.order)
        self._queue = list(self._files)
        self._total = len(self._queue)
        self._steps = {step.key: step for file in self._queue for step in file.steps if step.key}
        self._most_decisions = 1000 + 50 * sum(len(file.steps) for file in self._files)
        self._jobs: dict[str, _Job] = {}
        self._leases: dict[str, Lease] = {}
        self._workers: dict[str, Worker] = {}
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._ids = count()
        self._done = 0
        self._whole = {
            "threads": budget.cpu_threads,
            "RAM": budget.ram_bytes,
            **budget.vram_bytes,
        }
        self._allowed = dict(self._whole)

    def run(self) -> Outcome:
        """Raises: Broken."""
        idle = 0
        self._act()
        while not self.finished:
            if self._events:
                idle = 0
                self.now = self._events[0][0]
                while self._events and self._events[0][0] <= self.now:
                    heapq.heappop(self._events)[2]()
            elif (idle := idle + 1) > PATIENCE_TICKS:
                raise Broken(f"stuck at {self.now:.1f} s: {self.snapshot()}")
            else:
                self.now += TICK_S
            self._act()
        self.outcome.makespan = self.now
        return self.outcome

    def snapshot(self) -> Snapshot:
        return Snapshot(
            now=self.now,
            budget=replace(
                self._budget, vram_available=self._surprises.available if self.now > 60.0 else {}
            ),
            max_workers=self._max_workers,
            files=tuple(
                OpenFile(
                    name,
                    job.file.order,
                    job.steps,
                    job.request,
                    job.since,
                    job.begun,
                    job.file.disk_bytes,
                )
                for name, job in self._jobs.items()
            ),
            leases=tuple(self._leases.values()),
            workers=tuple(self._workers.values()),
            queue=tuple(self._queue[:QUEUE_SHOWN]),
            more=len(self._queue) > QUEUE_SHOWN,
            holding=self._holding(self.now),
            limits=self._limits,
        )

    def _at(self, seconds: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now + seconds, next(self._ids), event))

    def _luck(self, *what: object) -> float:
        """By how much reality differs from what is expected; 1 on average."""
        if not self._noise:
            return 1.0
        return self._dice(*what).lognormvariate(-(self._noise**2) / 2, self._noise)

    def _dice(self, *what: object) -> random.Random:
        return random.Random(f"{self._seed} {what}")

    @property
    def finished(self) -> bool:
        return self._done == self._total

    def really(self) -> list[QueuedFile]:
        """The files with the times that their steps really take."""
        return [
            replace(
                file,
                steps=tuple(
                    replace(step, run_s=step.run_s * self._luck(file.file, step.stage))
                    for step in file.steps
                ),
            )
            for file in self._files
        ]

    def _act(self) -> None:
        for decision in self._decide(self.snapshot()):
            self.outcome.decisions += 1
            if self.outcome.decisions > self._most_decisions:
                raise Broken(f"goes round in circles at {self.now:.1f} s: {self.snapshot()}")
            match decision:
                case Start():
                    self._start(decision)
                case Launch(key, device, threads, held):
                    self._launch(key, device, threads, held)
                case Evict(worker):
                    self._evict(worker)
                case Open(file):
                    self._open(file)
                case Park(file, _):
                    self._park(file)
                case _:
                    raise Broken(f"not a decision: {decision}")
        self._check()

    def _open(self, name: str) -> None:
        file = next(file for file in self._queue if file.file == name)
        self._queue.remove(file)
        self._jobs[name] = _Job(file, file.steps, self.now)
        self.outcome.most_open = max(self.outcome.most_open, len(self._jobs))
        if len(self._jobs) == 1:
            self._allow()  # the first one is opened in any case
        self._at(JOB_START_S, partial(self._ask, name))

    def _ask(self, name: str) -> None:
        job = self._jobs[name]
        job.request, job.since = f"r{next(self._ids)}", self.now
        job.steps = tuple(self._as_measured(step) for step in job.steps)

    def _as_measured(self, step: Step) -> Step:
        if step.stage not in self._measured or step.stage not in self._surprises.needs:
            return step
        need, held = self._surprises.needs[step.stage]
        return replace(step, need=need, held=held)

    def _park(self, name: str) -> None:
        job = self._jobs.pop(name)
        if job.request is None or job.request in self._leases:
            raise Broken(f"{name} was parked while it was not waiting")
        self.outcome.parked += 1
        insort(self._queue, replace(job.file, steps=job.steps), key=lambda file: file.order)

    def _start(self, start: Start) -> None:
        job = self._jobs[start.file]
        step = job.steps[0]
        if job.request != start.request or start.request in self._leases:
            raise Broken(f"{start} answers no waiting request")
        if start.worker is not None:
            worker = self._workers[start.worker]
            if worker.state != "idle" or worker.key != step.key or worker.device != start.device:
                raise Broken(f"{start} on {worker}")
            self._workers[worker.id] = replace(worker, state="busy")
        if (start.device == CPU) == step.gpu:
            raise Broken(f"{start}: {step.stage} does not belong there")
        self.outcome.longest_wait = max(self.outcome.longest_wait, self.now - job.since)
        expected = step.run_s + (step.load_s if start.worker is None else 0.0)
        if step.elastic:
            expected /= threads_speed(start.need.cpu_threads)
        really = expected * self._luck(start.file, step.stage)
        self._leases[start.request] = Lease(
            start.request, start.file, start.worker, start.device, start.need, self.now + expected
        )
        job.begun = True
        job.request = None
        self._bar(start.device, really, "run", step.stage, start.file)
        self._begin_attempt(start, really)

    def _begin_attempt(self, start: Start, seconds: float) -> None:
        self._at(seconds, partial(self._ended, start))

    def _ended(self, start: Start) -> None:
        del self._leases[start.request]
        job = self._jobs[start.file]
        dice = self._dice("dies", start.request).random() / (self._surprises.deaths or 1e-9)
        if start.worker is not None:
            self._left_by(start.worker, job.steps[0], dice)
        if start.worker is not None and dice < 0.5:
            job.steps = (replace(job.steps[0], key=None), *job.steps[1:])
        else:
            self._measured.add(job.steps[0].stage)
            job.steps = job.steps[1:]
        if job.steps:
            self._at(BETWEEN_STAGES_S, partial(self._ask, start.file))
            return
        del self._jobs[start.file]
        self._done += 1
        self.outcome.first_file = self.outcome.first_file or self.now

    def _left_by(self, name: str, step: Step, dice: float) -> None:
        """The worker after an attempt: it is there for the next one, ends, or has died."""
        if dice < 0.5:
            del self._workers[name]
            return
        worker = replace(self._workers[name], state="idle", last_used=self.now)
        if step.stage in self._surprises.needs:
            worker = replace(worker, held=self._surprises.needs[step.stage][1])
        self._workers[name] = worker
        self._allow()
        if dice < 1.0:
            self._workers[name] = replace(self._workers[name], state="ending")
            self._begin_ending(name)

    def _launch(self, key: str, device: str, threads: int, held: Need) -> None:
        name = f"w{next(self._ids)}"
        self._workers[name] = Worker(name, key, device, "starting", held, threads, self.now)
        self.outcome.loads += 1
        step = self._steps[key]
        self._bar(device, step.load_s, "load", step.stage, "")
        self._begin_loading(name, step.load_s)

    def _begin_loading(self, name: str, seconds: float) -> None:
        self._at(seconds, partial(self._loaded, name))

    def _loaded(self, name: str) -> None:
        self._workers[name] = replace(self._workers[name], state="idle", last_used=self.now)

    def _evict(self, name: str) -> None:
        if self._workers[name].state != "idle":
            raise Broken(f"{self._workers[name]} was evicted")
        self._workers[name] = replace(self._workers[name], state="ending")
        self.outcome.evictions += 1
        self._begin_ending(name)

    def _begin_ending(self, name: str) -> None:
        self._at(WORKER_END_S, partial(self._gone, name))

    def _gone(self, name: str) -> None:
        del self._workers[name]

    def _bar(self, device: str, seconds: float, kind: str, stage: str, file: str) -> None:
        if self._keep_bars:
            end = self.now + seconds
            self.outcome.bars.append(Bar(device, self.now, end, kind, stage, file))

    def _used(self) -> dict[str, int]:
        """What is reserved, added up again without the scheduler's own books."""
        needs = [(lease.need, lease.device) for lease in self._leases.values()]
        needs += [
            (worker.held, worker.device)
            for worker in self._workers.values()
            if worker.state != "busy"
        ]
        return {
            "threads": sum(lease.need.cpu_threads for lease in self._leases.values()),
            "RAM": sum(need.ram_bytes for need, _ in needs) + JOB_BYTES * len(self._jobs),
            **{
                device: sum(need.vram_bytes for need, where in needs if where == device)
                for device in self._budget.vram_bytes
            },
        }

    def _allow(self) -> None:
        """What is used may be so, as it came about by surprise."""
        if self._surprises.needs:
            for what, used in self._used().items():
                self._allowed[what] = max(self._allowed[what], used)

    def _check(self) -> None:
        """A worker that turned out larger than was booked may be over the budget, but then nothing
        is added to that."""
        if len(self._leases) > self._max_workers:
            raise Broken(f"{len(self._leases)} files are being worked on")
        for what, used in self._used().items():
            if used > self._allowed[what]:
                raise Broken(f"{used} of {what} are leased, of {self._allowed[what]}")
            self._allowed[what] = max(self._whole[what], used)
        for device in self._budget.vram_bytes:
            running = sum(lease.device == device for lease in self._leases.values())
            if running > self._limits.leases_per_gpu:
                raise Broken(f"{running} attempts on {device}")
