"""Divides words where it reads best: a sentence over its cues, a cue's text over its lines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from orchestrator.stagekit.subtitle_text import (
    AFTER_SENTENCE,
    Word,
    break_cost,
    columns,
    join,
    split_words,
)

_PER_COLUMN = 0.6
"""For each column that a break is away from where it would fall in proportion: 7 columns are worth
it to break before "and" instead of after "the"."""
_TOO_WIDE_FOR_CUE = 1.5
_TOO_WIDE_FOR_LINE = 50.0
"""For each column that there is no room for."""
_SENTENCE_RUNS_ON = 20.0
_LONGER_BELOW = 1.1
"""Weight of the last line: the longer one at the bottom hides less of the picture."""


@dataclass(frozen=True, slots=True)
class Share:
    """What one of the receivers is due.

    Args:
        weight: its part of the words, in proportion to the other weights.
        room: columns that it has room for.
        ends_sentence: whether a sentence ended here in the original.
    """

    weight: float
    room: int
    ends_sentence: bool = False


def place(text: str, shares: Sequence[Share]) -> list[list[Word]] | None:
    """All words of ``text``, in order, divided over ``shares`` so that each gets at least one.

    ``None`` where there are fewer words than shares.
    """
    return _divide(split_words(text), shares, _TOO_WIDE_FOR_CUE)


def wrap(words: Sequence[Word], width: int, fewest: int, most: int) -> list[str]:
    """The words on lines of ``width`` columns: ``fewest`` lines, or as many more as are needed.

    Where even ``most`` do not hold them the lines are wider, as evenly as can be: no word is lost.
    """
    lines: Sequence[Sequence[Word]] = [words]
    for count in range(fewest, most + 1):
        weights = [1.0] * (count - 1) + [_LONGER_BELOW]
        found = _divide(words, [Share(weight, width) for weight in weights], _TOO_WIDE_FOR_LINE)
        if found is None:
            break
        lines = found
        if all(width_of(line) <= width for line in lines):
            break
    return [join(line) for line in lines]


def width_of(words: Sequence[Word]) -> int:
    """Columns of the words on one line."""
    return sum(columns(word.text) + word.spaced for word in words) - words[0].spaced


def _divide(
    words: Sequence[Word], shares: Sequence[Share], too_wide: float
) -> list[list[Word]] | None:
    """The division of least cost: the shortest path through the words."""
    count = len(shares)
    if len(words) < count:
        return None
    sizes = [columns(word.text) + word.spaced for word in words]
    before = [0, *accumulate(sizes)]
    weights = [0.0, *accumulate(share.weight for share in shares)]
    due = [before[-1] * weight / weights[-1] for weight in weights]
    costs = [break_cost(a, b) for a, b in pairwise(words)]

    reached: dict[int, float] = {0: 0.0}
    came_from: list[dict[int, int]] = []
    for number, share in enumerate(shares, 1):
        left = count - number
        ends = [len(words)] if left == 0 else range(number, len(words) - left + 1)
        best: dict[int, float] = {}
        origin: dict[int, int] = {}
        for end in ends:
            at_end = 0.0
            if left:
                at_end = costs[end - 1] + _PER_COLUMN * abs(before[end] - due[number])
                if share.ends_sentence and costs[end - 1] != AFTER_SENTENCE:
                    at_end += _SENTENCE_RUNS_ON
            for start, cost in reached.items():
                if start >= end:
                    continue
                width = before[end] - before[start] - words[start].spaced
                total = cost + at_end + too_wide * max(0, width - share.room)
                if end not in best or total < best[end]:
                    best[end], origin[end] = total, start
        reached = best
        came_from.append(origin)

    ends_at = [len(words)]
    for origin in reversed(came_from):
        ends_at.append(origin[ends_at[-1]])
    ends_at.reverse()
    return [list(words[a:b]) for a, b in pairwise(ends_at)]


def split_to_fit(text: str, fits: Callable[[str], bool]) -> list[str]:
    """``text`` in as many pieces as are needed for each to fit, cut where it does least harm.

    A single word that does not fit is a piece of its own.
    """
    if fits(text):
        return [text]
    halves = place(text, [Share(1.0, columns(text)), Share(1.0, columns(text))])
    if halves is None:
        return [text]
    return [piece for half in halves for piece in split_to_fit(join(half), fits)]
