"""Make the page of a run: at the run's end, or later when somebody asks for it."""

from __future__ import annotations

import contextlib
from pathlib import Path

from batch.summary.model import Overview, load_overview
from batch.timeline import NAME as RECORD
from batch.timeline_page.collect import Collected, collect
from batch.timeline_page.page import pieces
from batch.timeline_page.record import read_lines
from orchestrator.contract.atomic import temporary_name
from orchestrator.contract.errors import Failure, describe_os_error, fail
from orchestrator.contract.paths import WorkFolder

NAME = "timeline.html"
SUMMARY = "summary.json"
LATEST = "latest"

LARGE_BYTES = 64_000_000
"""A record of 250,000 attempts: the page of a larger one takes longer than 5 s to make."""


def page_at_end(folder: Path) -> str | None:
    """Make the page of the run that has just ended; returns where it is, in words for the report.

    None: no stage ran, or there is no record. It is no reason for a run to fail.
    """
    try:
        if (folder / RECORD).stat().st_size > LARGE_BYTES:
            return f"batch-subtitles --timeline {folder.name} makes it"
        run = _read(folder)
        return str(_write(folder, run)) if run.totals.attempts else None
    except OSError:
        return None


def make_page(work: WorkFolder, run_id: str = LATEST) -> Path:
    """Make the page of a run, also of one that was killed or goes on; returns where it is.

    Raises:
        Failure: ``timeline_not_found``, or what the disk says.
    """
    folder = _latest(work) if run_id == LATEST else work.runs / Path(run_id).name
    if folder is None or not (folder / RECORD).is_file():
        which = "of any run" if run_id == LATEST else f"of run {run_id}"
        raise fail(
            "timeline_not_found",
            f"there is no record {which} in {work.runs}",
            "Name one of the folders in there; give --work-dir if the run had another work folder.",
        )
    try:
        return _write(folder, _read(folder))
    except OSError as error:
        raise Failure(describe_os_error(error, f"{folder / NAME} could not be made")) from error


def _latest(work: WorkFolder) -> Path | None:
    """The names of runs begin with the time."""
    records = work.runs.glob(f"*/{RECORD}")
    return max((one.parent for one in records), key=lambda one: one.name, default=None)


def _read(folder: Path) -> Collected:
    return collect(read_lines(folder / RECORD))


def _write(folder: Path, run: Collected) -> Path:
    """Whole or not at all. Raises: OSError."""
    page = folder / NAME
    temporary = folder / temporary_name(NAME)
    try:
        with temporary.open("x", encoding="utf-8", newline="\n") as file:
            file.writelines(pieces(run, _overview(folder / SUMMARY)))
        temporary.replace(page)
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
    return page


def _overview(path: Path) -> Overview | None:
    """None: the run was killed, or goes on."""
    try:
        return load_overview(path)
    except (OSError, ValueError):
        return None
