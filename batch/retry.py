"""When a file that failed is tried again: pure decisions, by what failed and how often.

What is the file's own does not mend itself: it is left alone until the file, the settings or the
program change. What is not the file's (a package that is missing, a disk that went away) is tried
by every run: somebody has mended it meanwhile, or the run finds out soon enough that nobody has.
What cannot be told (a crash, memory that ran out) is tried by the next run, then less and less
often, then no more.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple

from orchestrator.contract.errors import ErrorClass, ErrorInfo

QUARANTINE_AFTER = 4
"""So many runs in a row a file may fail without a cause of its own being known: some nights."""

PAUSE_SECONDS = 3600.0
"""How long a file that has failed in two runs is left alone, at first. The next run after the first
failure tries again whenever it is: somebody may have done something about it."""

LONGEST_PAUSE_SECONDS = PAUSE_SECONDS * 2 ** (QUARANTINE_AFTER - 3) * 1.5

_NOT_THE_FILES = frozenset({ErrorClass.ENVIRONMENT, ErrorClass.STORAGE})
_UNCLEAR = frozenset({ErrorClass.INTERNAL, ErrorClass.RESOURCE, ErrorClass.OUT_OF_MEMORY})


class Count(NamedTuple):
    """How many runs in a row a file has failed in, and when it may be tried again (epoch)."""

    failures: int = 0
    retry_after: float = 0.0


class Why(StrEnum):
    """Why a file that failed is left alone."""

    QUARANTINED = "quarantined"
    TOO_EARLY = "too_early"


class Held(NamedTuple):
    """A file that failed is left alone, and until when, in words."""

    why: Why
    until: str


def is_lasting(error: ErrorInfo) -> bool:
    """Whether the same file would fail again in the same way, on this machine and on others."""
    return not error.retryable and error.error_class not in _NOT_THE_FILES


def after_failure(
    before: Count, error: ErrorInfo, now: float, random: Callable[[], float]
) -> Count:
    """What is to be remembered of a failure at ``now`` (seconds since the epoch).

    The pause doubles from run to run, and is spread by half, so that files that failed together do
    not come back together. ``random`` gives a number from 0 up to 1.
    """
    if error.error_class not in _UNCLEAR:
        return before._replace(retry_after=0.0)
    failures = before.failures + 1
    pause = PAUSE_SECONDS * 2 ** (failures - 2) if failures > 1 else 0.0
    return Count(failures, now + pause * (0.5 + random()) if pause else 0.0)


def hold(error: ErrorInfo, count: Count, now: float) -> Held | None:
    """Whether a file that failed with ``error`` is to be left alone at ``now``.

    A time that is further away than any pause was written by a clock that went wrong.
    """
    if is_lasting(error):
        return Held(Why.QUARANTINED, "left alone until the file or the settings change")
    if error.error_class not in _UNCLEAR:
        return None
    if count.failures >= QUARANTINE_AFTER:
        return Held(
            Why.QUARANTINED,
            f"it failed in {count.failures} runs: left alone until the file or the settings change",
        )
    if 0.0 < count.retry_after - now <= LONGEST_PAUSE_SECONDS:
        return Held(Why.TOO_EARLY, f"next try not before {_stamp(count.retry_after)}")
    return None


def _stamp(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M UTC")
