"""The lines that stay above the live area: how the run began, and each file that ended."""

from __future__ import annotations

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from batch import events
from batch.view.panel import Frame
from batch.view.safe_text import safe_text
from batch.view.sentences import describe
from batch.view.words import duration, hours, relative_to, times_real_time, without_name

_INDENT = 2


def lasting_lines(event: events.Event, frame: Frame) -> list[RenderableType]:
    """The lines worth keeping of this event: none for most events."""
    if isinstance(event, events.RunStarted):
        return _run_started(event, frame)
    if isinstance(event, events.Discovered):
        return [_dim(describe(event), frame)]
    if isinstance(event, events.RunWarning):
        return [_below(f"! {event.message} ({event.code})", "yellow", frame)]
    if isinstance(event, events.FileFinished) and not event.earlier:
        return _file_finished(event, frame)
    return []


def _dim(words: str, frame: Frame) -> Text:
    return Text(safe_text(words, frame.width, frame.encoding), style="bright_black")


def _run_started(event: events.RunStarted, frame: Frame) -> list[RenderableType]:
    title = f"{'Dry run' if event.dry_run else 'Run'} {event.run_id}"
    lines: list[RenderableType] = [
        Text(safe_text(title, frame.width, frame.encoding), style="bold"),
        _dim(f"  input    {event.input_dir}", frame),
        _dim(f"  working  {event.work_dir}", frame),
    ]
    for key, value, reason in event.settings:
        why = f" ({reason})" if reason else ""
        words = safe_text(f"  {key}: {value}{why}", frame.width, frame.encoding)
        lines.append(Text(words, style="bright_black"))
    return lines


def _file_finished(event: events.FileFinished, frame: Frame) -> list[RenderableType]:
    sign, style = {
        "done": (frame.glyphs.done, "green"),
        "failed": (frame.glyphs.failed, "bold red"),
    }.get(event.status, (frame.glyphs.waiting, "yellow"))
    note = safe_text(_note(event), encoding=frame.encoding)
    room = max(8, frame.width - _INDENT - len(note) - 2)
    name = safe_text(relative_to(frame.folder, event.path), room, frame.encoding)
    lines: list[RenderableType] = [
        Text.assemble((f"{sign} ", style), name, (f"  {note}", "bright_black"))
    ]
    if event.error is not None and event.status == "failed":
        cause = without_name(event.error.message, event.path)
        lines.append(_below(f"{cause} ({event.error.code})", "red", frame))
        if event.error.hint:
            lines.append(_below(f"{frame.glyphs.arrow} {event.error.hint}", "", frame))
    lines += [_below(f"! {one.message} ({one.code})", "yellow", frame) for one in event.warnings]
    return lines


def _below(words: str, style: str, frame: Frame) -> Padding:
    line = Text(safe_text(words, encoding=frame.encoding), style=style, overflow="fold")
    return Padding(line, (0, 0, 0, _INDENT), expand=False)


def _note(event: events.FileFinished) -> str:
    if event.status != "done":
        return f"{event.status} after {duration(event.seconds)}"
    words = [event.language] if event.language else []
    if event.audio_seconds and event.seconds > 0:
        pace = times_real_time(event.audio_seconds / event.seconds)
        words.append(f"{hours(event.audio_seconds)} in {duration(event.seconds)}, {pace}")
    else:
        words.append(duration(event.seconds))
    if event.partial:
        words.append("partial")
    return " ".join(words)
