"""Where a time axis has its marks, and what they say."""

from __future__ import annotations

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_STEPS = (
    *(0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30),
    *(one * _MINUTE for one in (1, 2, 5, 10, 15, 30)),
    *(one * _HOUR for one in (1, 2, 3, 6, 12)),
    *(one * _DAY for one in (1, 2, 5, 10, 20, 50, 100)),
)
MARKS = 7
"""At most so many: they must fit on a phone."""


def marks(end: float, most: int = MARKS) -> list[tuple[float, str]]:
    """Moments (seconds) from 0 to ``end``, with their names: ``0``, ``30 s``, ``1:30 h``."""
    step = next((one for one in _STEPS if end / one < most), _STEPS[-1])
    return [(number * step, mark(number * step)) for number in range(int(end / step) + 1)]


def mark(seconds: float) -> str:
    """A moment as short as can be."""
    if seconds < _MINUTE:
        return f"{seconds:g} s" if seconds else "0"
    whole = round(seconds)
    if whole < _HOUR:
        minutes, rest = divmod(whole, _MINUTE)
        return f"{minutes}:{rest:02d} min" if rest else f"{minutes} min"
    if whole < 2 * _DAY:
        hours, rest = divmod(whole // _MINUTE, 60)
        return f"{hours}:{rest:02d} h" if rest else f"{hours} h"
    days, rest = divmod(whole // _HOUR, 24)
    return f"{days} d {rest} h" if rest else f"{days} d"
