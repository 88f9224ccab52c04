"""``manifest.json``: what one job is about, and what of it may be in the library."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.contract.atomic import read_json, write_json
from orchestrator.contract.clock import utc_now
from orchestrator.contract.exchange import StageWarning
from orchestrator.contract.files import FileRecord
from orchestrator.contract.job import Published
from orchestrator.contract.paths import JobFolder
from orchestrator.contract.records import Record, field, from_json, to_json

TYPE_CHECKING = False  # as typing's, whose import would cost a job 3 ms
if TYPE_CHECKING:
    from typing import Any

MANIFEST_VERSION = 1


class StageRecord(Record, frozen=False):
    """One stage in the manifest: how it was run, what it took, and what it made.

    Attributes:
        status: ``running``, ``ran``, ``reused`` or ``failed``.
        seconds: of the last attempt, of which it loaded for ``load_seconds`` and ran for
            ``run_seconds``.
        peak_rss_bytes, peak_vram_bytes: the most that it held at a time.
        environment: its name, key and the versions of its ``packages``.
        models: name, key and revision of each that was used.
        warm: it ran in a resident process.
        rung: the step of the ladder it was run at; ``rung_label`` says what that is, ``changed``
            which settings differ from what was asked for.
        tries: the attempts that failed: attempt, rung and its label, error.
    """

    status: str
    reason: str
    key: str
    attempt: str = ""
    started: str = ""
    seconds: float = 0.0
    load_seconds: float = 0.0
    run_seconds: float = 0.0
    peak_rss_bytes: int | None = None
    peak_vram_bytes: int | None = None
    environment: Mapping[str, Any] = field(default_factory=dict)
    models: tuple[Mapping[str, Any], ...] = ()
    device: str = ""
    threads: int = 0
    warm: bool = False
    rung: int = 0
    rung_label: str = ""
    requested: Mapping[str, Any] = field(default_factory=dict)
    tuning: Mapping[str, Any] = field(default_factory=dict)
    changed: Mapping[str, Any] = field(default_factory=dict)
    tries: tuple[Mapping[str, Any], ...] = ()
    outputs: tuple[FileRecord, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[StageWarning, ...] = ()
    error: Mapping[str, Any] | None = None


class Intent(Record):
    """A file about to be published: recorded before the library is touched.

    ``temporary`` is its name on the way to ``target``. With ``displaces`` that name may also hold
    what was at ``target``, which ought to have the hash ``sha256``. With ``takes_name`` an empty
    file of ours may be at ``target``, where the disk has no better way to take a free name. With
    both what was at ``target`` is not swapped with the new file, but moved aside first.
    """

    target: str
    sha256: str
    temporary: str
    displaces: bool = False
    takes_name: bool = False

    @property
    def moves_aside(self) -> bool:
        return self.displaces and self.takes_name


class Manifest(Record, frozen=False):
    """Mutable while the job runs."""

    version: int
    job_id: str
    run_id: str = ""
    status: str = "running"
    updated: str = ""
    attempts: int = 0
    stages: dict[str, StageRecord] = field(default_factory=dict)
    intents: tuple[Intent, ...] = ()
    published: tuple[Published, ...] = ()
    error: Mapping[str, Any] | None = None

    def save(self, folder: JobFolder, *, lasting: bool = False) -> None:
        """Write it; on the disk when this returns if it is ``lasting``, as new intents must be.

        How the stages went may be lost in a power cut, as the store alone knows what is done. What
        was published may not, but the intents that a new manifest replaces tell that as well.

        Raises:
            OSError: it could not be written.
        """
        self.updated = utc_now()
        write_json(
            folder.manifest,
            to_json(self),
            whole=bool(self.intents or self.published),
            lasting=lasting,
        )


def open_manifest(folder: JobFolder, job_id: str) -> Manifest:
    """The job's manifest as it was left, or a new one where there is none that can be read.

    An unreadable record means "do it again": the artefacts know what is done.
    """
    return read_manifest(folder) or Manifest(MANIFEST_VERSION, job_id)


def read_manifest(folder: JobFolder) -> Manifest | None:
    try:
        manifest = from_json(Manifest, read_json(folder.manifest))
    except (OSError, ValueError):
        return None
    return manifest if manifest.version == MANIFEST_VERSION else None
