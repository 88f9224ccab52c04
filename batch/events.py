"""What happens in a run, as values. The views show them, the summary counts them.

The coordinator emits each event to every observer, in order, from its own thread; observers must
return at once and never raise for an event they do not care about.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from orchestrator.contract.errors import ErrorInfo
from orchestrator.contract.exchange import StageWarning
from orchestrator.contract.job import Published, StageAccount


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all events."""


@dataclass(frozen=True, slots=True)
class RunStarted(Event):
    """``settings`` are the choices worth showing: (key, value, reason)."""

    run_id: str
    input_dir: str
    work_dir: str
    max_workers: int
    dry_run: bool
    settings: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Discovered(Event):
    """Discovery has ended: so many media files in so many folders."""

    media: int
    folders: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Queued(Event):
    """A file will be worked on. ``audio_seconds`` None: the length is not known.

    ``expected_seconds`` is what it took this machine for such files before; None: it never did any.
    """

    path: str
    size_bytes: int
    audio_seconds: float | None
    reason: str
    expected_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class AllDecided(Event):
    """Every file has been looked into: what is queued now is all there is to do."""


@dataclass(frozen=True, slots=True)
class Skipped(Event):
    """A file needs no work; ``reason`` is a stable code, ``detail`` says it in words."""

    path: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class FileStarted(Event):
    """A stage of the file runs for the first time since it was taken from the queue."""

    path: str
    job_id: str


@dataclass(frozen=True, slots=True)
class FileParked(Event):
    """A file that was begun waits again: others go first, and it goes on from where it was."""

    path: str


@dataclass(frozen=True, slots=True)
class StagesPlanned(Event):
    """The job has planned: stages it will run, in order (reused ones are left out)."""

    path: str
    stages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StageProgress(Event):
    """``done`` of ``total`` in ``unit`` (mostly seconds of audio)."""

    path: str
    stage: str
    done: float
    total: float | None
    unit: str


@dataclass(frozen=True, slots=True)
class FileWarning(Event):
    path: str
    stage: str
    warning: StageWarning


@dataclass(frozen=True, slots=True)
class RunWarning(Event):
    """Something that is not as it should be, of no one file."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class FileFinished(Event):
    """``status``: done, failed or interrupted.

    ``earlier``: it failed in an earlier run and was not tried; ``held`` says why not, and until
    when. ``quarantined``: not before something changes. ``length_verified``: the file says how long
    its sound is, and that was compared (None: no stage looked). ``lost_seconds`` of it are missing
    in a file that is done nevertheless, or else 0; ``missing`` says when, as start and end in the
    time that a player shows.
    """

    path: str
    status: str
    job_id: str = ""
    job_folder: str = ""
    seconds: float = 0.0
    audio_seconds: float | None = None
    language: str | None = None
    stages: tuple[StageAccount, ...] = ()
    published: tuple[Published, ...] = ()
    warnings: tuple[StageWarning, ...] = ()
    error: ErrorInfo | None = None
    earlier: bool = False
    held: str = ""
    quarantined: bool = False
    length_verified: bool | None = None
    lost_seconds: float = 0.0
    missing: tuple[tuple[float, float], ...] = ()

    @property
    def partial(self) -> bool:
        """Whether it is done, and a part of its sound was not there to be worked on."""
        return self.status == "done" and self.lost_seconds > 0


@dataclass(frozen=True, slots=True)
class LoadSampled(Event):
    """Percentages of the whole machine; GPU values None where there is no GPU."""

    cpu_percent: float
    memory_percent: float
    gpu_percent: float | None = None
    vram_percent: float | None = None


@dataclass(frozen=True, slots=True)
class Throttled(Event):
    """New files are held back. ``reason`` in words, e.g. ``CPU 97 % >= 85 %``."""

    reason: str


@dataclass(frozen=True, slots=True)
class ThrottleEnded(Event):
    held_seconds: float


@dataclass(frozen=True, slots=True)
class Draining(Event):
    """No new files; those in progress may end their stage. ``reason``: a signal's name or cause."""

    reason: str
    deadline_seconds: float


@dataclass(frozen=True, slots=True)
class RunFinished(Event):
    """``not_begun``: so many files were still in the queue."""

    exit_code: int
    error: ErrorInfo | None = None
    not_begun: int = 0


class Observer(Protocol):
    def handle(self, event: Event) -> None: ...
