"""What a run did, as a table for the end of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from batch.summary.model import Cause, Example, Overview, Totals
from batch.view.safe_text import safe_text
from batch.view.words import (
    Glyphs,
    count,
    duration,
    glyphs_for,
    hours,
    reason_words,
    relative_to,
    times_real_time,
    without_name,
)
from orchestrator.contract.errors import ExitCode

SHOWN_FILES = 20
"""At most this many failed files are named; the summary has them all."""

_TITLES: dict[int | None, tuple[str, str]] = {
    ExitCode.OK: ("Done", "bold green"),
    ExitCode.SOME_FAILED: ("Done, but some files failed", "bold yellow"),
    ExitCode.RESUMABLE: ("Stopped; the same command goes on from here", "bold yellow"),
    ExitCode.INTERRUPTED: ("Stopped; the same command goes on from here", "bold yellow"),
    ExitCode.TERMINATED: ("Stopped; the same command goes on from here", "bold yellow"),
}


def print_report(
    console: Console,
    run: Overview,
    *,
    summary_path: Path | None,
    log_path: Path | None,
    timeline: str | None = None,
) -> None:
    """Print the report of ``run``; the paths are where its summary and log were written.

    ``timeline`` says where the page of the run is, or how to have it made.
    """
    _Report(console, run).print(summary_path, log_path, timeline)


class _Report:
    def __init__(self, console: Console, run: Overview) -> None:
        self._console = console
        self._run = run
        self._glyphs: Glyphs = glyphs_for(console.encoding)

    def print(self, summary_path: Path | None, log_path: Path | None, timeline: str | None) -> None:
        self._title()
        self._numbers()
        self._causes(self._failed_heading(), self._run.failures, "red")
        self._causes("Warnings", self._run.warnings, "yellow")
        self._console.print()
        for name, where in (
            ("Summary", summary_path),
            ("Log", log_path),
            ("Timeline", timeline),
        ):
            if where is not None:
                self._print(f"{name.ljust(8)} {where}", indent=2, soft_wrap=True)

    def _title(self) -> None:
        title, style = _TITLES.get(self._run.exit_code, ("Not done", "bold red"))
        self._console.print()
        if self._console.is_terminal:
            sign = self._glyphs.empty
            line = Rule(
                Text(title, style=style), characters=sign, style="bright_black", align="left"
            )
            self._console.print(line)
        else:
            self._print(title)
        if (error := self._run.error) is not None:
            self._print(f"{error.message} ({error.code})", style="red", indent=2)
            if error.hint:
                self._print(f"{self._glyphs.arrow} {error.hint}", indent=2)
            self._console.print()

    def _numbers(self) -> None:
        if not self._console.is_terminal:
            for name, value, more in self._rows():
                self._print(f"{name.ljust(14)} {value.plain:>12}  {more}".rstrip(), indent=2)
            return
        table = Table.grid(padding=(0, 2))
        table.add_column(style="bright_black", no_wrap=True)
        table.add_column(justify="right", no_wrap=True)
        table.add_column(ratio=1)
        for name, value, more in self._rows():
            table.add_row(self._safe(name), value, Text(self._safe(more)))
        self._console.print(Padding(table, (0, 0, 0, 2)))

    def _rows(self) -> Iterator[tuple[str, Text, str]]:
        run, totals = self._run, self._run.totals
        yield "Media files", Text(f"{totals.media:,}"), run.input_dir
        yield "Done", Text(f"{totals.done:,}", style="green" if totals.done else ""), ""
        if totals.partial:
            words = "sound is missing, and so are its subtitles; the warnings say when"
            yield "  partial", Text(f"{totals.partial:,}", style="yellow"), words
        if totals.length_unverifiable:
            words = "length unverifiable: a cut-off end would not be noticed"
            yield "  unverifiable", Text(f"{totals.length_unverifiable:,}"), words
        if totals.skipped:
            reasons = sorted(totals.skipped.items(), key=lambda item: -item[1])
            words = ", ".join(f"{number:,} {reason_words(code)}" for code, number in reasons)
            yield "Skipped", Text(f"{sum(totals.skipped.values()):,}"), words
        if totals.failed:
            yield "Failed", Text(f"{totals.failed:,}", style="bold red"), ""
        if totals.failed_earlier:
            yield "Failed before", Text(f"{totals.failed_earlier:,}", style="red"), _held(totals)
        if totals.interrupted:
            words = "the next run goes on with them"
            yield "Interrupted", Text(f"{totals.interrupted:,}", style="yellow"), words
        if totals.not_begun:
            words = "for the reason above; the next run does them"
            yield "Not begun", Text(f"{totals.not_begun:,}", style="yellow"), words
        if run.audio_seconds:
            pace = f"{times_real_time(run.speed)} real time"
            yield "Audio", Text(hours(run.audio_seconds)), pace
        held = run.throttled_seconds
        waited = f"new files held back for {duration(held)}: machine busy" if held else ""
        yield "Time", Text(duration(run.wall_seconds)), waited
        for name, stage in run.stages.items():
            each = duration(stage.seconds / max(1, stage.count))
            words = f"{count(stage.count, 'file')}, {each} each"
            yield f"  {name}", Text(duration(stage.seconds)), words

    def _failed_heading(self) -> str:
        totals = self._run.totals
        return f"Failed: {count(totals.failed + totals.failed_earlier, 'file')}"

    def _causes(self, heading: str, causes: tuple[Cause, ...], style: str) -> None:
        if not causes:
            return
        self._console.print()
        self._print(heading, style=f"bold {style}", indent=2)
        room = SHOWN_FILES
        for number, cause in enumerate(causes):
            if room <= 0:
                rest = sum(one.count for one in causes[number:])
                self._print(self._and_more(rest), style="bright_black", indent=2)
                return
            room -= self._cause(cause, room, style)

    def _cause(self, cause: Cause, room: int, style: str) -> int:
        """Print one cause; returns how many files it named."""
        shown = cause.examples[:room]
        message = self._common_message(cause)
        sign = self._glyphs.failed if style == "red" else "!"
        title = message or reason_words(cause.code).capitalize()
        number = f", {count(cause.count, 'file')}" if cause.count > 1 else ""
        self._print(f"{sign} {title} ({cause.code}{number})", style=style, indent=2)
        if cause.hint:
            self._print(f"{self._glyphs.arrow} {cause.hint}", indent=4)
        for example in shown:
            self._example(example, named=bool(message))
        if cause.count > len(shown):
            self._print(self._and_more(cause.count - len(shown)), style="bright_black", indent=4)
        return len(shown)

    def _common_message(self, cause: Cause) -> str:
        """The message when all examples have the same one, the file's name aside."""
        messages = {without_name(one.message, one.path) for one in cause.examples}
        return messages.pop() if len(messages) == 1 else ""

    def _example(self, example: Example, *, named: bool) -> None:
        name = relative_to(self._run.input_dir, example.path)
        if named:
            self._print(name, style="bright_black", indent=4)
        else:
            self._print(
                f"{name}: {without_name(example.message, example.path)}",
                style="bright_black",
                indent=4,
            )

    def _and_more(self, number: int) -> str:
        return f"{self._glyphs.more} and {number:,} more, see the summary"

    def _print(
        self, text: str, *, style: str = "", indent: int = 0, soft_wrap: bool = False
    ) -> None:
        line = Text(self._safe(text), style=style, overflow="fold")
        if soft_wrap or not self._console.is_terminal:
            self._console.print(Text(" " * indent).append_text(line), soft_wrap=True)
        else:
            self._console.print(Padding(line, (0, 0, 0, indent)))

    def _safe(self, text: str) -> str:
        return safe_text(text, encoding=self._console.encoding)


def _held(totals: Totals) -> str:
    """Why files that failed before were not tried, and what can be done about it."""
    later = totals.failed_earlier - totals.quarantined
    parts = []
    if totals.quarantined:
        parts.append(f"{totals.quarantined:,} on the list that --quarantine shows")
    if later:
        parts.append(f"{later:,} will be tried later")
    return f"{', '.join(parts)}; --retry-failed tries them again"
