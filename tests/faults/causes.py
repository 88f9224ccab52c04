"""Whether a run that a failing call has spoilt says what the cause was."""

from __future__ import annotations

import errno
import os

from orchestrator.contract.errors import describe_os_error
from tests.end_to_end.conftest import Outcome
from tests.faults.forked import Ended

# SQLite has an error for a disk that is full when it writes; every other one has one name.
_FULL = {"ENOSPC": ("disk is full",)}
_ANY_OF_SQLITE = "disk I/O error"


def words_for(error: str) -> tuple[str, ...]:
    """What names the error to a person or a program: our code, the system's text, SQLite's."""
    number = getattr(errno, error)
    known = describe_os_error(OSError(number, os.strerror(number)), "")
    return known.code, os.strerror(number), _ANY_OF_SQLITE, *_FULL.get(error, ())


def untold(error: str, ended: Ended, *, spoilt: bool) -> list[str]:
    """What is wrong with what a run told that met the error, an errno's name.

    ``spoilt``: it did not do all it should, or could not say so; then the cause has to be told.
    """
    told = ended.out + ended.err
    wrong = []
    if "Traceback" in told:
        wrong.append(f"a traceback is told: {ended.err[-400:]}")
    if spoilt and not any(word in told for word in words_for(error)):
        wrong.append(f"it ended with {ended.code} and does not tell the cause: {told[-400:]}")
    return wrong


def untold_of_file(fault: str, name: str, outcome: Outcome) -> list[str]:
    """What is wrong with what a run told of the file whose job met the fault.

    ``fault``: an errno's name, or that of a kill. A job that went on all the same may be done; one
    that the end of the night stopped first is not told of.
    """
    told = [one for one in outcome.of("file_finished") if os.path.basename(one["path"]) == name]
    words = words_for(fault) if hasattr(errno, fault) else ("job_died",)
    return [
        f"{name} failed and the cause is not told: {one['error']}"
        for one in told
        if one["status"] == "failed" and not any(word in str(one["error"]) for word in words)
    ]
