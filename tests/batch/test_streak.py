from __future__ import annotations

from dataclasses import replace

import pytest

from batch.events import FileFinished
from batch.streak import ENOUGH, Streak
from orchestrator.contract.errors import ErrorClass, ErrorInfo

BROKEN = ErrorInfo("environment_broken", "No module named 'av'", "build", ErrorClass.ENVIRONMENT)


def failed(path: str, error: ErrorInfo | None = BROKEN) -> FileFinished:
    return FileFinished(path, "failed", error=error)


def test_files_that_fail_alike_in_a_row_end_the_run() -> None:
    streak = Streak()
    said = [streak.note(failed(f"/{number}")) for number in range(ENOUGH)]
    assert said[:-1] == [None] * (ENOUGH - 1)
    assert said[-1] == replace(
        BROKEN,
        message="3 files in a row failed alike, and so would all others: No module named 'av'",
    )


def test_the_name_of_the_file_makes_no_difference() -> None:
    streak = Streak()
    errors = [replace(BROKEN, message=f"/{number}: no model") for number in range(ENOUGH)]
    said = [streak.note(failed(f"/{number}", error)) for number, error in enumerate(errors)]
    assert said[-1] is not None


@pytest.mark.parametrize(
    "between",
    [
        FileFinished("/good", "done"),
        failed("/other", replace(BROKEN, message="No module named 'torch'")),
        failed("/other", replace(BROKEN, code="model_missing")),
    ],
)
def test_a_file_that_is_done_or_fails_otherwise_ends_the_streak(between: FileFinished) -> None:
    streak = Streak()
    for event in (failed("/a"), failed("/b"), between, failed("/c"), failed("/d")):
        assert streak.note(event) is None
    assert streak.note(failed("/e")) is not None


@pytest.mark.parametrize(
    "beside",
    [
        failed("/bad", ErrorInfo("not_media", "text", "", ErrorClass.INPUT)),
        failed("/odd", None),
        FileFinished("/stopped", "interrupted", error=BROKEN),
        FileFinished("/known", "failed", error=BROKEN, earlier=True),
    ],
)
def test_what_shows_nothing_counts_for_nothing(beside: FileFinished) -> None:
    streak = Streak()
    for event in (beside, failed("/a"), failed("/b"), beside):
        assert streak.note(event) is None
    assert streak.note(failed("/c")) is not None
