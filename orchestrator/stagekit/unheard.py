"""Speech of which no word was recognised."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import islice

from orchestrator.stagekit.packing import Packed
from orchestrator.stagekit.speech import Turn

LEAST = 2.0
"""Seconds: what is shorter may be a breath, a laugh, or the edge of a word."""
_BREATH = 2.0
"""Seconds of silence over which people go on with what they say."""


def unheard(turns: Sequence[Turn], spoken: Sequence[Turn], longest: float) -> list[Turn]:
    """Stretches of speech that lie outside of what was recognised (``spoken``), in order.

    Where Whisper is given half a minute at once, it sometimes begins with a later sentence and says
    nothing of those before it. A stretch has at least :data:`LEAST` seconds of speech; one of more
    than ``longest`` seconds (music that was taken for speech) is cut.
    """
    starts = sorted(one.start for one in spoken)
    stretches: list[list[Turn]] = []
    for part in _outside(turns, _joined(spoken)):
        before = stretches[-1][-1].end if stretches else -_BREATH
        said_between = bisect_left(starts, before) < bisect_left(starts, part.start)
        if part.start - before < _BREATH and not said_between:
            stretches[-1].append(part)
        else:
            stretches.append([part])
    return [
        piece
        for parts in stretches
        if sum(part.end - part.start for part in parts) >= LEAST
        for piece in _cut(parts, longest)
    ]


def _cut(parts: Sequence[Turn], longest: float) -> list[Turn]:
    """The stretch that the parts make up, in pieces of at most ``longest`` seconds."""
    whole = Turn(parts[0].start, parts[-1].end)
    if whole.end - whole.start <= longest:
        return [whole]
    cut = Packed((whole,)).windows(parts, longest)
    return [Turn(whole.start + one.start, whole.start + one.end) for one in cut]


def _joined(spoken: Sequence[Turn]) -> list[Turn]:
    """The same without overlaps, in order."""
    joined: list[Turn] = []
    for one in sorted(spoken):
        if joined and one.start <= joined[-1].end:
            joined[-1] = Turn(joined[-1].start, max(joined[-1].end, one.end))
        else:
            joined.append(one)
    return joined


def _outside(turns: Sequence[Turn], spoken: Sequence[Turn]) -> Iterator[Turn]:
    """The parts of the turns that none of ``spoken`` touches; both in order, without overlaps."""
    ends = [one.end for one in spoken]
    for turn in turns:
        start = turn.start
        for one in islice(spoken, bisect_left(ends, start), None):
            if one.start >= turn.end:
                break
            if one.start > start:
                yield Turn(start, one.start)
            start = max(start, one.end)
        if start < turn.end:
            yield Turn(start, turn.end)
