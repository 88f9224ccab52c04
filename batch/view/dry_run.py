"""The view of a dry run: what would be done to which file, and why, as it is decided."""

from __future__ import annotations

from collections import Counter

from rich.console import Console
from rich.text import Text

from batch import events
from batch.view.safe_text import safe_text
from batch.view.stream import LineView
from batch.view.words import byte_size, count, hours, reason_words, relative_to

_ACTION_CELLS = 6


class DryRunView(LineView):
    """One line per file on ``console``: the action, the file, the reason; then the totals.

    Nothing is kept per file, so a library of any size can be listed.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._folder = ""
        self._actions: Counter[str] = Counter()
        self._audio_seconds = 0.0
        self._unmeasured = 0

    def handle(self, event: events.Event) -> None:
        if isinstance(event, events.RunStarted):
            self._folder = event.input_dir
            self._print(Text.assemble("Dry run of ", (self._safe(event.input_dir), "bold")))
            for key, value, reason in event.settings:
                words = f"  {key}: {value}{f' ({reason})' if reason else ''}"
                self._print(Text(self._safe(words), style="bright_black"))
        elif isinstance(event, events.Queued):
            self._queued(event)
        elif isinstance(event, events.Skipped):
            detail = f": {event.detail}" if event.detail else ""
            self._line("skip", "bright_black", event.path, f"{reason_words(event.reason)}{detail}")
        elif isinstance(event, events.FileFinished) and event.error is not None:
            held = f" ({event.held})" if event.held else ""
            why = f"{event.error.message} {event.error.hint}".strip() + held
            self._line("fail", "red", event.path, why)
        elif isinstance(event, events.RunFinished):
            self._totals(event)

    def _queued(self, event: events.Queued) -> None:
        size = byte_size(event.size_bytes)
        if event.audio_seconds is None:
            self._unmeasured += 1
        else:
            self._audio_seconds += event.audio_seconds
            size = f"{size}, {hours(event.audio_seconds)}"
        self._line("make", "green", event.path, f"{reason_words(event.reason)} ({size})")

    def _line(self, action: str, style: str, path: str, why: str) -> None:
        self._actions[action] += 1
        name = self._safe(relative_to(self._folder, path))
        self._print(
            Text.assemble(
                (action.ljust(_ACTION_CELLS), style), name, (f"  {self._safe(why)}", "bright_black")
            )
        )

    def _totals(self, event: events.RunFinished) -> None:
        audio = f", {hours(self._audio_seconds)} of audio" if self._audio_seconds else ""
        if self._audio_seconds and self._unmeasured:
            audio += f" and {count(self._unmeasured, 'file')} of unknown length"
        failing = f", {self._actions['fail']:,} cannot be done" if self._actions["fail"] else ""
        self._print(
            Text(
                f"{count(self._actions['make'], 'file')} would be done{audio}, "
                f"{self._actions['skip']:,} skipped{failing}. Nothing was changed.",
                style="bold",
            )
        )
        if event.error is not None:
            self._print(Text(self._safe(f"{event.error.message} {event.error.hint}"), style="red"))

    def _safe(self, text: str) -> str:
        return safe_text(text, encoding=self._console.encoding)

    def _print(self, line: Text) -> None:
        self._console.print(line, soft_wrap=True)
