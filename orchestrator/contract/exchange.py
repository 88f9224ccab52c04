"""What a job asks of a stage (``request.json``) and what the stage answers (``result.json``)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.contract.files import FileRecord

RESULT_VERSION = 1


@dataclass(frozen=True, slots=True)
class Clip:
    """The part of the media asked for, in seconds of media time. ``end`` None: to the end."""

    start: float
    end: float | None = None


@dataclass(frozen=True, slots=True)
class ModelRef:
    """A model in the local store. ``key`` identifies its content and is part of the stage key.

    ``languages`` are the ISO 639-1 codes it is made for; none means any.
    """

    name: str
    path: str
    key: str
    languages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StageRequest:
    """Everything one attempt of a stage may know.

    Attributes:
        media: absolute path of the source; only to be read.
        inputs: name of an input to its absolute path; optional ones only where they are there.
        outputs: name of an output to the file name to write inside ``outputs_dir``.
        optional: the outputs that the stage may leave out.
        settings: all settings of the stage, resolved.
        load: the names of those settings that ``load`` gets: another value, another model.
        models: what the stage's model setting names, in that order.
        language: the language asked for (ISO 639-1), or None for "find out".
        facts: what earlier stages found out (``language``, ``audio_seconds``, ...).
        threads: CPU threads granted for this attempt.
        device: ``cpu`` or ``cuda`` (with an index: ``cuda:1``).
    """

    run_id: str
    job_id: str
    stage: str
    attempt: str
    media: str
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    outputs_dir: str
    scratch_dir: str
    settings: Mapping[str, Any]
    clip: Clip | None = None
    language: str | None = None
    models: tuple[ModelRef, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    threads: int = 1
    device: str = "cpu"
    load: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()

    @property
    def model(self) -> ModelRef | None:
        """The stage's model, the first of several; None where it has none."""
        return self.models[0] if self.models else None

    def input(self, name: str) -> Path:
        """Path of an input artefact. Raises: KeyError (the stage did not declare it)."""
        return Path(self.inputs[name])

    def output(self, name: str) -> Path:
        """Path to write an output artefact to. Raises: KeyError (the stage did not declare it)."""
        return Path(self.outputs_dir, self.outputs[name])


@dataclass(frozen=True, slots=True)
class StageOutcome:
    """What ``run`` returns; the outputs themselves are the files it wrote.

    ``facts`` go to later stages, the file names and the report; ``metrics`` only to the manifest.
    ``data`` is the inline answer of a stage without files (the probe).
    """

    facts: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StageWarning:
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class StageResult:
    """The stage's own account of one attempt, written last and checked by the job."""

    version: int
    run_id: str
    stage: str
    attempt: str
    ok: bool
    outputs: tuple[FileRecord, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[StageWarning, ...] = ()
    error: Mapping[str, Any] | None = None
    load_seconds: float = 0.0
    run_seconds: float = 0.0
    peak_rss_bytes: int | None = None
    peak_vram_bytes: int | None = None
