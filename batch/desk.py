"""One open file: what its job says becomes events, requests for the scheduler, ends of leases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from batch.events import (
    Event,
    FileStarted,
    FileWarning,
    StageProgress,
    StagesPlanned,
)
from batch.gate import Gate
from batch.queue import Waiting
from batch.schedule.model import Need, OpenFile, Step
from orchestrator.contract.errors import ErrorInfo
from orchestrator.contract.exchange import StageWarning
from orchestrator.contract.messages import (
    Drain,
    Finished,
    Grant,
    Message,
    Progress,
    Release,
    Request,
    Started,
    Warning,
)
from orchestrator.contract.paths import JobFolder
from orchestrator.outbox import Outbox


@dataclass(frozen=True, slots=True)
class Asked:
    """A request of the job that waits for an answer; ``id`` is unique in the run."""

    id: str
    stage: str
    attempt: str
    since: float
    fresh: bool
    load: Mapping[str, Any]


@dataclass(slots=True)
class Running:
    """The attempt that has leave to run. ``told`` is what its worker said of it at the end."""

    asked: Asked
    step: Step
    need: Need
    device: str
    worker: str | None
    granted: float
    began: float | None = None
    told: Finished | None = None


class Host(Protocol):
    """Who decides: the dispatcher."""

    def now(self) -> float: ...
    def emit(self, event: Event) -> None: ...
    def asked(self, desk: Desk) -> None: ...
    def began(self, desk: Desk, running: Running) -> None: ...
    def released(self, desk: Desk, running: Running) -> None: ...


@dataclass(slots=True, eq=False)
class Desk:
    """The state of an open file.

    ``told``: the user has heard that it is worked on. ``left`` are the stages still to be run, the
    one that runs or is asked for first. ``begun``: a stage of it has run, or may run although new
    work is held back. ``written``: what takes most of its place on the disk is there. ``view`` is
    what the scheduler was shown of it last, None where that has changed.
    """

    waiting: Waiting
    number: int
    host: Host
    left: tuple[str, ...]
    opened: float
    disk_bytes: int = 0
    folder: JobFolder | None = None
    job_id: str = ""
    begun: bool = False
    parked: bool = False
    asked: Asked | None = None
    running: Running | None = None
    error: ErrorInfo | None = None
    written: bool = False
    view: OpenFile | None = None
    told: bool = False
    _planned: tuple[str, ...] = ()
    outbox: Outbox = field(default_factory=Outbox)

    @property
    def path(self) -> str:
        return self.waiting.path

    def handle(self, message: Message) -> None:
        """Take up a message of the job."""
        match message:
            case Progress() | Warning():
                self.show(message)
            case Request(stage, attempt):
                self._request(message)
            case Release(stage, attempt):
                self._release(stage, attempt)
            case Started("", facts):
                self._plan(tuple(facts.get("stages", ())))
            case Started(stage, facts):
                self.host.emit(StageProgress(self.path, stage, 0.0, None, ""))
                self._begin(str(facts.get("attempt", "")))
            case Finished("", False, dict(error)):
                self.error = ErrorInfo.from_json(error)
            case _:
                pass

    def show(self, message: Message) -> None:
        """Let the user see what a stage says, whichever process it runs in."""
        match message:
            case Progress(stage, done, total, unit):
                self.host.emit(StageProgress(self.path, stage, done, total, unit))
            case Warning(stage, code, text):
                self.host.emit(FileWarning(self.path, stage, StageWarning(code, text)))
            case _:
                pass

    def grant(self, running: Running, rung: int) -> None:
        """Answer the request that waits."""
        asked, self.asked, self.running, self.view = self.asked, None, running, None
        assert asked is not None
        self.tell_started()
        self.say(
            Grant(
                asked.stage,
                asked.attempt,
                running.need.cpu_threads,
                running.device,
                running.worker is not None,
                rung,
            )
        )

    def park(self) -> None:
        """Let the job end; the file will go on from its manifest."""
        self.parked, self.asked, self.view = True, None, None
        self.say(Drain())

    def say(self, message: Message) -> None:
        """Send to the job. One that is gone, or listens no more, is told nothing."""
        self.outbox.say(message)

    def tell_started(self) -> None:
        """The user hears of a file when it is worked on, not when it is merely ready for it."""
        if self.told:
            return
        self.told = True
        self.host.emit(FileStarted(self.path, self.job_id))
        if self._planned:
            self.host.emit(StagesPlanned(self.path, self._planned))

    def close(self) -> None:
        self.outbox.close()

    def _plan(self, stages: tuple[str, ...]) -> None:
        self._planned = self.left = stages
        self.view = None
        if self.told:
            self.host.emit(StagesPlanned(self.path, stages))

    def _request(self, message: Request) -> None:
        if message.stage not in self.left:  # tried again after it had been released
            self.left = (message.stage, *self.left)
        self.left = self.left[self.left.index(message.stage) :]
        self.asked = Asked(
            f"{self.number}/{message.attempt}",
            message.stage,
            message.attempt,
            self.host.now(),
            message.fresh,
            message.need.get("load") or {},
        )
        self.view = None
        self.host.asked(self)

    def _begin(self, attempt: str) -> None:
        if self.running is not None and self.running.asked.attempt == attempt:
            self.running.began = self.host.now()
            self.host.began(self, self.running)

    def _release(self, stage: str, attempt: str) -> None:
        running = self.running
        if running is None or running.asked.attempt != attempt:
            return
        self.running, self.view, self.begun = None, None, True
        self.left = tuple(name for name in self.left if name != stage)
        self.host.released(self, running)


def let_one_through(gate: Gate, desks: Iterable[Desk], now: float) -> None:
    """In a busy while, let the file begin whose turn it is, one that asks before others.

    Where all that are open have begun, the queue's first is opened instead (see the dispatcher).
    """
    held_back = [desk for desk in desks if not (desk.begun or desk.parked)]
    if held_back and gate.lets_one_through(now):
        one = min(held_back, key=lambda desk: (desk.asked is None, desk.waiting.order))
        one.begun, one.view = True, None
        gate.passed(now)
