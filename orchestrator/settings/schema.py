"""The settings a user may write: every top-level key, its type, range and default."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationInfo,
    field_validator,
)

from orchestrator.catalogue import Catalogue, choose_stage, order
from orchestrator.catalogue.suggest import unknown
from orchestrator.contract.errors import Failure
from orchestrator.contract.languages import normalise

DEFAULT_WORKFLOWS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "subtitle-gen": ("demux", "asr", "hallucination", "subtitles"),
        "transcribe": ("demux", "asr", "hallucination", "transcript"),
        "translate": ("demux", "asr", "hallucination", "subtitles", "translation"),
    }
)

USUAL_ORDER = (
    *("demux", "vad", "asr", "alignment", "hallucination", "diarization"),
    *("subtitles", "transcript", "translation", "mux"),
)
"""Where a stage that is added to a workflow goes: alignment sees all words, as they were heard, and
diarization labels only those that stay."""

DEFAULT_EXTENSIONS = (
    *("mkv", "mp4", "m4v", "mov", "avi", "webm", "ts", "m2ts", "mpg", "mpeg", "wmv", "flv"),
    *("ogv", "3gp", "mp3", "m4a", "m4b", "aac", "flac", "wav", "ogg", "oga", "opus", "wma"),
)

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_PROFILE = re.compile(r"[a-z0-9][a-z0-9._-]*")
_BACKEND = re.compile(r"auto|cpu|xpu|cu\d{2,3}|rocm\d+(\.\d+)*")
_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")
_HUB_TOKEN = re.compile(r"hf_[A-Za-z0-9]{16,}")


def _listed(value: object) -> object:
    """Strict pydantic takes no list for a tuple; a file or a command line gives only lists."""
    return tuple(value) if isinstance(value, list) else value


def _number(value: object) -> object:
    """``auto`` is no number: it is found when the machine is known."""
    return None if isinstance(value, str) and value.casefold() == "auto" else value


def _language(value: object) -> object:
    """``auto`` is no language at all."""
    return None if isinstance(value, str) and value.casefold() == "auto" else value


def _language_code(value: str) -> str:
    code = normalise(value)
    if code is None:
        raise ValueError(
            f"{value!r} is not a language; use auto, a code such as en or deu, or an English name"
        )
    return code


def _workflow_name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError(f"{value!r} must be lower-case words joined by hyphens")
    return value


def _runnable(stages: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
    """The default workflows are ours to keep right; one that a user wrote is checked here."""
    catalogue = _catalogue(info)
    if catalogue is not None and stages not in DEFAULT_WORKFLOWS.values():
        with _told():
            order(stages, catalogue, engines=info.data.get("engines", {}))
    return stages


def _known_stage(value: str, info: ValidationInfo) -> str:
    catalogue = _catalogue(info)
    if catalogue is not None and value not in catalogue.parts():
        raise ValueError(unknown(value, catalogue.parts(), "stage"))
    return value


def _known_engines(engines: Mapping[str, str], info: ValidationInfo) -> Mapping[str, str]:
    catalogue = _catalogue(info)
    if catalogue is not None:
        with _told():
            for part in engines:
                choose_stage(part, catalogue, engines)
    return engines


@contextmanager
def _told() -> Iterator[None]:
    """A failure inside as the message of the value that is being validated."""
    try:
        yield
    except Failure as failure:
        raise ValueError(f"{failure.info.message}. {failure.info.hint}") from failure


def _published(value: str, info: ValidationInfo) -> str:
    catalogue = _catalogue(info)
    known = catalogue.published() if catalogue is not None else frozenset({value})
    if value not in known:
        raise ValueError(unknown(value, known, "format"))
    return value


def _catalogue(info: ValidationInfo) -> Catalogue | None:
    """The catalogue to check names against; none where a test makes settings by hand."""
    return info.context


def _pattern(value: str) -> str:
    """Gitignore patterns, as ``pathspec`` reads them."""
    from pathspec import GitIgnoreSpec  # 20 ms, wanted only where patterns are given

    try:
        GitIgnoreSpec.from_lines([value])
    except ValueError as error:
        raise ValueError(f"{value!r} is not a gitignore pattern") from error
    return value


def _extension(value: str) -> str:
    bare = value.removeprefix("*").removeprefix(".").lower()
    if not bare or not bare.isalnum():
        raise ValueError(f"{value!r} is not a file extension; write it like mkv")
    return bare


def _matching(pattern: re.Pattern[str], allowed: str) -> AfterValidator:
    def check(value: str) -> str:
        if not pattern.fullmatch(value):
            raise ValueError(f"must be {allowed}, got {value!r}")
        return value

    return AfterValidator(check)


Texts = Annotated[tuple[str, ...], BeforeValidator(_listed)]
Patterns = Annotated[tuple[Annotated[str, AfterValidator(_pattern)], ...], BeforeValidator(_listed)]
Megabytes = Annotated[int, Field(ge=1)]
Percent = Annotated[float, Field(ge=0, le=100)]
Seconds = Annotated[float, Field(ge=0)]
Frozen = AfterValidator(MappingProxyType)
Workflows = Annotated[
    Mapping[
        Annotated[str, AfterValidator(_workflow_name)],
        Annotated[Texts, AfterValidator(_runnable)],
    ],
    Frozen,
    PlainSerializer(dict),
]
Engines = Annotated[
    Mapping[str, str], AfterValidator(_known_engines), Frozen, PlainSerializer(dict)
]
Language = Annotated[str, AfterValidator(_language_code)]
Stages = Annotated[
    tuple[Annotated[str, AfterValidator(_known_stage)], ...], BeforeValidator(_listed)
]
StageValues = Mapping[str, Mapping[str, Any]]


def plain(stages: StageValues) -> dict[str, dict[str, Any]]:
    """``stages`` as dictionaries that JSON can write."""
    return {stage: dict(values) for stage, values in stages.items()}


class Settings(BaseModel):
    """All settings. ``stages`` holds each stage's settings by the names in its ``stage.json``.

    ``language`` is an ISO 639-1 code, or None for "find out"; so are ``max_workers`` and
    ``cpu_threads`` None, and the limits None where there is none.
    Percentages of 0 switch their threshold off. Durations are seconds.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)

    engines: Engines = Field(default_factory=lambda: MappingProxyType({}))
    workflows: Workflows = Field(default_factory=lambda: DEFAULT_WORKFLOWS)
    workflow: str = "subtitle-gen"
    add_stages: Stages = ()
    drop_stages: Stages = ()
    language: Annotated[Language | None, BeforeValidator(_language)] = None
    translate_to: Annotated[tuple[Language, ...], BeforeValidator(_listed)] = ()
    formats: Annotated[
        tuple[Annotated[str, AfterValidator(_published)], ...],
        BeforeValidator(_listed),
        Field(min_length=1),
    ] = ("srt",)
    input_dir: Path | None = None
    output_dir: Path | None = None
    include: Annotated[
        tuple[Annotated[str, AfterValidator(_pattern)], ...], BeforeValidator(_listed)
    ] = ()
    exclude: Annotated[
        tuple[Annotated[str, AfterValidator(_pattern)], ...], BeforeValidator(_listed)
    ] = ()
    extensions: Annotated[
        tuple[Annotated[str, AfterValidator(_extension)], ...],
        BeforeValidator(_listed),
        Field(min_length=1),
    ] = DEFAULT_EXTENSIONS
    follow_symlinks: bool = True
    settle_seconds: Seconds = 5.0
    max_workers: Annotated[Annotated[int, Field(ge=1, le=64)] | None, BeforeValidator(_number)] = (
        None
    )
    order: Literal["fifo", "shortest-first", "longest-first", "priority"] = "fifo"
    priority: Patterns = ()
    unload_after: Seconds = 600.0
    cpu_threads: Annotated[Annotated[int, Field(ge=1)] | None, BeforeValidator(_number)] = None
    ram_limit_mb: Megabytes | None = None
    vram_limit_mb: Megabytes | None = None
    cpu_threshold: Percent = 85.0
    memory_threshold: Percent = 90.0
    vram_threshold: Percent = 90.0
    throttle_delay: Annotated[float, Field(gt=0)] = 5.0
    drain_seconds: Seconds = 30.0
    storage_wait_seconds: Seconds = 0.0
    work_dir: Path | None = None
    stage_paths: Annotated[tuple[Path, ...], BeforeValidator(_listed)] = ()
    keep: Literal["small", "all"] = "small"
    torch_backend: Annotated[str, _matching(_BACKEND, "auto, cpu, xpu, cu128 or rocm6.4")] = "auto"
    environment_profile: Annotated[
        str, _matching(_PROFILE, "the name of a folder, a-z 0-9 . _ -")
    ] = "default"
    device: Annotated[str, _matching(_DEVICE, "auto, cpu, cuda or cuda:1")] = "auto"
    allow_downloads: bool = True
    hub_token_file: Path | None = None
    allow_cpu_fallback: bool = False
    allow_smaller_models: bool = False
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    stages: Annotated[StageValues, Frozen, PlainSerializer(plain)] = Field(
        default_factory=lambda: MappingProxyType({})
    )

    @field_validator("hub_token_file")
    @classmethod
    def _no_token(cls, value: Path | None) -> Path | None:
        if value is not None and _HUB_TOKEN.fullmatch(value.name):
            raise ValueError(
                "must name a file, and not be the token: write the token into a file that only "
                "you may read, and name that"
            )
        return value

    @field_validator("workflow")
    @classmethod
    def _known_workflow(cls, value: str, info: ValidationInfo) -> str:
        known = info.data.get("workflows")
        if known is not None and value not in known:
            raise ValueError(unknown(value, known, "workflow"))
        return value
