"""What a job asks of a stage (``request.json``) and what the stage answers (``result.json``)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from orchestrator.contract.files import FileRecord
from orchestrator.contract.records import Record, field, to_json

TYPE_CHECKING = False  # as typing's, whose import would cost a job 3 ms
if TYPE_CHECKING:
    from typing import Any

RESULT_VERSION = 1


class Clip(Record):
    """The part of the media asked for, in seconds of media time. ``end`` None: to the end."""

    start: float
    end: float | None = None


class ModelRef(Record):
    """A model in the local store. ``key`` identifies its content and is part of the stage key.

    ``languages`` are the ISO 639-1 codes it is made for; none means any. ``revision`` is the one
    it was fetched at, where its source has such.
    """

    name: str
    path: str
    key: str
    languages: tuple[str, ...] = ()
    revision: str = ""


class StageRequest(Record):
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


def load_settings(request: StageRequest) -> dict[str, Any]:
    """What ``load`` gets besides the number of threads; two equal ones mean the same model."""
    return {
        **{name: request.settings[name] for name in request.load},
        "model_path": request.model.path if request.model else None,
        "models": [to_json(model) for model in request.models],
        "device": request.device,
    }


class StageOutcome(Record):
    """What ``run`` returns; the outputs themselves are the files it wrote.

    ``facts`` go to later stages, the file names and the report; ``metrics`` only to the manifest.
    ``data`` is the inline answer of a stage without files (the probe).
    """

    facts: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)


class StageWarning(Record):
    code: str
    message: str


class StageResult(Record):
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
