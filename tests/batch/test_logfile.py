"""The log of a run: every event in words, safe, in UTC."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest

from batch import events
from batch.logfile import LogObserver, log_to
from orchestrator.contract.errors import ErrorInfo

BROKEN = ErrorInfo("no_audio_track", "no audio track", "Look at it.")
EVERY_KIND = (
    events.RunStarted("r", "/m", "/w", 2, True),
    events.Discovered(1, 1, 1),
    events.Queued("/m/a", 2_500_000, 90.0, "new"),
    events.Skipped("/m/b", "already_done", ""),
    events.Skipped("/m/c", "name_taken", "c.srt"),
    events.FileStarted("/m/a", "j"),
    events.StagesPlanned("/m/a", ()),
    events.StageProgress("/m/a", "asr", 1, 4, "s"),
    events.LoadSampled(1, 2, 3, 4),
    events.RunWarning("odd", "something odd"),
    events.FileFinished("/m/a", "failed", error=BROKEN),
    events.Draining("SIGINT", 30),
    events.RunFinished(5),
)


def logged(folder: Path, level: str, *happened: events.Event) -> list[str]:
    path = folder / "runs" / "r" / "batch.log"
    with log_to(path, level):
        observer = LogObserver()
        for event in happened:
            observer.handle(event)
    lines = path.read_text("utf-8").splitlines()
    stamp = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ")
    assert all(stamp.match(line) for line in lines)
    return [stamp.sub("", line).replace(" batch.run:", "") for line in lines]


def test_debug_has_every_event(tmp_path: Path) -> None:
    assert logged(tmp_path, "debug", *EVERY_KIND) == [
        "INFO dry run r of /m, at most 2 files at once, work folder /w",
        "INFO found 1 media file in 1 folder, 1 B",
        "DEBUG /m/a: to do (new; 2.5 MB, 1 min 30 s of audio)",
        "DEBUG /m/b: skipped, already done",
        "INFO /m/c: skipped, name taken: c.srt",
        "INFO /m/a: started, job j",
        "DEBUG /m/a: stages to run: none, all is there",
        "DEBUG /m/a: asr 25 %",
        "DEBUG load: CPU 1 %, memory 2 %, GPU 3 %, VRAM 4 %",
        "WARNING warning: something odd (odd)",
        "ERROR /m/a: failed after 0.0 s: no audio track. Look at it. (no_audio_track)",
        "WARNING stopping (SIGINT): no new files, those in progress have 30 s to end their stage",
        "INFO run ended with exit code 5",
    ]


def test_info_leaves_out_files_that_were_done_before(tmp_path: Path) -> None:
    lines = logged(tmp_path, "info", *EVERY_KIND)
    assert not [line for line in lines if line.startswith("DEBUG") or "/m/b" in line]


def test_names_cannot_forge_lines(tmp_path: Path) -> None:
    lines = logged(tmp_path, "info", events.FileStarted("/m/\n\x1b[2J\udcff", "j"))
    assert lines == ["INFO /m/\\n\\x1b[2J\\xff: started, job j"]


def test_tracebacks_are_indented(tmp_path: Path) -> None:
    path = tmp_path / "batch.log"
    with log_to(path, "error"):
        try:
            raise RuntimeError("bug\x1b")
        except RuntimeError:
            logging.getLogger("batch").exception("it broke")
    first, *rest = path.read_text("utf-8").splitlines()
    assert first.endswith("ERROR batch: it broke")
    assert rest[-1] == "  RuntimeError: bug\\x1b"
    assert all(line.startswith("  ") for line in rest)


def test_logging_is_as_before_afterwards(tmp_path: Path) -> None:
    root = logging.getLogger()
    before = (root.level, list(root.handlers))
    with log_to(tmp_path / "batch.log", "debug"):
        assert root.level == logging.DEBUG
    assert (root.level, list(root.handlers)) == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_does_not_stop_the_run(capfd: pytest.CaptureFixture[str]) -> None:
    with log_to(Path("/dev/full"), "info"):
        LogObserver().handle(events.RunFinished(0))
    assert capfd.readouterr() == ("", "")
