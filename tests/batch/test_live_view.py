"""The live view on a terminal of fixed size, with a clock of our own."""

from __future__ import annotations

import io
import re
from datetime import datetime
from threading import Event as Flag

import pytest
from rich.console import Console

from batch import events
from batch.view.live import LiveView
from orchestrator.contract.errors import ErrorClass, ErrorInfo
from orchestrator.contract.exchange import StageWarning

NOW = datetime(2026, 1, 31, 23, 0)
BROKEN = ErrorInfo(
    "no_audio_track", "/m/b.mkv: no audio track", "Check it in a player.", ErrorClass.INPUT
)


def terminal(*, no_color: bool = False) -> Console:
    return Console(
        file=io.StringIO(),
        width=60,
        height=15,
        force_terminal=True,
        legacy_windows=False,
        _environ={"TERM": "xterm-256color"},
        no_color=no_color,
    )


def view(console: Console) -> LiveView:
    return LiveView(console, clock=lambda: 0.0, now=lambda: NOW, threaded=False)


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def run(console: Console, *happened: events.Event) -> str:
    with view(console) as live:
        for event in (events.RunStarted("run-1", "/m", "/w", 2, False), *happened):
            live.handle(event)
        live.tick()
    return written(console)


def without_styles(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def test_events_alone_draw_nothing() -> None:
    console = terminal()
    with view(console) as live:
        before = written(console)
        for number in range(1000):
            live.handle(events.Skipped(f"/m/{number}", "already_done", ""))
        assert written(console) == before
        live.tick()
        assert "1,000 skipped" in written(console)


def test_the_header_and_finished_files_stay() -> None:
    text = run(
        terminal(no_color=True),
        events.RunStarted("run-1", "/m", "/w", 2, True, (("model", "base", "no GPU"),)),
        events.Discovered(3, 1, 5_000_000),
        events.FileFinished("/m/a.mkv", "done", seconds=60, audio_seconds=600, language="en"),
        events.FileFinished("/m/c.mkv", "done", seconds=5),
        events.RunWarning("odd", "something odd"),
        events.FileFinished(
            "/m/b.mkv",
            "failed",
            seconds=1,
            error=BROKEN,
            warnings=(StageWarning("audio_incomplete", "12 % of the audio is missing"),),
        ),
        events.FileFinished("/m/d.mkv", "failed", error=ErrorInfo("bug", "it broke")),
        events.FileFinished("/m/e.mkv", "interrupted", seconds=2, error=BROKEN),
        events.FileFinished("/m/old.mkv", "failed", error=BROKEN, earlier=True),
    )
    for line in (
        "Dry run run-1",
        "  model: base (no GPU)",
        "found 3 media files in 1 folder, 5.0 MB",
        "✓ a.mkv  en 10 min 0 s in 1 min 0 s, 10.0 x",
        "✓ c.mkv  5.0 s",
        "  ! something odd (odd)",
        "✗ b.mkv  failed after 1.0 s",
        "  No audio track (no_audio_track)",
        "  → Check it in a player.",
        "  ! 12 % of the audio is missing (audio_incomplete)",
        "  it broke (bug)",
        "◦ e.mkv  interrupted after 2.0 s",
    ):
        assert line in without_styles(text)
    assert "old.mkv" not in text


def test_no_color_writes_no_colours() -> None:
    assert "\x1b[32m" in run(terminal(), events.FileFinished("/m/a", "done"))
    assert "\x1b[32m" not in run(terminal(no_color=True), events.FileFinished("/m/a", "done"))


def test_hostile_names_reach_the_terminal_escaped() -> None:
    text = run(terminal(no_color=True), events.FileFinished("/m/[/x]\x1b]0;t\x07\udcff", "done"))
    assert "[/x]\\x1b]0;t\\x07\\xff" in text


def test_the_cursor_is_never_left_hidden() -> None:
    console = terminal()
    with view(console):
        shown = written(console)
        assert shown.rfind("\x1b[?25h") > shown.rfind("\x1b[?25l")
    shown = written(console)
    assert shown.rfind("\x1b[?25h") > shown.rfind("\x1b[?25l")


def test_an_error_inside_still_restores_the_terminal() -> None:
    console = terminal()
    with pytest.raises(RuntimeError), view(console):
        raise RuntimeError("bug")
    assert not console._live_stack


class RecordingTerminal(io.StringIO):
    """Tells when something that is awaited has been drawn."""

    def __init__(self, awaited: str) -> None:
        super().__init__()
        self.awaited = awaited
        self.seen = Flag()

    def write(self, text: str) -> int:
        if self.awaited in text:
            self.seen.set()
        return super().write(text)


def test_its_own_thread_draws() -> None:
    file = RecordingTerminal("1 skipped")
    with LiveView(Console(file=file, force_terminal=True, width=60, height=15)) as live:
        live.handle(events.Skipped("/m/a", "already_done", ""))
        assert file.seen.wait(30)


class LostTerminal(io.StringIO):
    """A terminal whose connection drops."""

    def __init__(self) -> None:
        super().__init__()
        self.lost = False
        self.refused = Flag()

    def write(self, text: str) -> int:
        if self.lost:
            self.refused.set()
            raise OSError(5, "Input/output error")
        return super().write(text)


def test_a_lost_terminal_does_not_stop_the_run() -> None:
    file = LostTerminal()
    with LiveView(Console(file=file, force_terminal=True, width=60, height=15)) as live:
        file.lost = True
        assert file.refused.wait(30)
        live.handle(events.FileFinished("/m/a", "done"))
