"""``job.json``: all that a job may know, frozen when it is made. And ``job_result.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.contract.atomic import read_json, write_json
from orchestrator.contract.errors import ErrorClass, fail
from orchestrator.contract.exchange import Clip, ModelRef, StageWarning
from orchestrator.contract.paths import JobFolder
from orchestrator.contract.records import BadRecord, from_json, to_json

JOB_VERSION = 1
JOB_RESULT_VERSION = 1


@dataclass(frozen=True, slots=True)
class Source:
    """The media file as it was found. ``path`` is absolute; odd bytes are surrogate-escaped."""

    path: str
    size: int
    mtime_ns: int
    fingerprint: str


@dataclass(frozen=True, slots=True)
class JobInput:
    """``output`` of an earlier ``stage`` of the job, which the stage knows as ``name``.

    Without a stage it is the media itself.
    """

    name: str
    stage: str = ""
    output: str = ""


@dataclass(frozen=True, slots=True)
class JobOutput:
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


@dataclass(frozen=True, slots=True)
class JobEnvironment:
    """The interpreter a stage runs with; ``key`` is recorded in the manifest."""

    name: str
    key: str
    python: str


@dataclass(frozen=True, slots=True)
class JobStage:
    """One stage of the job, with nothing left to look up elsewhere.

    ``requested`` are the settings that change the result and so are part of the stage key;
    ``tuning`` (threads, batch size, device) is only recorded. ``load`` names the settings of both
    kinds that its model is loaded with. ``models`` are what its model setting names.
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


@dataclass(frozen=True, slots=True)
class Publication:
    """Where outputs go: ``folder/stem.LANGUAGE.extension`` for each of ``extensions``.

    ``owned`` maps the names in ``folder`` that we published earlier to their SHA-256: these, and
    no other existing file, may be replaced, as long as they still have that hash.
    """

    folder: str
    stem: str
    extensions: tuple[str, ...]
    owned: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Job:
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
    language: str | None = None
    clip: Clip | None = None
    settings_key: str = ""
    choices: tuple[Mapping[str, Any], ...] = ()
    hardware: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Published:
    """A file in the user's library that is ours: the state of it right after publishing."""

    path: str
    size: int
    mtime_ns: int
    sha256: str


@dataclass(frozen=True, slots=True)
class StageAccount:
    """What became of one stage: ``ran``, ``reused``, ``failed`` or ``not_run``, and why."""

    name: str
    status: str
    reason: str
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class JobResult:
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
    write_json(folder.result, to_json(result))


def read_job_result(folder: JobFolder) -> JobResult | None:
    """The job's result, or None when it left none that can be read."""
    try:
        result = from_json(JobResult, read_json(folder.result))
    except (OSError, ValueError):
        return None
    return result if result.version == JOB_RESULT_VERSION else None
