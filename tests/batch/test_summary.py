"""``summary.json``: complete, readable again, and cheap to keep."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from batch import events
from batch.summary import SummaryBuilder, load_summary
from batch.summary.model import EXAMPLES
from batch.summary.spool import Spool
from orchestrator.contract.errors import ErrorClass, ErrorInfo
from orchestrator.contract.exchange import StageWarning
from orchestrator.contract.job import Published, StageAccount

MISSING = ErrorInfo("no_audio_track", "no audio", "Look at it.", ErrorClass.INPUT)


class Watched:
    """A builder with a clock that the test moves."""

    def __init__(self) -> None:
        self.seconds = 0.0
        start = datetime(2026, 1, 31, 5, 0, tzinfo=UTC)
        self.builder = SummaryBuilder(
            clock=lambda: self.seconds, now=lambda: start + timedelta(seconds=self.seconds)
        )

    def handle(self, *happened: events.Event) -> None:
        for event in happened:
            self.builder.handle(event)


def stage(name: str, status: str, seconds: float) -> StageAccount:
    return StageAccount(name, status, "why", seconds)


def test_a_run_from_start_to_end(tmp_path: Path) -> None:
    run = Watched()
    run.handle(
        events.RunStarted("run-1", "/m", "/w", 2, False, (("model", "base", "no GPU"),)),
        events.Discovered(5, 2, 99),
        events.Queued("/m/a.mkv", 1, None, "new"),
        events.Queued("/m/b.mkv", 1, None, "new"),
        events.Queued("/m/c.mkv", 1, None, "new"),
        events.Skipped("/m/d.mkv", "already_done", ""),
        events.Skipped("/m/e.mkv", "subtitle_exists", "e.en.srt"),
        events.FileStarted("/m/a.mkv", "1"),
        events.Throttled("CPU"),
        events.Throttled("CPU again"),
        events.ThrottleEnded(7.0),
    )
    run.seconds = 50.0
    run.handle(events.Throttled("memory"))
    run.seconds = 60.0
    run.handle(
        events.FileFinished(
            "/m/a.mkv",
            "done",
            "20260131-000001",
            "/w/out/20260131-000001",
            60.0,
            600.0,
            "en",
            (stage("demux", "reused", 0.0), stage("asr", "ran", 50.0)),
            (Published("/m/a.en.srt", 1, 2, "abc"),),
            (StageWarning("audio_incomplete", "12 % missing"),),
        ),
        events.FileFinished(
            "/m/b.mkv", "failed", stages=(stage("asr", "failed", 2.0),), error=MISSING
        ),
        events.FileFinished("/m/c.mkv", "interrupted"),
        events.FileFinished("/m/f.mkv", "failed", error=MISSING, earlier=True),
        events.RunFinished(5),
    )
    run.seconds = 999.0
    path = tmp_path / "runs" / "run-1" / "summary.json"
    run.builder.write(path)

    summary = load_summary(path)
    assert (summary.version, summary.run_id, summary.exit_code) == (1, "run-1", 5)
    assert summary.started == "2026-01-31T05:00:00.000Z"
    assert summary.finished == "2026-01-31T05:01:00.000Z"
    assert [(one.key, one.value, one.reason) for one in summary.settings] == [
        ("model", "base", "no GPU")
    ]
    assert summary.totals.model_dump() == {
        "media": 5,
        "queued": 3,
        "done": 1,
        "failed": 1,
        "failed_earlier": 1,
        "quarantined": 0,
        "not_begun": 0,
        "partial": 0,
        "length_unverifiable": 0,
        "interrupted": 1,
        "skipped": {"already_done": 1, "subtitle_exists": 1},
    }
    assert (summary.audio_seconds, summary.wall_seconds, summary.speed) == (600.0, 60.0, 10.0)
    assert summary.throttled_seconds == 17.0
    assert {name: (one.seconds, one.count) for name, one in summary.stages.items()} == {
        "asr": (52.0, 2)
    }
    assert [one.path for one in summary.files] == ["/m/a.mkv", "/m/b.mkv", "/m/c.mkv", "/m/f.mkv"]
    done, failed, _, earlier = summary.files
    assert (done.job_id, done.language, done.published) == (
        "20260131-000001",
        "en",
        ("/m/a.en.srt",),
    )
    assert [(one.name, one.status, one.reason) for one in done.stages] == [
        ("demux", "reused", "why"),
        ("asr", "ran", "why"),
    ]
    assert [(one.code, one.message) for one in done.warnings] == [
        ("audio_incomplete", "12 % missing")
    ]
    assert failed.error is not None
    assert (failed.error.code, failed.error.error_class) == ("no_audio_track", "input")
    assert earlier.earlier
    assert [(one.path, one.detail) for one in summary.skipped] == [("/m/e.mkv", "e.en.srt")]
    assert [(one.code, one.count) for one in summary.failures] == [("no_audio_track", 2)]
    assert [(one.code, one.count) for one in summary.warnings] == [("audio_incomplete", 1)]


def test_what_is_known_of_the_sound_of_each_file(tmp_path: Path) -> None:
    run = Watched()
    run.handle(
        events.FileFinished("/m/a", "done", length_verified=True),
        events.FileFinished("/m/b", "done", length_verified=False),
        events.FileFinished(
            *("/m/c", "done"), length_verified=True, lost_seconds=2.5, missing=((1.0, 3.5),)
        ),
        events.FileFinished("/m/d", "failed", lost_seconds=9.0),
    )
    run.builder.write(tmp_path / "summary.json")
    summary = load_summary(tmp_path / "summary.json")
    assert [(one.length_verified, one.partial, one.missing) for one in summary.files] == [
        (True, False, ()),
        (False, False, ()),
        (True, True, ((1.0, 3.5),)),
        (None, False, ()),
    ]
    assert summary.files[2].lost_seconds == 2.5
    assert (summary.totals.partial, summary.totals.length_unverifiable) == (1, 1)


def test_the_file_has_its_documented_keys(tmp_path: Path) -> None:
    run = Watched()
    run.handle(
        events.FileFinished("/m/a", "failed", error=MISSING),
        events.RunFinished(4, ErrorInfo("no_model", "No model", "Fetch it.")),
    )
    run.builder.write(tmp_path / "summary.json")
    data = json.loads((tmp_path / "summary.json").read_bytes())
    assert list(data) == [
        *("version", "run_id", "dry_run", "input_dir", "work_dir", "started", "finished"),
        *("exit_code", "error", "settings", "totals", "audio_seconds", "wall_seconds", "speed"),
        *("throttled_seconds", "stages", "failures", "warnings", "files", "skipped"),
    ]
    assert data["error"]["class"] == "internal"
    assert data["files"][0]["error"] == MISSING.to_json()


def test_names_that_are_not_utf8_survive(tmp_path: Path) -> None:
    run = Watched()
    name = "/m/\udce9\n\x1b第.mkv"
    run.handle(
        events.FileFinished(name, "failed", error=MISSING),
        events.Skipped(name, "name_taken", name),
    )
    run.builder.write(tmp_path / "summary.json")
    summary = load_summary(tmp_path / "summary.json")
    assert summary.files[0].path == name
    assert summary.failures[0].examples[0].path == name
    assert summary.skipped[0].detail == name


def test_a_run_without_files_can_be_written(tmp_path: Path) -> None:
    run = Watched()
    run.builder.write(tmp_path / "summary.json")
    summary = load_summary(tmp_path / "summary.json")
    assert (summary.files, summary.skipped, summary.speed) == ((), (), 0.0)
    assert (summary.finished, summary.exit_code) == (None, None)


def test_a_finished_file_is_not_remembered_by_name() -> None:
    run = Watched()
    for number in range(1000):
        run.handle(events.Skipped(f"/m/{number}", "already_done", ""))
    assert run.builder.overview().totals.skipped == {"already_done": 1000}
    assert list(run.builder._skips) == []


def test_causes_are_grouped_and_the_largest_comes_first() -> None:
    run = Watched()
    other = ErrorInfo("crashed", "it crashed", "Again.")
    run.handle(events.FileFinished("/m/x", "failed", error=other))
    for number in range(EXAMPLES + 5):
        run.handle(events.FileFinished(f"/m/{number}", "failed", error=MISSING))
    first, second = run.builder.overview().failures
    assert (first.code, first.count, len(first.examples)) == (
        "no_audio_track",
        EXAMPLES + 5,
        EXAMPLES,
    )
    assert second.code == "crashed"


def test_many_records_come_back_in_order_and_take_little_room() -> None:
    spool = Spool()
    for number in range(1000):
        spool.add({"path": f"/media/library/Some film {number}/Some film {number}.mkv"})
    assert [json.loads(one)["path"].split()[-1] for one in spool] == [
        f"{number}.mkv" for number in range(1000)
    ]
    assert sum(map(len, spool._blocks)) < 30 * 768


def test_a_failed_write_leaves_the_old_summary(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    path.mkdir()
    with pytest.raises(IsADirectoryError):
        Watched().builder.write(path)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("text", ["[]", '{"version": 2}', "no json", '{"version": 1}'])
def test_what_is_no_summary_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "summary.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"not a .*summary|Expecting value"):
        load_summary(path)
