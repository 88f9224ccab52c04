"""What the scheduler is told and what it answers: plain values, seconds and bytes.

Times are seconds of one monotonic clock, memory is in bytes, threads are CPU threads. Devices are
named ``cpu``, ``cuda:0``, ``cuda:1``, ``mps``. On a device that shares the machine's memory (Apple)
a step states its memory as RAM alone and the device's budget of VRAM is 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

CPU = "cpu"

MADE_ROOM = "to make room"
"""Why most workers are ended: what they hold is for another."""


@dataclass(frozen=True, slots=True)
class Need:
    """What is reserved. A need larger than the budget is cut to it: such an attempt runs alone."""

    cpu_threads: int = 0
    ram_bytes: int = 0
    vram_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Budget:
    """What the batch may use of the machine.

    ``vram_bytes`` has one entry for each GPU that may be used, and none without a GPU.
    ``ram_available`` and ``vram_available`` are the second gate, measured now: what is free *plus*
    what the processes of this batch use already, so that a reservation which is not filled yet is
    not given away twice. None or a missing device: not measured. ``disk_bytes`` is measured the
    same way (free, plus what the open files have written); None: not limited.
    """

    cpu_threads: int
    ram_bytes: int
    vram_bytes: Mapping[str, int] = field(default_factory=dict)
    ram_available: int | None = None
    vram_available: Mapping[str, int] = field(default_factory=dict)
    disk_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One stage of one file, and what it is expected to take.

    ``key`` names the workers that can serve it: the same stage, model and load settings (without
    device and threads). None: it runs in a fresh process each time. ``need`` is reserved while it
    runs, its model included; ``held`` is what a worker keeps between two attempts (its
    ``cpu_threads`` are not counted). ``run_s`` is the expected time without loading, ``load_s``
    that from the start of a process to its first attempt, both from the history of this machine.

    ``elastic``: a model that computes on the CPU, and takes whatever threads it is given;
    ``run_s`` is then that of one thread and ``need.cpu_threads`` is not used.
    """

    stage: str
    need: Need
    run_s: float
    key: str | None = None
    held: Need = Need()
    load_s: float = 0.0
    gpu: bool = False
    elastic: bool = False


@dataclass(frozen=True, slots=True)
class QueuedFile:
    """A file that is not open: its job process is not started, or has parked.

    ``order`` is its place in the queue (see :func:`batch.schedule.order.order_key`), ``steps`` what
    is still to be run in this order, ``disk_bytes`` what its artefacts take until it is done.
    """

    file: str
    order: tuple[float, ...]
    steps: tuple[Step, ...]
    disk_bytes: int = 0


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A file with a job process.

    ``steps`` is what is still to be run, beginning with the step that runs, is asked for, or will
    be asked for next. ``request`` is the id of the request that waits for an answer; None while the
    job prepares, or an attempt of it runs (then one of the snapshot's leases names the file).
    ``since`` is when it began to wait. ``begun``: an attempt of it has run since it was opened.
    """

    file: str
    order: tuple[float, ...]
    steps: tuple[Step, ...]
    request: str | None
    since: float
    begun: bool = False
    disk_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Lease:
    """An attempt that runs, and what is reserved for it until it ends or dies.

    ``worker`` is the id of the warm worker that runs it; None: it runs in a fresh process.
    ``need`` is as the :class:`Start` stated it. ``expected_end`` may lie in the past.
    """

    request: str
    file: str
    worker: str | None
    device: str
    need: Need
    expected_end: float


@dataclass(frozen=True, slots=True)
class Worker:
    """A resident process, listed from its :class:`Launch` until its memory is free again.

    ``starting``: it loads, since ``last_used``. ``ending``: it was evicted, or is to be recycled,
    and still has its memory. ``held`` is what it keeps in any state but ``busy`` (then the lease of
    its attempt counts), corrected by what was measured; ``threads`` what it was launched with;
    ``last_used`` when its last attempt ended, or when it was launched.
    """

    id: str
    key: str
    device: str
    state: Literal["starting", "idle", "busy", "ending"]
    held: Need
    threads: int
    last_used: float


@dataclass(frozen=True, slots=True)
class Limits:
    """The scheduler's constants, where a user may have set them.

    ``idle_release_s``: a worker that nobody has needed for so long is ended; None: never.
    ``patience_s``: a request that has waited so long goes before all others.
    ``park_after_s``: a file that has waited so long is parked where more than ``max_workers`` are
    open. ``look_ahead_rounds``: work for so many rounds of loading each model is kept open where
    the models do not all fit. ``leases_per_gpu``: attempts at once on one GPU. ``most_open``: so
    many files the system lets us have open, by the pipes of their jobs; None: any number.
    """

    idle_release_s: float | None = 600.0
    patience_s: float = 1800.0
    park_after_s: float = 5400.0
    look_ahead_rounds: float = 20.0
    leases_per_gpu: int = 1
    most_open: int | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that a decision depends on.

    ``files`` are those with a job process, ``queue`` the next ones in their order (some dozens are
    enough, however large the library), ``more`` tells that discovery is still going on. ``holding``
    is the reason in words why the load of other programs keeps new work from starting, or empty.
    """

    now: float
    budget: Budget
    max_workers: int
    files: tuple[OpenFile, ...] = ()
    leases: tuple[Lease, ...] = ()
    workers: tuple[Worker, ...] = ()
    queue: tuple[QueuedFile, ...] = ()
    more: bool = False
    holding: str = ""
    limits: Limits = Limits()


@dataclass(frozen=True, slots=True)
class Start:
    """Answer the request: run it on ``worker``, or in a fresh process (None).

    ``need`` is the lease to book, ``need.cpu_threads`` what the attempt is granted.
    """

    request: str
    file: str
    worker: str | None
    device: str
    need: Need


@dataclass(frozen=True, slots=True)
class Launch:
    """Start a resident worker for ``key``; when it is idle it is given its first attempt.

    ``held`` is to be booked from now on. What it is loaded with is known from any step of the key.
    """

    key: str
    device: str
    threads: int
    held: Need


@dataclass(frozen=True, slots=True)
class Evict:
    """End this idle worker, which is ``ending`` from now on.

    What it makes room for is decided by a later call, when its memory is free. ``why`` is for the
    record of the run.
    """

    worker: str
    why: str = MADE_ROOM


@dataclass(frozen=True, slots=True)
class Open:
    """Start (or go on with) the job of this file."""

    file: str


@dataclass(frozen=True, slots=True)
class Park:
    """Tell the job of this waiting file to end as ``parked``; the file goes back to the queue."""

    file: str
    request: str


Decision = Start | Launch | Evict | Open | Park


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a file waits: a stable ``code`` (listed in docs/scheduling.md) and words for people."""

    file: str
    code: str
    words: str
