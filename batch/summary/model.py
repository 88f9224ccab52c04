"""``summary.json``, version 1: what one run did, for people's scripts and for the report."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from orchestrator.contract.atomic import read_json

SUMMARY_VERSION = 1
EXAMPLES = 20
"""How many files a :class:`Cause` names; all of them are among the summary's ``files``."""

_FIRST_LIST = ' "files": [\n'
"""Ends the overview; the lists that follow are as long as the library."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Setting(_Record):
    """A setting chosen for this run, and why."""

    key: str
    value: str
    reason: str


class Totals(_Record):
    """Numbers of files. ``failed_earlier`` (not tried again) are not among ``failed``.

    ``quarantined`` are those of them that are left alone until something changes. ``not_begun``
    were in the queue when the run stopped early. ``skipped`` counts by reason code. Among ``done``,
    ``partial`` have lost a part of their sound, and ``length_unverifiable`` do not say how long it
    should be.
    """

    media: int = 0
    queued: int = 0
    done: int = 0
    failed: int = 0
    failed_earlier: int = 0
    quarantined: int = 0
    not_begun: int = 0
    partial: int = 0
    length_unverifiable: int = 0
    interrupted: int = 0
    skipped: dict[str, int] = {}


class StageTime(_Record):
    """Seconds of all runs of one stage, and how many runs: reused results are not among them."""

    seconds: float
    count: int


class Error(_Record):
    """An :class:`~orchestrator.contract.errors.ErrorInfo`."""

    code: str
    message: str
    hint: str
    error_class: str = Field(alias="class")
    retryable: bool


class Notice(_Record):
    """A warning: the work went on."""

    code: str
    message: str


class Example(_Record):
    """One file that a cause hit, with the message it got."""

    path: str
    message: str


class Cause(_Record):
    """Files that failed, or were warned about, for the same reason: same code and same hint."""

    code: str
    hint: str = ""
    count: int
    examples: tuple[Example, ...]


class TryRecord(_Record):
    """An attempt that failed: how it was run, and the code of the error."""

    rung: str
    code: str


class StageRecord(_Record):
    """``status``: ran, reused, failed or not_run; ``seconds`` of wall time.

    ``rung`` says how it was run in the end ("as asked", "batch size 4"), where it was; ``tries``
    are the attempts before that failed.
    """

    name: str
    status: str
    reason: str
    seconds: float
    device: str = ""
    rung: str = ""
    tries: tuple[TryRecord, ...] = ()


class FileRecord(_Record):
    """One file that was worked on.

    ``earlier``: it failed in an earlier run and was not tried; ``held`` says why not.
    ``length_verified``: the file says how long its sound is, and what was decoded was compared with
    that; false: it says nothing that can be relied on, so a cut-off end would not be noticed; None:
    no stage looked. ``partial``: it is done, but ``lost_seconds`` of its sound are missing;
    ``missing`` has the start and end of each stretch, in seconds as a player shows them.
    """

    path: str
    status: str
    job_id: str
    job_folder: str
    language: str | None
    audio_seconds: float | None
    seconds: float
    stages: tuple[StageRecord, ...]
    published: tuple[str, ...]
    warnings: tuple[Notice, ...]
    error: Error | None
    earlier: bool
    held: str = ""
    length_verified: bool | None = None
    partial: bool = False
    lost_seconds: float = 0.0
    missing: tuple[tuple[float, float], ...] = ()


class SkippedRecord(_Record):
    """One file that needed no work, with the reason as a code and in words."""

    path: str
    reason: str
    detail: str


class Overview(_Record):
    """A run without its single files: small, however many there were.

    Times are UTC in ISO 8601; ``finished`` and ``exit_code`` are None while the run goes on.
    ``speed`` is seconds of audio done per second of wall time. ``throttled_seconds`` is how long
    new files were held back because the machine was busy.
    """

    version: int = SUMMARY_VERSION
    run_id: str
    dry_run: bool
    input_dir: str
    work_dir: str
    started: str
    finished: str | None
    exit_code: int | None
    error: Error | None
    settings: tuple[Setting, ...]
    totals: Totals
    audio_seconds: float
    wall_seconds: float
    speed: float
    throttled_seconds: float
    stages: dict[str, StageTime]
    failures: tuple[Cause, ...]
    warnings: tuple[Cause, ...]


class Summary(Overview):
    """All of ``summary.json``. Files that were done before are counted, not listed."""

    files: tuple[FileRecord, ...]
    skipped: tuple[SkippedRecord, ...]


def load_summary(path: Path) -> Summary:
    """Read a ``summary.json``. Names that are not UTF-8 come back surrogate-escaped.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not a summary of this version.
    """
    data = read_json(path)
    if not isinstance(data, dict) or data.get("version") != SUMMARY_VERSION:
        raise ValueError(f"{path}: not a summary of version {SUMMARY_VERSION}")
    try:
        return Summary.model_validate(data)
    except ValidationError as error:
        raise ValueError(f"{path}: not a valid summary: {error}") from error


def load_overview(path: Path) -> Overview:
    """Read the beginning of a ``summary.json``: all but its lists of single files.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not a summary of this version.
    """
    head = []
    with path.open(encoding="ascii") as file:
        for line in file:
            if line == _FIRST_LIST:
                break
            head.append(line)
    data = json.loads("".join(head).rstrip().removesuffix(",") + "}")
    if data.get("version") != SUMMARY_VERSION:
        raise ValueError(f"{path}: not a summary of version {SUMMARY_VERSION}")
    try:
        return Overview.model_validate(data)
    except ValidationError as error:
        raise ValueError(f"{path}: not a valid summary: {error}") from error
