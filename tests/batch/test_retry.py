from __future__ import annotations

from dataclasses import replace

import pytest

from batch.retry import (
    LONGEST_PAUSE_SECONDS,
    PAUSE_SECONDS,
    QUARANTINE_AFTER,
    Count,
    Held,
    Why,
    after_failure,
    hold,
    is_lasting,
)
from orchestrator.contract.errors import ErrorClass, ErrorInfo

NOW = 1_700_000_000.0
BAD = ErrorInfo("not_media", "it is text", "remove it", ErrorClass.INPUT)
CRASH = ErrorInfo("stage_crashed", "it crashed", "", ErrorClass.INTERNAL, retryable=True)
MEMORY = replace(CRASH, code="out_of_memory", error_class=ErrorClass.OUT_OF_MEMORY)
PACKAGE = ErrorInfo("environment_broken", "no av", "build it", ErrorClass.ENVIRONMENT)
DISK = ErrorInfo("permission_denied", "no", "allow it", ErrorClass.STORAGE)
CHANGED = replace(BAD, code="source_changed", retryable=True)


def middle() -> float:
    return 0.5


@pytest.mark.parametrize(
    ("error", "lasting"),
    [
        (BAD, True),
        (replace(CRASH, retryable=False), True),
        (CRASH, False),
        (CHANGED, False),
        (PACKAGE, False),
        (DISK, False),
    ],
)
def test_only_what_is_the_files_own_lasts(error: ErrorInfo, lasting: bool) -> None:
    assert is_lasting(error) is lasting
    held = hold(error, Count(), NOW)
    assert (held is not None and held.why is Why.QUARANTINED) is lasting


@pytest.mark.parametrize("error", [PACKAGE, DISK, CHANGED])
def test_what_somebody_mends_is_tried_by_every_run(error: ErrorInfo) -> None:
    count = Count(2, NOW + 60)
    assert after_failure(count, error, NOW, middle) == Count(2, 0.0)
    assert hold(error, Count(99, NOW + 60), NOW) is None


@pytest.mark.parametrize("error", [CRASH, MEMORY])
def test_an_unclear_failure_is_tried_less_and_less_often_and_then_no_more(
    error: ErrorInfo,
) -> None:
    count, pauses = Count(), []
    for _ in range(QUARANTINE_AFTER - 1):
        count = after_failure(count, error, NOW, middle)
        pauses.append(count.retry_after - NOW if count.retry_after else 0.0)
        held = hold(error, count, NOW)
        assert (held is None) is (pauses[-1] == 0.0)
        assert hold(error, count, count.retry_after) is None, "its time has come"
    assert pauses == [0.0, PAUSE_SECONDS, 2 * PAUSE_SECONDS]
    count = after_failure(count, error, NOW, middle)
    assert hold(error, count, NOW + 1e9) == Held(
        Why.QUARANTINED, "it failed in 4 runs: left alone until the file or the settings change"
    )


def test_it_is_said_when_the_next_try_is() -> None:
    assert hold(CRASH, Count(2, NOW + 60), NOW) == Held(
        Why.TOO_EARLY, "next try not before 2023-11-14 22:14 UTC"
    )


def test_files_that_failed_together_do_not_come_back_together() -> None:
    earliest = after_failure(Count(1), CRASH, NOW, lambda: 0.0).retry_after
    latest = after_failure(Count(1), CRASH, NOW, lambda: 0.999).retry_after
    assert (earliest - NOW, round(latest - NOW)) == (0.5 * PAUSE_SECONDS, 5396)


def test_a_time_from_a_clock_that_went_wrong_holds_nothing_back() -> None:
    longest = after_failure(Count(QUARANTINE_AFTER - 2), CRASH, NOW, lambda: 1.0)
    assert hold(CRASH, longest, NOW) is not None
    assert longest.retry_after - NOW == LONGEST_PAUSE_SECONDS
    assert hold(CRASH, longest._replace(retry_after=NOW + LONGEST_PAUSE_SECONDS + 1), NOW) is None
