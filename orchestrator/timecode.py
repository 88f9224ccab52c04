"""Times as people write them: ``HH:MM:SS``, ``MM:SS`` or seconds, with a fraction or without."""

from __future__ import annotations

import re

_TIME = re.compile(r"(?:(?:(\d{1,6}):)?([0-5]?\d):)?(\d{1,9}(?:\.\d+)?)", re.ASCII)
_SIXTY = 60


def parse_time(text: str) -> float:
    """Seconds. Raises: ValueError, saying what a time looks like."""
    match = _TIME.fullmatch(text.strip())
    if match is None or (match[2] is not None and float(match[3]) >= _SIXTY):
        raise ValueError(f"{text!r} is not a time: write HH:MM:SS, e.g. 00:12:30 or 01:02:03.5")
    hours, minutes, seconds = match.groups()
    return int(hours or 0) * 3600 + int(minutes or 0) * _SIXTY + float(seconds)
