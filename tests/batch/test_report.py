"""The report at the end of a run."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from batch import events
from batch.report import SHOWN_FILES, print_report
from batch.summary import SummaryBuilder
from orchestrator.contract.errors import ErrorInfo
from orchestrator.contract.exchange import StageWarning
from orchestrator.contract.job import StageAccount

FOLDER = "/media"


def failed(name: str, code: str = "no_audio_track", message: str = "") -> events.FileFinished:
    path = f"{FOLDER}/{name}"
    error = ErrorInfo(code, message or f"{path}: no audio track", f"Fix {code}.")
    return events.FileFinished(path, "failed", error=error)


def report(*happened: events.Event, terminal: bool = False, paths: bool = True) -> str:
    seconds = iter(range(0, 100_000, 100))
    builder = SummaryBuilder(clock=lambda: float(next(seconds)))
    for event in (events.RunStarted("r", FOLDER, "/w", 1, False), *happened):
        builder.handle(event)
    file = io.StringIO()
    console = Console(
        file=file,
        width=80,
        force_terminal=terminal,
        no_color=True,
        highlight=False,
        _environ={"TERM": "xterm"},
    )
    print_report(
        console,
        builder.overview(),
        summary_path=Path("/w/runs/r/summary.json") if paths else None,
        log_path=Path("/w/runs/r/batch.log") if paths else None,
        timeline="/w/runs/r/timeline.html" if paths else None,
    )
    return file.getvalue()


def test_a_good_run_when_piped() -> None:
    text = report(
        events.Discovered(1200, 3, 5),
        *(events.Skipped(f"/media/{n}", "already_done", "") for n in range(3)),
        events.Skipped("/media/x", "subtitle_exists", "x.srt"),
        events.FileFinished(
            "/media/a",
            "done",
            audio_seconds=5400.0,
            stages=(StageAccount("asr", "ran", "new", 90.0),),
        ),
        events.RunFinished(0),
    )
    assert text == (
        "\n"
        "Done\n"
        "  Media files           1,200  /media\n"
        "  Done                      1\n"
        "  Skipped                   4  3 already done, 1 subtitle exists\n"
        "  Audio                 1.5 h  54.0 x real time\n"
        "  Time             1 min 40 s\n"
        "    asr            1 min 30 s  1 file, 1 min 30 s each\n"
        "\n"
        "  Summary  /w/runs/r/summary.json\n"
        "  Log      /w/runs/r/batch.log\n"
        "  Timeline /w/runs/r/timeline.html\n"
    )


def test_failures_of_one_cause_are_one_entry() -> None:
    text = report(failed("a.mkv"), failed("sub/b.mkv"), events.RunFinished(5))
    assert "Done, but some files failed\n" in text
    assert (
        "  Failed: 2 files\n"
        "  ✗ No audio track (no_audio_track, 2 files)\n"
        "    → Fix no_audio_track.\n"
        "    a.mkv\n"
        "    sub/b.mkv\n"
    ) in text


def test_different_messages_of_one_cause_are_kept() -> None:
    text = report(failed("a.mkv", "crashed", "exit 1"), failed("b.mkv", "crashed", "exit 2"))
    assert (
        "  ✗ Crashed (crashed, 2 files)\n    → Fix crashed.\n    a.mkv: exit 1\n    b.mkv: exit 2\n"
    ) in text


def test_only_so_many_failures_are_shown() -> None:
    text = report(
        *(failed(f"{n}.mkv") for n in range(SHOWN_FILES + 400)),
        failed("x.mkv", "crashed"),
        failed("y.mkv", "lost"),
    )
    assert text.count(".mkv") == SHOWN_FILES
    assert "    … and 400 more, see the summary\n" in text
    assert "  … and 2 more, see the summary\n" in text


def test_warnings_failures_of_before_and_interruptions() -> None:
    earlier = events.FileFinished(
        "/media/old.mkv", "failed", error=ErrorInfo("crashed", "it crashed"), earlier=True
    )
    lasting = replace(earlier, path="/media/bad.mkv", quarantined=True)
    warned = events.FileFinished(
        "/media/w.mkv", "done", warnings=(StageWarning("audio_incomplete", "12 % missing"),)
    )
    text = report(earlier, lasting, warned, events.FileFinished("/media/i", "interrupted"))
    assert "  Failed before             2  1 on the list that --quarantine shows, 1 will be" in text
    assert "  Interrupted               1  the next run goes on with them\n" in text
    assert "  Warnings\n  ! 12 % missing (audio_incomplete)\n    w.mkv\n" in text


def test_files_that_are_not_whole_or_may_not_be_are_counted() -> None:
    text = report(
        events.FileFinished("/media/a", "done", length_verified=True, lost_seconds=12.0),
        events.FileFinished("/media/b", "done", length_verified=False),
        events.FileFinished("/media/c", "done", length_verified=False),
        events.FileFinished("/media/d", "failed", length_verified=False, lost_seconds=12.0),
    )
    assert "    partial                 1  sound is missing, and so are its subtitles;" in text
    assert "    unverifiable            2  length unverifiable: a cut-off end would not" in text


def test_throttling_is_reported() -> None:
    text = report(events.Throttled("CPU"), events.ThrottleEnded(65.0), events.RunFinished(0))
    assert "new files held back for 1 min 5 s: machine busy" in text


@pytest.mark.parametrize("code", [75, 130, 143])
def test_a_stopped_run_says_how_to_go_on(code: int) -> None:
    assert "Stopped; the same command goes on from here" in report(events.RunFinished(code))


@pytest.mark.parametrize("hint", ["", "Fetch it."])
def test_a_run_that_could_not_begin_says_why(hint: str) -> None:
    text = report(events.RunFinished(4, ErrorInfo("no_model", "No model", hint)), paths=False)
    assert "Not done\n  No model (no_model)\n" in text
    assert ("  → Fetch it.\n" in text) == bool(hint)
    assert "Summary" not in text


def test_a_terminal_of_eighty_columns() -> None:
    text = report(
        events.FileFinished("/media/a", "done", audio_seconds=3600.0),
        failed("a name so long that it cannot stand on one line of a terminal " * 2 + ".mkv"),
        events.Skipped("/media/x", "subtitle_exists", ""),
        events.RunFinished(5),
        terminal=True,
    )
    lines = text.splitlines()
    assert any(line.rstrip().endswith("─" * 20) for line in lines)
    assert all(len(line) < 200 for line in lines)
    assert max(cell_len(line) for line in lines if "\x1b" not in line) <= 80


def test_hostile_names_are_escaped() -> None:
    text = report(failed("[/foo]\x1b[31m\u202e.mkv"))
    assert "[/foo]\\x1b[31m\\u202e.mkv" in text
    assert "\x1b" not in text
