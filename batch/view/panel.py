"""One frame of the live view, drawn from a snapshot: a pure function of what it is given."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from rich.cells import cell_len
from rich.text import Text

from batch.view.board import FileLine, Snapshot
from batch.view.safe_text import safe_text
from batch.view.words import (
    Glyphs,
    duration,
    hours,
    percent,
    relative_to,
    stopwatch,
    times_real_time,
)

_STAGE_CELLS = 10
_FILE_BAR_CELLS = 12
_WIDE = 76
"""From this width on there is room for a bar on each file's line."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Where a frame is drawn: cells, signs, encoding, the folder that names are relative to, and
    the local time."""

    width: int
    height: int
    glyphs: Glyphs
    encoding: str
    folder: str
    now: datetime


def draw(snapshot: Snapshot, frame: Frame) -> Text:
    """The frame, at most ``height - 1`` lines so that the terminal never scrolls by it.

    Files in progress give way first, then the machine's load; the bar stays.
    """
    head = [_overall(snapshot, frame), _audio(snapshot, frame), _counters(snapshot, frame)]
    tail = [*_notices(snapshot, frame), *_load(snapshot, frame)]
    limit = max(1, frame.height - 1)
    room = max(0, limit - len(head) - len(tail))
    lines = [*head, *_files(snapshot.files, frame, room), *tail][:limit]
    for line in lines:
        line.truncate(frame.width, overflow="crop")
    return Text("\n", no_wrap=True, overflow="crop").join(lines)


def _bar(share: float, cells: int, glyphs: Glyphs) -> Text:
    filled = min(cells, int(share * cells + 1e-9))
    return Text.assemble(
        (glyphs.filled * filled, "green" if share >= 1.0 else "cyan"),
        (glyphs.empty * (cells - filled), "bright_black"),
    )


def _overall(snapshot: Snapshot, frame: Frame) -> Text:
    ended = snapshot.done + snapshot.failed + snapshot.interrupted
    share = _overall_share(snapshot, ended)
    tally = f" {ended:,}/{snapshot.queued:,} files {percent(share):>5} "
    timer = stopwatch(snapshot.elapsed)
    cells = max(4, frame.width - len(tally) - len(timer) - 1)
    return Text.assemble(_bar(share, cells, frame.glyphs), (tally, "bold"), (timer, "bright_black"))


def _overall_share(snapshot: Snapshot, ended: int) -> float:
    if snapshot.queued and ended >= snapshot.queued:
        return 1.0
    if snapshot.audio_total:
        return min(0.99, snapshot.audio_done / snapshot.audio_total)
    return ended / snapshot.queued if snapshot.queued else 0.0


def _audio(snapshot: Snapshot, frame: Frame) -> Text:
    amount, speed = "", ""
    if snapshot.audio_total is not None:
        about = "~" if snapshot.audio_estimated else ""
        amount = f"{hours(snapshot.audio_done)} of {about}{hours(snapshot.audio_total)}"
    if snapshot.speed is not None:
        speed = times_real_time(snapshot.speed)
    left = _remaining(snapshot, frame.now)
    return _first_fitting(
        frame,
        (amount and f"{amount} audio", speed and f"{speed} real time", left),
        (amount, speed, left),
        (speed, left),
        (left,),
    )


def _remaining(snapshot: Snapshot, now: datetime) -> str:
    if snapshot.media is None:
        return "looking for media files"
    more = max(0, snapshot.media - snapshot.checked)
    if snapshot.eta is None:
        return "time left not known yet"
    if snapshot.eta == 0.0 and not more:
        return "nothing left to do"
    end = now + timedelta(seconds=snapshot.eta)
    moment = end.strftime("%H:%M" if end - now < timedelta(hours=24) else "%a %H:%M")
    least = "at least " if more else ""
    return f"{least}{duration(snapshot.eta)} left, done {moment}"


def _counters(snapshot: Snapshot, frame: Frame) -> Text:
    glyphs = frame.glyphs
    parts = [(f"{glyphs.done} {snapshot.done:,} done", "green")]
    if snapshot.failed:
        parts.append((f"{glyphs.failed} {snapshot.failed:,} failed", "bold red"))
    if snapshot.interrupted:
        parts.append((f"{snapshot.interrupted:,} interrupted", "yellow"))
    if snapshot.skipped:
        parts.append((f"{snapshot.skipped:,} skipped", ""))
    ended = snapshot.done + snapshot.failed + snapshot.interrupted
    parts.append((f"{max(0, snapshot.queued - ended - len(snapshot.files)):,} waiting", ""))
    if snapshot.media is not None and snapshot.media > snapshot.checked:
        parts.append((f"{snapshot.media - snapshot.checked:,} to check", "bright_black"))
    dot = Text(f" {glyphs.dot} ", style="bright_black")
    line = dot.join(Text(words, style=style) for words, style in parts)
    while line.cell_len > frame.width and len(parts) > 1:
        parts.pop()
        line = dot.join(Text(words, style=style) for words, style in parts)
    return line


def _files(files: tuple[FileLine, ...], frame: Frame, room: int) -> Iterable[Text]:
    shown = files if len(files) <= room else files[: max(0, room - 1)]
    yield from (_file(one, frame) for one in shown)
    hidden = len(files) - len(shown)
    if hidden and room:
        yield Text(f"  {frame.glyphs.more} and {hidden} more in progress", style="bright_black")


def _file(one: FileLine, frame: Frame) -> Text:
    done = " " * 6 if one.share is None else percent(one.share).rjust(6)
    timer = stopwatch(one.elapsed).rjust(8)
    stage = safe_text(one.stage or "starting", _STAGE_CELLS, frame.encoding)
    bar = Text()
    if frame.width >= _WIDE:
        bar = _bar(one.share or 0.0, _FILE_BAR_CELLS, frame.glyphs)
    taken = 2 + 2 + _STAGE_CELLS + 1 + cell_len(bar.plain) + len(done) + len(timer)
    room = max(4, frame.width - taken)
    name = safe_text(relative_to(frame.folder, one.path), room, frame.encoding)
    return Text.assemble(
        "  ",
        name,
        " " * (room - cell_len(name) + 2),
        (stage, "cyan"),
        " " * (_STAGE_CELLS - cell_len(stage) + 1),
        bar,
        done,
        (timer, "bright_black"),
    )


def _notices(snapshot: Snapshot, frame: Frame) -> Iterable[Text]:
    if snapshot.draining is not None:
        reason, left = snapshot.draining
        reason = safe_text(reason, encoding=frame.encoding)
        words = f"stopping ({reason}), {stopwatch(left)} left for files in progress"
        more = "; once more: at once"
        fits = cell_len(words + more) <= frame.width
        yield Text.assemble((words, "bold yellow"), (more if fits else "", "yellow"))
    elif snapshot.throttled is not None:
        reason, held = snapshot.throttled
        reason = safe_text(reason, encoding=frame.encoding)
        yield Text(f"waiting: {reason}, no new files for {stopwatch(held)}", style="bold yellow")


def _load(snapshot: Snapshot, frame: Frame) -> Iterable[Text]:
    load = snapshot.load
    if load is None:
        return
    parts = [("CPU", load.cpu_percent), ("memory", load.memory_percent)]
    parts += [
        (name, value)
        for name, value in (("GPU", load.gpu_percent), ("VRAM", load.vram_percent))
        if value is not None
    ]
    words = f" {frame.glyphs.dot} ".join(f"{name} {value:.0f} %" for name, value in parts)
    yield Text(words, style="bright_black")


def _first_fitting(frame: Frame, *variants: Iterable[str]) -> Text:
    """The first variant that fits, else the last: its parts, but for empty ones, with dots."""
    line = ""
    for parts in variants:
        line = f" {frame.glyphs.dot} ".join(filter(None, parts))
        if cell_len(line) <= frame.width:
            break
    return Text(line)
