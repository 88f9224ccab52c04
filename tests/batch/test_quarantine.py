from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from batch.cli import main
from batch.file_record import Content, Failing
from batch.quarantine import entries
from batch.retry import QUARANTINE_AFTER, Count
from batch.state import State
from orchestrator.contract.errors import ErrorClass, ErrorInfo

NOW = 1_700_000_000.0
BAD = ErrorInfo("not_media", "it is text", "remove it", ErrorClass.INPUT)
CRASH = ErrorInfo("stage_crashed", "it crashed", "", ErrorClass.INTERNAL, retryable=True)

Run = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize(
    ("error", "past", "quarantined", "until"),
    [
        (BAD, Count(), True, "left alone until the file or the settings change"),
        (CRASH, Count(1), False, "the next run tries it again"),
        (CRASH, Count(2, NOW + 60), False, "next try not before 2023-11-14 22:14 UTC"),
        (
            CRASH,
            Count(QUARANTINE_AFTER),
            True,
            "it failed in 4 runs: left alone until the file or the settings change",
        ),
    ],
)
def test_each_file_that_failed_is_told_until_when(
    error: ErrorInfo, past: Count, quarantined: bool, until: str
) -> None:
    (entry,) = entries([Failing("/lib/a.mkv", error, past, NOW)], NOW)
    assert (entry.quarantined, entry.until) == (quarantined, until)


def test_one_that_was_released_is_not_told() -> None:
    assert list(entries([Failing("/lib/a.mkv", None, Count(), NOW)], NOW)) == []


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: str | Path) -> tuple[int, str, str]:
        code = main([*map(str, arguments), "--work-dir", str(tmp_path / "work")])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


@pytest.fixture
def failed(tmp_path: Path) -> Path:
    """A file that failed for good, another that crashed once, and one that is gone."""
    (tmp_path / "work").mkdir()
    with closing(State.open(tmp_path / "work" / "batch.db")) as state:
        for name, error in (("bad\x1b.mkv", BAD), ("odd.mkv", CRASH), ("gone.mkv", BAD)):
            path = str(tmp_path / name)
            state.record_failed(path, Content(1, 1), "key", error, NOW, count=Count(1))
            if name != "gone.mkv":
                Path(path).touch()
    return tmp_path / "bad\x1b.mkv"


def test_the_list(run: Run, failed: Path) -> None:
    code, out, err = run("--quarantine")
    assert (code, err) == (0, "")
    assert "\x1b" not in out
    assert "2023-11-14  it is text (not_media)" in out
    assert "-> remove it" in out
    assert "2 files failed, 1 of them are left alone." in out
    assert out.endswith("1 more file that failed cannot be found now.\n")


def test_the_list_for_programs(run: Run, failed: Path) -> None:
    code, out, _ = run("--quarantine", "--json")
    lines = {one["path"]: one for one in map(json.loads, out.splitlines())}
    assert code == 0
    assert lines[str(failed)] == {
        "path": str(failed),
        "since": "2023-11-14T22:13:20.000Z",
        "error": BAD.to_json(),
        "failures": 1,
        "quarantined": True,
        "until": "left alone until the file or the settings change",
    }


def test_one_file_is_let_go(run: Run, failed: Path) -> None:
    code, out, _ = run("--release", failed)
    assert (code, out.endswith(": the next run tries it again\n")) == (0, True)
    assert "1 file failed, 0 of them" in run("--quarantine")[1]


def test_what_is_not_on_the_list_cannot_be_let_go(run: Run, failed: Path) -> None:
    code, _, err = run("--release", failed.with_name("fine.mkv"))
    assert code == 3
    assert "(not_quarantined)" in err


def test_before_the_first_run_there_is_no_list(run: Run, tmp_path: Path) -> None:
    assert "0 files failed" in run("--quarantine")[1]
    assert "(not_quarantined)" in run("--release", "a.mkv")[2]
    assert not (tmp_path / "work").exists()
