"""Numbers, durations and codes in words, the same in the live view, the log and the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from datetime import UTC, datetime

from batch.view.safe_text import can_encode


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The signs a stream can show."""

    done: str
    failed: str
    waiting: str
    filled: str
    empty: str
    dot: str
    arrow: str
    more: str


_UNICODE = Glyphs("✓", "✗", "◦", "━", "─", "·", "→", "…")
_ASCII = Glyphs("+", "x", "-", "#", "-", "|", "->", "...")


def glyphs_for(encoding: str) -> Glyphs:
    """Unicode signs where ``encoding`` has them all, else ASCII."""
    return _UNICODE if can_encode("".join(astuple(_UNICODE)), encoding) else _ASCII


def duration(seconds: float) -> str:
    """``8.3 s``, ``5 min 12 s``, ``1 h 52 min``, ``3 d 4 h``: two units are enough to plan by."""
    if seconds < 10:
        return f"{max(0.0, seconds):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(seconds / 60)
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    hours = round(seconds / 3600)
    return f"{hours // 24} d {hours % 24} h"


def stopwatch(seconds: float) -> str:
    """``0:07``, ``12:03``, ``1:12:03``: time that is running."""
    whole = int(max(0.0, seconds))
    minutes = f"{whole // 60 % 60:02d}:{whole % 60:02d}"
    return f"{whole // 3600}:{minutes}" if whole >= 3600 else minutes.removeprefix("0")


def time_spans(spans: Sequence[tuple[float, float]], most: int = 4) -> str:
    """``0:07 to 0:12, 1:02:10 to 1:02:50 and 3 more``: stretches of media time."""
    shown = [(stopwatch(round(start)), stopwatch(round(end))) for start, end in spans[:most]]
    words = ", ".join(f"{start} to {end}" for start, end in shown)
    more = len(spans) - most
    return words + (f" and {more} more" if more > 0 else "")


def hours(seconds: float) -> str:
    """An amount of audio: ``214 h``, ``3.1 h``, below one hour in minutes or seconds."""
    if seconds < 3600:
        return duration(seconds)
    value = seconds / 3600
    return f"{value:,.0f} h" if value >= 100 else f"{value:.1f} h"


def times_real_time(speed: float) -> str:
    """``21.5 x``: seconds of audio a second."""
    return f"{speed:,.0f} x" if speed >= 100 else f"{speed:.1f} x"


def percent(share: float) -> str:
    """``43 %`` for 0.43."""
    return f"{share * 100:.0f} %"


def count(number: int, noun: str) -> str:
    """``1 file``, ``20,000 files``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def reason_words(code: str) -> str:
    """A reason code as words: ``subtitle_exists`` is ``subtitle exists``."""
    return code.replace("_", " ")


def byte_size(size: int) -> str:
    """``512 B``, ``3.4 MB``, ``1.2 TB`` in powers of 1000, as disks are sold."""
    if size < 1000:
        return f"{size} B"
    value, unit = size / 1000, "kB"
    for larger in ("MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.0f} {unit}" if value >= 100 else f"{value:.1f} {unit}"


def utc_now() -> datetime:
    return datetime.now(UTC)


def utc_stamp(moment: datetime) -> str:
    """ISO 8601 in UTC, milliseconds, as in ``2026-01-31T05:40:12.345Z``."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def relative_to(folder: str, path: str) -> str:
    """``path`` as seen from ``folder``, or unchanged when it is not below it."""
    for separator in ("/", "\\"):
        inside = folder.rstrip(separator) + separator
        if folder and path.startswith(inside):
            return path[len(inside) :]
    return path


def without_name(message: str, path: str) -> str:
    """A message about ``path`` for a place that names the file already."""
    for start in (f"{path}: ", f"{path} "):
        if message.startswith(start):
            rest = message[len(start) :]
            return rest[:1].upper() + rest[1:]
    return message
