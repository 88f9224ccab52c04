"""``job.json``: all that a job may know, frozen when it is made. And ``job_result.json``."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from orchestrator.contract.atomic import read_json, write_json
from orchestrator.contract.errors import ErrorClass, fail
from orchestrator.contract.exchange import Clip, ModelRef, StageWarning
from orchestrator.contract.naming import TEXT_SUBTITLE_EXTENSIONS
from orchestrator.contract.paths import JobFolder
from orchestrator.contract.records import BadRecord, Record, field, from_json, to_json

TYPE_CHECKING = False  # as typing's, whose import would cost a job 3 ms
if TYPE_CHECKING:
    from typing import Any

JOB_VERSION = 1
JOB_RESULT_VERSION = 1


class Source(Record):
    """The media file as it was found. ``path`` is absolute; odd bytes are surrogate-escaped."""

    path: str
    size: int
    mtime_ns: int
    fingerprint: str


class JobInput(Record):
    """``output`` of an earlier ``stage`` of the job, which the stage knows as ``name``.

    Without a stage it is the media itself.
    """

    name: str
    stage: str = ""
    output: str = ""


class JobOutput(Record):
    """``large`` outputs are dropped when the job has succeeded (unless ``keep: all``).

    ``publish`` is the extension under which the output goes to the user, or None. It is named by
    its ``language``, or that of the speech where it has none of its own, or by a ``suffix``
    instead. An ``optional`` output may be missing after the stage has run.
    """

    name: str
    file: str
    large: bool = False
    publish: str | None = None
    language: str | None = None
    suffix: str = ""
    optional: bool = False


SPEECH = ""
"""Stands for the language of the speech where languages of subtitles are listed."""


def is_subtitle(output: JobOutput) -> bool:
    """Whether it is a subtitle file of its own, not a film or a transcript."""
    return output.publish in TEXT_SUBTITLE_EXTENSIONS and not output.suffix


def is_present(output: JobOutput, present: Collection[str]) -> bool:
    """Whether it is a subtitle in one of the languages that are there already."""
    return is_subtitle(output) and (output.language or SPEECH) in present


class JobEnvironment(Record):
    """The interpreter a stage runs with; ``key`` is recorded in the manifest.

    ``packages`` are the versions of what its requirements name.
    """

    name: str
    key: str
    python: str
    packages: Mapping[str, str] = field(default_factory=dict)


class JobStage(Record):
    """One stage of the job, with nothing left to look up elsewhere.

    ``requested`` are the settings that change the result and so are part of the stage key;
    ``tuning`` (threads, batch size, device) is only recorded. ``load`` names the settings of both
    kinds that its model is loaded with. ``models`` are what its model setting names. Where memory
    does not suffice, ``compute_types`` are the values its setting ``compute_type`` may have, and
    ``fallback_models`` the smaller models that may take the first one's place, largest first.
    """

    name: str
    version: int
    title: str
    folder: str
    environment: JobEnvironment
    inputs: tuple[JobInput, ...]
    outputs: tuple[JobOutput, ...]
    requested: Mapping[str, Any]
    tuning: Mapping[str, Any]
    resources: Mapping[str, Any]
    stall_seconds: float
    grace_seconds: float
    models: tuple[ModelRef, ...] = ()
    uses: tuple[str, ...] = ()
    load: tuple[str, ...] = ()
    compute_types: tuple[str, ...] = ()
    fallback_models: tuple[ModelRef, ...] = ()


class Publication(Record):
    """Where outputs go: ``folder/stem.LANGUAGE.extension`` for each of ``extensions``.

    ``owned`` maps the names in ``folder`` that we published earlier to their SHA-256: these, and
    no other existing file, may be replaced, as long as they still have that hash. ``present`` are
    the languages that the media has a subtitle in already, of somebody else's making: ours are
    not published in them. ``SPEECH`` stands for that of the speech.
    """

    folder: str
    stem: str
    extensions: tuple[str, ...]
    owned: Mapping[str, str] = field(default_factory=dict)
    present: tuple[str, ...] = ()

    def wants(self, output: JobOutput) -> bool:
        """Whether the output is one to be published."""
        return output.publish in self.extensions and not is_present(output, self.present)


class Job(Record):
    version: int
    id: str
    created: str
    workflow: str
    source: Source
    stages: tuple[JobStage, ...]
    artefacts: str
    publication: Publication
    keep: str
    threads: int
    device: str = "cpu"
    allow_cpu_fallback: bool = False
    language: str | None = None
    clip: Clip | None = None
    settings_key: str = ""
    choices: tuple[Mapping[str, Any], ...] = ()
    hardware: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)


class Published(Record):
    """A file in the user's library that is ours: the state of it right after publishing."""

    path: str
    size: int
    mtime_ns: int
    sha256: str


class Tried(Record):
    """An attempt that failed: at which rung of the ladder, and the code of the error."""

    rung: str
    code: str


class StageAccount(Record):
    """What became of one stage: ``ran``, ``reused``, ``failed`` or ``not_run``, and why.

    Of one that ran also what it took, for the next time: on which ``device``, at which ``rung`` of
    the ladder, in a resident process (``warm``) or not, with how many ``threads``. ``tries`` are
    the attempts that failed.
    """

    name: str
    status: str
    reason: str
    seconds: float = 0.0
    device: str = ""
    rung: int = 0
    warm: bool = False
    threads: int = 0
    load_seconds: float = 0.0
    run_seconds: float = 0.0
    peak_rss_bytes: int | None = None
    peak_vram_bytes: int | None = None
    rung_label: str = ""
    tries: tuple[Tried, ...] = ()


class JobResult(Record):
    """The last file a job writes. ``status`` is ``done``, ``failed`` or ``interrupted``."""

    version: int
    job_id: str
    run_id: str
    status: str
    stages: tuple[StageAccount, ...]
    published: tuple[Published, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[StageWarning, ...] = ()
    error: Mapping[str, Any] | None = None
    seconds: float = 0.0


def write_job(folder: JobFolder, job: Job) -> None:
    write_json(folder.spec, to_json(job))


def read_job(folder: JobFolder) -> Job:
    """Raises: Failure ``job_unreadable`` when the folder holds no valid ``job.json``."""
    try:
        job = from_json(Job, read_json(folder.spec))
        if job.version != JOB_VERSION:
            raise BadRecord(f"version {job.version}, this program reads {JOB_VERSION}")
    except (OSError, ValueError) as error:
        raise fail(
            "job_unreadable",
            f"{folder.root}: no job can be read there ({error})",
            "Name a job folder or id that `run-pipeline status` lists, or prepare a new job.",
            error_class=ErrorClass.INPUT,
        ) from error
    return job


def write_job_result(folder: JobFolder, result: JobResult) -> None:
    """Write it for whoever started the job. A power cut may take it: they keep what it says."""
    write_json(folder.result, to_json(result), whole=False, lasting=False)


def read_job_result(folder: JobFolder) -> JobResult | None:
    """The job's result, or None when it left none that can be read."""
    try:
        result = from_json(JobResult, read_json(folder.result))
    except (OSError, ValueError):
        return None
    return result if result.version == JOB_RESULT_VERSION else None
