"""One name for a voice throughout a file that is listened to in windows.

pyannote.audio keeps the whole sound and compares every voice of every ten seconds with every
other: ten hours would take some ten gigabytes. So each window is worked on by itself and leaves a
few vectors, one for each speaker in it; those of all windows are brought together here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, count
from operator import mul

WINDOW = 1800.0
"""Seconds of a window: 115 MB of samples, besides what is compared. The process took 1.0 GB for two
minutes of sound and 1.4 GB for 38, which are two windows; more of them take no more."""
SAME = 0.5
"""Cosine distance of two windows' speakers up to which they are one. In the recordings measured
the vectors of one speaker were 0.07 to 0.41 apart, those of two 0.62 to 1.09."""


@dataclass(frozen=True, slots=True)
class Voice:
    """A speaker of one window: the mean vector of the voice, and for how many seconds it speaks."""

    window: int
    vector: tuple[float, ...]
    seconds: float


def link(
    voices: Sequence[Voice], *, fewest: int = 1, most: int | None = None, same: float = SAME
) -> list[int]:
    """The number of the speaker that each voice belongs to, from 0 in order of appearance.

    The two nearest groups become one, again and again, while they are at most ``same`` apart or
    there are more than ``most``, and there are more than ``fewest``. Two voices of one window stay
    apart.
    """
    groups = {
        place: _Group((place,), _scaled(voice), frozenset({voice.window}))
        for place, voice in enumerate(voices)
    }
    apart = {
        (first, second): _distance(groups[first], groups[second])
        for first, second in combinations(groups, 2)
    }
    limit = most or len(voices)
    numbers = count(len(voices))
    while apart and len(groups) > max(1, fewest):
        pair = min(apart, key=lambda two: (apart[two], two))
        if apart[pair] > same and not (len(groups) > limit and apart[pair] < math.inf):
            break
        merged = groups.pop(pair[0]).joined(groups.pop(pair[1]))
        apart = {two: far for two, far in apart.items() if not {*two} & {*pair}}
        number = next(numbers)
        apart.update({(other, number): _distance(groups[other], merged) for other in groups})
        groups[number] = merged
    found = [0] * len(voices)
    for number, group in enumerate(sorted(groups.values(), key=lambda one: min(one.places))):
        for place in group.places:
            found[place] = number
    return found


@dataclass(frozen=True, slots=True)
class _Group:
    places: tuple[int, ...]
    vector: tuple[float, ...]
    windows: frozenset[int]

    def joined(self, other: _Group) -> _Group:
        vector = tuple(a + b for a, b in zip(self.vector, other.vector, strict=True))
        return _Group(self.places + other.places, vector, self.windows | other.windows)


def _scaled(voice: Voice) -> tuple[float, ...]:
    """The vector in the length of how long the voice speaks: who speaks more counts more."""
    norm = math.hypot(*voice.vector)
    if not norm or math.isnan(norm):
        return tuple(0.0 for _ in voice.vector)
    return tuple(value / norm * voice.seconds for value in voice.vector)


def _distance(first: _Group, second: _Group) -> float:
    """The cosine distance; 1 to a vector of nothing, and for ever between voices of one window."""
    if first.windows & second.windows:
        return math.inf
    lengths = math.hypot(*first.vector) * math.hypot(*second.vector)
    return 1.0 - sum(map(mul, first.vector, second.vector)) / lengths if lengths else 1.0
