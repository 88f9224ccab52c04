"""Find what is said over and over: by whole segments, and by words within and across segments.

A recogniser that is stuck says a phrase until its output is full. People repeat themselves too,
so the first rounds stay, and a loop must go on for longer the shorter its phrase is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

LONGEST_ROUND = 4
"""Segments in a round of a loop, at most."""
SHORTEST_ROUND = 10
"""Letters in a round of several segments, at least: "Yes." - "No." may go on for long."""
LONGEST_PHRASE = 40
"""Words in a round of a loop of words, at most. Whisper's output holds about 150 words."""
REPEATED_WORDS = 9
"""Words of repetition that make a loop: "no" ten times, "I love you" four times."""


class Loop(NamedTuple):
    """Items ``start`` to ``stop`` (exclusive) are superfluous; in all it was said ``times``.

    The last round may be cut off: the whole ones end at ``whole``.
    """

    start: int
    whole: int
    stop: int
    times: int


def segment_loops(texts: Sequence[str], allowed: int) -> list[Loop]:
    """Rounds of the same segments beyond the first ``allowed``. ``texts`` are plain texts.

    One segment again and again is a loop from the first round too many; of several segments the
    whole round must have come again.
    """
    found = [loop for loop in _loops(texts, 1, allowed) if texts[loop.start]]
    for period in range(2, min(LONGEST_ROUND, len(texts) // 2) + 1):
        found += [
            loop
            for loop in _loops(texts, period, allowed)
            if loop.times > allowed
            and len({*texts[loop.start - period : loop.start]}) > 1
            and len("".join(texts[loop.start - period : loop.start])) >= SHORTEST_ROUND
        ]
    return found


def word_loops(words: Sequence[str], allowed: int) -> list[Loop]:
    """Rounds of the same words beyond the first ``allowed``. ``words`` are plain and not empty."""
    found: list[Loop] = []
    taken = bytearray(len(words))
    for period in range(1, min(LONGEST_PHRASE, len(words) // 2) + 1):
        for loop in _loops(words, period, allowed):
            first = loop.start - allowed * period
            repeated = loop.stop - first - period
            if loop.times <= allowed or repeated < REPEATED_WORDS or any(taken[first : loop.stop]):
                continue
            taken[first : loop.stop] = b"\1" * (loop.stop - first)
            found.append(loop)
    return sorted(found)


def _loops(items: Sequence[str], period: int, allowed: int) -> Iterator[Loop]:
    """Every stretch in which items come again ``period`` later for more than ``allowed`` rounds."""
    matches = 0
    for index in range(period, len(items) + 1):
        if index < len(items) and items[index] == items[index - period]:
            matches += 1
            continue
        length = matches + period
        if length > allowed * period:
            first, times = index - length, length // period
            yield Loop(first + allowed * period, first + times * period, index, times)
        matches = 0
