"""What speaks against a stretch of text: where it lies, and how sure Whisper was of it.

The thresholds of Whisper itself (probability of silence 0.6, mean log-probability -1.0, compression
ratio 2.4) are settings; these here decide how much of a second sign boilerplate needs.
"""

from __future__ import annotations

import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import NamedTuple

Turns = Sequence[Sequence[float]]
"""Stretches of speech as ``[start, end]`` in seconds, in order and apart."""

NEAR = 0.5
"""Seconds from speech within which text may lie: turns and words are cut a little apart."""
EDGE = 30.0
"""Seconds from the start or end of the sound: Whisper works on windows of this length."""
MOSTLY_SILENT = 0.5
HARDLY_SPOKEN = 0.1
"""Shares of a stretch of text in which somebody speaks."""
DOUBTFUL_SILENCE = 0.3
DOUBTFUL_LOGPROB = -0.5
"""Half-way to Whisper's own thresholds."""
SLOW = 2.0
LONG = 5.0
"""Letters a second, and seconds: a stretch that is said this slowly for this long was not said."""


class Signs(NamedTuple):
    """``spoken`` is the share of its time in which somebody speaks. None: not known.

    ``pace`` is in letters a second; ``no_speech_prob`` and ``avg_logprob`` are Whisper's.
    """

    spoken: float | None
    no_speech_prob: float | None
    avg_logprob: float | None
    seconds: float
    pace: float
    at_edge: bool

    def silent(self, share: float) -> bool:
        return self.spoken is not None and self.spoken < share

    def doubted(self, no_speech: float) -> bool:
        return self.no_speech_prob is not None and self.no_speech_prob > no_speech

    def guessed(self, logprob: float) -> bool:
        return self.avg_logprob is not None and self.avg_logprob < logprob

    def dragged(self) -> bool:
        return self.seconds > LONG and self.pace < SLOW

    def describe(self) -> str:
        """The figures, for the record of what was removed."""
        figures = (
            ("speech in {:.0%} of it", self.spoken),
            ("no_speech_prob {:.2f}", self.no_speech_prob),
            ("avg_logprob {:.2f}", self.avg_logprob),
            ("{:.1f} letters a second", self.pace if self.dragged() else None),
        )
        known = [text.format(value) for text, value in figures if value is not None]
        return ", ".join([*known, "at the edge of the sound"] if self.at_edge else known)


def spoken_share(turns: Turns, start: float, end: float) -> float:
    """The share of the time from ``start`` to ``end`` that lies in turns; a moment is 0 or 1."""
    if end <= start:
        return float(is_near(turns, start, end, 0.0))
    first = max(0, bisect_right(turns, start, key=lambda turn: turn[0]) - 1)
    shared = 0.0
    for turn_start, turn_end in turns[first:]:
        if turn_start >= end:
            break
        shared += max(0.0, min(end, turn_end) - max(start, turn_start))
    return shared / (end - start)


def is_near(turns: Turns, start: float, end: float, reach: float = NEAR) -> bool:
    """Whether any turn lies within ``reach`` seconds of a stretch."""
    index = bisect_left(turns, end + reach, key=lambda turn: turn[0])
    return index > 0 and turns[index - 1][1] > start - reach


def compression_ratio(text: str) -> float:
    """How well a text can be packed, in the way Whisper measures it."""
    data = text.encode("utf-8", "replace")
    return len(data) / len(zlib.compress(data))
