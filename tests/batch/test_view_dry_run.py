"""A dry run lists each file with the reason."""

from __future__ import annotations

import io

from rich.console import Console

from batch import events
from batch.view.dry_run import DryRunView
from orchestrator.contract.errors import ErrorInfo


def listing(*happened: events.Event) -> list[str]:
    file = io.StringIO()
    with DryRunView(Console(file=file, width=40)) as view:
        for event in happened:
            view.handle(event)
    return file.getvalue().splitlines()


def test_each_file_and_the_totals() -> None:
    assert listing(
        events.RunStarted("r", "/m", "/w", 1, True, (("model", "base", "no GPU"), ("x", "1", ""))),
        events.Discovered(4, 1, 9),
        events.Queued("/m/a film with a rather long name.mkv", 700_000_000, 5400.0, "new"),
        events.Queued("/m/b.mkv", 1000, None, "settings_changed"),
        events.Skipped("/m/c.mkv", "subtitle_exists", "c.en.srt is there"),
        events.Skipped("/m/d.mkv", "already_done", ""),
        events.FileFinished("/m/\x1b.mkv", "failed", error=ErrorInfo("e", "is empty", "Delete.")),
        events.RunFinished(0),
    ) == [
        "Dry run of /m",
        "  model: base (no GPU)",
        "  x: 1",
        "make  a film with a rather long name.mkv  new (700 MB, 1.5 h)",
        "make  b.mkv  settings changed (1.0 kB)",
        "skip  c.mkv  subtitle exists: c.en.srt is there",
        "skip  d.mkv  already done",
        "fail  \\x1b.mkv  is empty Delete.",
        "2 files would be done, 1.5 h of audio and 1 file of unknown length, 2 skipped, "
        "1 cannot be done. Nothing was changed.",
    ]


def test_an_early_end_says_why() -> None:
    assert listing(
        events.RunFinished(3, ErrorInfo("no_media", "Nothing here.", "Look there."))
    ) == [
        "0 files would be done, 0 skipped. Nothing was changed.",
        "Nothing here. Look there.",
    ]
