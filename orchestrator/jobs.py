"""Find jobs in a work folder: by id, by folder, the latest one, or all of them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from orchestrator.contract.errors import fail
from orchestrator.contract.paths import JobFolder, WorkFolder

LATEST = "latest"

BY_HAND_RUN = "by-hand-"
"""How the ids of runs begin that ``run-pipeline`` made."""

_ID = re.compile(r"(\d{4})(\d{2})(\d{2})-\d{6}")


def find_job(work: WorkFolder, name: str) -> JobFolder:
    """The job called ``name``: an id, a folder, or ``latest`` (the one prepared last).

    Raises:
        Failure: ``no_such_job``.
    """
    if name == LATEST:
        try:
            return JobFolder(Path(os.fsdecode(work.latest_job.read_bytes())))
        except OSError:
            raise _missing("no job has been prepared yet") from None
    match = _ID.fullmatch(name)
    if match is not None:
        day = work.jobs.joinpath(*match.groups())
        for folder in sorted(day.glob(f"*/{name}")):
            return JobFolder(folder)
    folder = Path(name).absolute()
    if JobFolder(folder).spec.is_file():
        return JobFolder(folder)
    raise _missing(f"there is no job {name!r} in {work.jobs}, and no job folder of that name")


def all_jobs(work: WorkFolder) -> Iterator[JobFolder]:
    """Every job folder, those of the oldest day first."""
    for folder in sorted(work.jobs.glob("*/*/*/*/*"), key=lambda one: (one.name, str(one))):
        if _ID.fullmatch(folder.name):
            yield JobFolder(folder)


def _missing(what: str) -> Exception:
    return fail(
        "no_such_job", what, "`run-pipeline status` lists the jobs; `prepare-job` makes one."
    )
