"""``--quarantine`` and ``--release``: the files that failed, until when, and how to let one go."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime

from batch.file_record import Failing
from batch.retry import Why, hold
from batch.state import State
from batch.view.safe_text import safe_text
from batch.view.words import count, utc_stamp
from orchestrator.contract.errors import ErrorInfo, fail
from orchestrator.contract.paths import WorkFolder

_NEXT_RUN = "the next run tries it again"


@dataclass(frozen=True, slots=True)
class Entry:
    """A file that failed the last time. ``failures``: runs in a row whose cause is unclear."""

    path: str
    since: float
    error: ErrorInfo
    failures: int
    quarantined: bool
    until: str


def entries(failing: Iterable[Failing], now: float) -> Iterator[Entry]:
    """What is to be told of files that failed, at ``now`` (seconds since the epoch)."""
    for one in failing:
        if one.error is None:
            continue  # it was released
        held = hold(one.error, one.past, now)
        yield Entry(
            one.path,
            one.when,
            one.error,
            one.past.failures,
            held is not None and held.why is Why.QUARANTINED,
            _NEXT_RUN if held is None else held.until,
        )


def listing(work: WorkFolder, *, as_json: bool = False) -> Iterator[str]:
    """Lines for people, or one JSON object a line; files that are not there now are left out.

    Raises:
        Failure: the database cannot be read.
    """
    found = list(entries(_failing(work), time.time()))
    there = [one for one in found if os.path.lexists(one.path)]
    if as_json:
        yield from map(_json, there)
        return
    for one in there:
        yield safe_text(one.path)
        day = datetime.fromtimestamp(one.since, UTC).strftime("%Y-%m-%d")
        yield f"  {day}  {safe_text(one.error.message)} ({one.error.code})"
        if one.error.hint:
            yield f"  -> {safe_text(one.error.hint)}"
        yield f"  {one.until}"
    held = sum(one.quarantined for one in there)
    yield (
        f"{count(len(there), 'file')} failed, {held:,} of them are left alone."
        " --release FILE lets one go, --retry-failed tries all again."
    )
    if len(found) > len(there):
        yield f"{count(len(found) - len(there), 'more file')} that failed cannot be found now."


def release(work: WorkFolder, path: str) -> str:
    """Let the next run try a file again; returns what to tell the user.

    Raises:
        Failure: ``not_quarantined``, or the database cannot be written.
    """
    path = os.path.abspath(path)
    if work.database.exists():
        with closing(State.open(work.database)) as state:
            if state.release(path):
                return f"{safe_text(path)}: the next run tries it again"
    raise fail(
        "not_quarantined",
        f"{path} is not among the files that failed",
        "batch-subtitles --quarantine shows those, with the paths to give.",
    )


def _failing(work: WorkFolder) -> list[Failing]:
    if not work.database.exists():
        return []
    with closing(State.open(work.database)) as state:
        return state.failing()


def _json(one: Entry) -> str:
    return json.dumps(
        {
            "path": one.path,
            "since": utc_stamp(datetime.fromtimestamp(one.since, UTC)),
            "error": one.error.to_json(),
            "failures": one.failures,
            "quarantined": one.quarantined,
            "until": one.until,
        }
    )
