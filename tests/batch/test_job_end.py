"""The end of a job is recorded once, whatever the disk does that was asked about it."""

import pytest

from batch.events import FileFinished
from batch.job_end import End

DONE = FileFinished("/lib/Film.mkv", "done")


def test_the_thread_that_looked_records_it() -> None:
    end = End()
    assert end.record(lambda: DONE) is DONE


def test_what_was_recorded_in_the_last_moment_counts() -> None:
    end = End()
    end.record(lambda: DONE)
    assert end.without_answer() is DONE


def test_an_answer_that_comes_too_late_records_nothing() -> None:
    end = End()
    assert end.without_answer() is None
    assert end.record(lambda: pytest.fail("the file was given up")) is None
