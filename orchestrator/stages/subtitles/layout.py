"""Where a line breaks, and what a break costs. Costs are relative: only their order matters."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from .text import clings, columns, ends_clause, ends_sentence, opens
from .words import Word

AFTER_SENTENCE = 0.0
AFTER_PAUSE = 2.0
AFTER_CLAUSE = 4.0
BEFORE_OPENER = 8.0
ANYWHERE = 12.0
AFTER_CLINGER = 18.0
IN_WORD = 40.0
"""Inside what is written as one word (after a hyphen, between pieces of a word too wide)."""


class Layout:
    """Widths and break costs of a run of words. Word ``i`` to ``j`` means ``words[i:j]``."""

    def __init__(self, words: Sequence[Word], width: int, lines: int, pause: float) -> None:
        self.words = words
        self._width = width
        self._lines = lines
        sizes = [columns(word.text) + word.spaced for word in words]
        self._before = [0, *accumulate(sizes)]
        self.costs = [self._cost(index, pause) for index in range(len(words))]

    def _cost(self, index: int, pause: float) -> float:
        """What a break after this word costs."""
        word = self.words[index]
        if index + 1 == len(self.words):
            return AFTER_SENTENCE
        following = self.words[index + 1]
        if not following.spaced and not _breaks_anywhere(word.text, following.text):
            return IN_WORD
        if ends_sentence(word.text):
            return AFTER_SENTENCE
        if following.start - word.end >= pause:
            return AFTER_PAUSE
        if ends_clause(word.text):
            return AFTER_CLAUSE
        if clings(word.text):
            return AFTER_CLINGER
        return BEFORE_OPENER if opens(following.text) else ANYWHERE

    def width(self, first: int, last: int) -> int:
        """Columns of the words on one line."""
        return self._before[last] - self._before[first] - self.words[first].spaced

    def lines(self, first: int, last: int) -> list[int] | None:
        """Ends of the lines that hold the words best, the last being ``last``; None: no room.

        As few lines as are needed; between those the better break, then the better balance, then
        the shorter line on top, which hides less of the picture.
        """
        for count in range(1, self._lines + 1):
            found = self._split(first, last, count)
            if found is not None:
                return found[1]
        return None

    def _split(self, first: int, last: int, count: int) -> tuple[float, list[int]] | None:
        if count == 1:
            return (0.0, [last]) if self.width(first, last) <= self._width else None
        best: tuple[float, list[int]] | None = None
        for middle in range(first + 1, last):
            width = self.width(first, middle)
            if width > self._width:
                break
            rest = self._split(middle, last, count - 1)
            if rest is None:
                continue
            uneven = width - self.width(middle, last) / (count - 1)
            cost = self.costs[middle - 1] + abs(uneven) / 3 + (1.0 if uneven > 0 else 0.0) + rest[0]
            if best is None or cost < best[0]:
                best = (cost, [middle, *rest[1]])
        return best


def _breaks_anywhere(left: str, right: str) -> bool:
    """Whether both sides are of a script written without spaces: Chinese, Japanese, Thai, …"""
    return _no_spaces(left[-1]) and _no_spaces(right[0])


def _no_spaces(character: str) -> bool:
    code = ord(character)
    return (
        0x2E80 <= code <= 0xA4CF  # CJK, kana, Yi
        or 0x0E00 <= code <= 0x0EFF  # Thai, Lao
        or 0x1000 <= code <= 0x109F  # Myanmar
        or 0x1780 <= code <= 0x17FF  # Khmer
        or 0xF900 <= code <= 0xFAFF
        or 0xFF00 <= code <= 0xFFEF
        or 0x20000 <= code <= 0x3FFFF
    )
