"""Plain lines for pipes: dated, without control characters, and not too many."""

from __future__ import annotations

import io
from datetime import datetime

from batch import events
from batch.view.plain import PlainView
from batch.view.stream import LineStream
from orchestrator.contract.errors import ErrorClass, ErrorInfo
from orchestrator.contract.exchange import StageWarning
from orchestrator.contract.job import Published

STAMP = "2026-01-31 23:00:00 "
MISSING = ErrorInfo("no_audio_track", "/m/a: no audio track", "Look at it.", ErrorClass.INPUT)


class Kept(LineStream):
    """Lines that go nowhere."""

    def __init__(self) -> None:
        super().__init__(io.StringIO())
        self.kept: list[str] = []

    def line(self, text: str, *, passing: bool = False) -> None:
        self.kept.append(text)


class Watched:
    """A plain view with a clock that the test moves."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.stream = Kept()
        self.view = PlainView(
            self.stream, clock=lambda: self.seconds, now=lambda: datetime(2026, 1, 31, 23, 0)
        )

    def lines(self, *happened: events.Event) -> list[str]:
        start = len(self.stream.kept)
        with self.view as view:
            for event in happened:
                view.handle(event)
        return [line.removeprefix(STAMP) for line in self.stream.kept[start:]]


def test_every_event_worth_a_line() -> None:
    assert Watched().lines(
        events.RunStarted("r", "/m", "/w", 1, False, (("model", "base", "no GPU"),)),
        events.Discovered(2, 1, 999),
        events.Queued("/m/a", 1, None, "new"),
        events.Skipped("/m/b", "subtitle_exists", "b.en.srt is there"),
        events.Skipped("/m/c", "already_done", ""),
        events.FileStarted("/m/a", "j1"),
        events.StagesPlanned("/m/a", ("asr",)),
        events.FileWarning("/m/a", "asr", StageWarning("odd", "something odd")),
        events.LoadSampled(1, 2),
        events.Throttled("CPU 97 % >= 85 %"),
        events.ThrottleEnded(65),
        events.FileFinished(
            "/m/a",
            "done",
            seconds=60,
            audio_seconds=600,
            language="en",
            published=(Published("/m/a.en.srt", 1, 2, "h"),),
        ),
        events.FileFinished("/m/a", "failed", seconds=1, error=MISSING),
        events.FileFinished("/m/a", "failed", error=MISSING, earlier=True),
        events.FileFinished("/m/a", "interrupted", seconds=3),
        events.Draining("SIGTERM", 30),
        events.RunFinished(2, ErrorInfo("bad_settings", "It is wrong", "Fix it.")),
    ) == [
        "run r of /m, at most 1 file at once, work folder /w; model: base (no GPU)",
        "found 2 media files in 1 folder, 999 B",
        "/m/b: skipped, subtitle exists: b.en.srt is there",
        "/m/a: started, job j1",
        "/m/a: warning from asr: something odd (odd)",
        "no new files for now: CPU 97 % >= 85 %",
        "going on after holding new files back for 1 min 5 s",
        "/m/a: done in 1 min 0 s for 10 min 0 s of audio (10.0 x real time), language en; "
        "wrote /m/a.en.srt",
        "/m/a: failed after 1.0 s: No audio track. Look at it. (no_audio_track)",
        "/m/a: failed in an earlier run: No audio track. Look at it. (no_audio_track)",
        "/m/a: interrupted after 3.0 s",
        "stopping (SIGTERM): no new files, those in progress have 30 s to end their stage",
        "run ended with exit code 2: It is wrong (bad_settings). Fix it.",
    ]


def test_a_file_that_has_lost_sound_is_called_partial() -> None:
    whole = events.FileFinished("/m/a", "done", seconds=6, length_verified=True)
    unknown = events.FileFinished("/m/b", "done", seconds=6, length_verified=False)
    spans = ((60.0, 72.5), (90.0, 91.0))
    partial = events.FileFinished("/m/c", "done", seconds=6, lost_seconds=13.5, missing=spans)
    nobody_knows_where = events.FileFinished("/m/d", "done", seconds=6, lost_seconds=2)
    assert Watched().lines(whole, unknown, partial, nobody_knows_where) == [
        "/m/a: done in 6.0 s",
        "/m/b: done in 6.0 s; length unverifiable",
        "/m/c: done in 6.0 s; partial, 14 s of audio are missing (1:00 to 1:12, 1:30 to 1:31)",
        "/m/d: done in 6.0 s; partial, 2.0 s of audio are missing",
    ]


def test_progress_is_mentioned_every_thirty_seconds_at_most() -> None:
    watched = Watched()

    def progress(done: float, total: float | None = 100.0) -> events.StageProgress:
        return events.StageProgress("/m/a", "asr", done, total, "s")

    assert watched.lines(events.FileStarted("/m/a", "j"), progress(1)) == ["/m/a: started, job j"]
    watched.seconds = 29.9
    assert watched.lines(progress(20)) == []
    watched.seconds = 30.0
    assert watched.lines(progress(25), progress(26)) == ["/m/a: asr 25 %"]
    watched.seconds = 60.0
    assert watched.lines(progress(31, None)) == ["/m/a: asr 31 s"]


def test_control_characters_never_get_through() -> None:
    lines = Watched().lines(events.FileStarted("/m/\x1b[31m\n2026 forged", "j"))
    assert lines == ["/m/\\x1b[31m\\n2026 forged: started, job j"]
