"""What judges a night notices each thing that may be wrong with it: planted here, one at a time."""

from __future__ import annotations

import copy
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.end_to_end.conftest import Outcome
from tests.faults import night as judge
from tests.faults.causes import untold, untold_of_file
from tests.faults.forked import Ended, Forks
from tests.faults.night import Kept, Night
from tests.faults.scenes import ForkedNight, outcome_of

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(sys.platform != "linux", reason="the nights are traced, which is Linux's"),
]

Plant = Callable[[ForkedNight], None]


@dataclass(frozen=True)
class Done:
    """A night that is over, and what it printed."""

    night: ForkedNight
    kept: Kept
    out: str


@pytest.fixture(scope="module")
def done(
    tmp_path_factory: pytest.TempPathFactory, shared_environments: list[Path], forks: Forks
) -> Done:
    folder = tmp_path_factory.mktemp("judged") / "night"
    night = ForkedNight(folder, shared_environments, ["a.wav"], forks)
    out = night.undisturbed().out
    return Done(night, night.keep(), out)


@pytest.fixture
def night(done: Done) -> Iterator[ForkedNight]:
    """The night that is over, for a test to spoil."""
    night = done.night
    expected, settings = dict(night.expected), copy.deepcopy(night.batch.settings)
    yield night
    night.restore(done.kept)
    night.expected, night.batch.settings, night.extra = expected, settings, ()
    vars(night).pop("again", None)


def nothing(night: Night) -> None:
    """The control: a night of which nothing is wrong."""


def lost(night: Night) -> None:
    (night.batch.library / "a.en.srt").unlink()


def torn(night: Night) -> None:
    path = night.batch.library / "a.en.srt"
    path.write_bytes(path.read_bytes()[:7])


def empty(night: Night) -> None:
    (night.batch.library / "a.en.srt").write_bytes(b"")


def unknown(night: Night) -> None:
    (night.batch.library / "a.de.srt").write_bytes(b"nobody asked for it")


def source_written(night: Night) -> None:
    with (night.batch.library / "a.wav").open("ab") as stream:
        stream.write(b"\0")


def source_gone(night: Night) -> None:
    (night.batch.library / "a.wav").unlink()


@pytest.mark.parametrize(
    ("plant", "notice"),
    [
        (nothing, ""),
        (lost, "acknowledged but not there: a.en.srt"),
        (torn, "published torn or unknown: a.en.srt (7 bytes)"),
        (empty, "published torn or unknown: a.en.srt (0 bytes)"),
        (unknown, "published torn or unknown: a.de.srt"),
        (source_written, "source changed"),
        (source_gone, "source changed"),
    ],
)
def test_right_after_the_fault(night: ForkedNight, done: Done, plant: Plant, notice: str) -> None:
    plant(night)
    assert_noticed(night.wrong_after_the_fault(done.out), notice)


def never_made(night: Night) -> None:
    night.expected["a.fr.srt"] = b"what nobody makes"


def left_over(night: Night) -> None:
    (night.batch.library / ".batch-subtitles-0123.tmp").touch()


def done_twice(night: Night) -> None:
    night.extra = ("--no-resume",)


def made_again(night: ForkedNight) -> None:
    """The next night begins with a stage that is run although its result is whole."""
    again, work = night.again, ("--work-dir", str(night.batch.work.root))

    def forced() -> Outcome:
        arguments = ["run", "--force", "--job", str(night.batch.jobs()[0]), *work]
        arguments += ["--config", str(night.batch.config)]
        night.forks.run("run-pipeline", arguments, night.batch.environ)
        return again()

    vars(night)["again"] = forced


def unrecorded(night: Night) -> None:
    with closing(sqlite3.connect(night.batch.work.database)) as connection:
        connection.execute("UPDATE files SET outputs = '[]'")
        connection.commit()


def refused(night: Night) -> None:
    night.batch.settings["no_such_setting"] = 1


@pytest.mark.parametrize(
    ("plant", "notice"),
    [
        (nothing, ""),
        (never_made, "the library is not what it should be: ['a.fr.srt']"),
        (left_over, "the library is not what it should be: ['.batch-subtitles-0123.tmp']"),
        (done_twice, "done twice: ['a.wav']"),
        (made_again, "made again, though it was whole"),
        (unrecorded, "not recorded as ours: a.en.srt"),
        (refused, "the next night ended with 2"),
        (source_gone, "source changed"),
    ],
)
def test_after_the_next_night(night: ForkedNight, done: Done, plant: Plant, notice: str) -> None:
    plant(night)
    assert_noticed(night.wrong_after_the_next_night(done.out), notice)


def test_what_was_done_before_the_night_is_not_done_again(night: Night) -> None:
    night.extra = ("--no-resume",)
    assert night.wrong_after_the_next_night("", todo={"a.wav"}) == []
    assert "done twice: ['a.wav']" in night.wrong_after_the_next_night("", todo=set())


def test_a_survivor(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge, "SURVIVAL_SECONDS", 0.1)
    child = subprocess.Popen(["sleep", "600"], env=night.batch.environ)
    try:
        assert_noticed(night.survivors(), f"survivor: {child.pid} ['sleep', '600']")
    finally:
        child.kill()
        child.wait()


@pytest.mark.parametrize(
    ("error", "ended", "spoilt", "notice"),
    [
        ("EIO", Ended(0, "", ""), False, ""),
        ("EIO", Ended(75, "", "storage_error: the disk is ill"), True, ""),
        ("ENOSPC", Ended(75, "", "No space left on device"), True, ""),
        ("ENOSPC", Ended(75, "database or disk is full", ""), True, ""),
        ("EIO", Ended(75, "", "disk_full"), True, "it ended with 75 and does not tell the cause"),
        ("EACCES", Ended(1, "something went wrong", ""), True, "does not tell the cause"),
        ("EIO", Ended(0, "", "Traceback (most recent call last): EIO"), False, "a traceback"),
    ],
)
def test_the_cause_of_a_run_that_ended_badly(
    error: str, ended: Ended, spoilt: bool, notice: str
) -> None:
    assert_noticed(untold(error, ended, spoilt=spoilt), notice)


@pytest.mark.parametrize(
    ("fault", "code", "notice"),
    [
        ("EIO", "storage_error", ""),
        ("EACCES", "permission_denied", ""),
        ("signal=KILL", "job_died", ""),
        ("EIO", "internal", "a.wav failed and the cause is not told"),
        ("signal=KILL", "internal", "a.wav failed and the cause is not told"),
    ],
)
def test_the_cause_of_a_file_that_failed(fault: str, code: str, notice: str) -> None:
    event = (
        f'{{"event": "file_finished", "path": "{os.sep}a.wav", "status": "failed",'
        f' "error": {{"code": "{code}"}}}}\n'
    )
    assert_noticed(untold_of_file(fault, "a.wav", outcome_of(Ended(5, event, ""))), notice)


def assert_noticed(wrong: list[str], notice: str) -> None:
    """Nothing is wrong where nothing was planted, and what was planted is told of."""
    if notice:
        assert any(notice in one for one in wrong), wrong
    else:
        assert wrong == []
