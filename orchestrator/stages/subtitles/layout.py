"""Where a line breaks, and what a break costs. Costs are relative: only their order matters."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from orchestrator.stagekit.subtitle_text import (
    AFTER_CLAUSE,
    AFTER_CLINGER,
    AFTER_SENTENCE,
    ANYWHERE,
    BEFORE_OPENER,
    clings,
    columns,
    ends_clause,
    ends_sentence,
    may_part,
    opens,
    writes_without_spaces,
)

from .words import Word, join

DASH = "- "
NONE, BY_DASH, BY_NAME = "none", "dash", "name"
"""How it is shown that somebody else speaks."""

AFTER_PAUSE = 2.0
IN_WORD = 40.0
"""Inside what is written as one word (after a hyphen, between pieces of a word too wide)."""


class Layout:
    """Widths and break costs of a run of words. Word ``i`` to ``j`` means ``words[i:j]``.

    The words of two speakers go together only as a dialogue: one line for each. ``labels`` is
    ``none``, ``dash`` (a dash before each line of a dialogue) or ``name`` (a speaker's name where
    he begins to speak).
    """

    def __init__(
        self, words: Sequence[Word], width: int, lines: int, pause: float, labels: str = NONE
    ) -> None:
        self.words = words
        self._width = width
        self._lines = lines
        self._labels = labels
        self._turns = [0, *accumulate(self._begins(i) for i in range(1, len(words)))]
        sizes = [columns(word.text) + word.spaced for word in words]
        self._before = [0, *accumulate(sizes)]
        self.costs = [self._cost(index, pause) for index in range(len(words))]

    def _cost(self, index: int, pause: float) -> float:
        """What a break after this word costs."""
        word = self.words[index]
        if index + 1 == len(self.words):
            return AFTER_SENTENCE
        following = self.words[index + 1]
        if self._begins(index + 1):
            return AFTER_SENTENCE
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

    def _begins(self, index: int) -> bool:
        """Whether another speaker begins with this word."""
        return self.words[index].speaker != self.words[index - 1].speaker

    def width(self, first: int, last: int) -> int:
        """Columns of the words on one line, without a label."""
        return self._before[last] - self._before[first] - self.words[first].spaced

    def text(self, first: int, last: int) -> tuple[str, ...] | None:
        """The lines that hold the words best, with their labels; None: no room."""
        ends = self.lines(first, last)
        if ends is None:
            return None
        starts = [first, *ends[:-1]]
        dialogue = self.speakers(first, last) > 1
        return tuple(
            self._label(a, dialogue) + join(self.words[a:b])
            for a, b in zip(starts, ends, strict=True)
        )

    def speakers(self, first: int, last: int) -> int:
        """How often somebody begins to speak, the first one included."""
        return self._turns[last - 1] - self._turns[first] + 1

    def lines(self, first: int, last: int) -> list[int] | None:
        """Ends of the lines that hold the words best, the last being ``last``; None: no room.

        As few lines as are needed; between those the better break, then the better balance, then
        the shorter line on top, which hides less of the picture.
        """
        if self.speakers(first, last) > 1:
            return self._dialogue(first, last)
        for count in range(1, self._lines + 1):
            found = self._split(first, last, count)
            if found is not None:
                return found[1]
        return None

    def _dialogue(self, first: int, last: int) -> list[int] | None:
        """Two speakers, a line each; more would not be told apart."""
        if self._labels == NONE or self._lines < 2 or self.speakers(first, last) > 2:
            return None
        middle = next(i for i in range(first + 1, last) if self._begins(i))
        for start, end in ((first, middle), (middle, last)):
            if columns(self._label(start, True)) + self.width(start, end) > self._width:
                return None
        return [middle, last]

    def _label(self, first: int, dialogue: bool) -> str:
        """What stands before the line that begins with this word."""
        if self._labels == BY_DASH:
            return DASH if dialogue else ""
        speaker = self.words[first].speaker
        named = self._labels == BY_NAME and speaker and (first == 0 or self._begins(first))
        return f"{speaker}: " if named else ""

    def _split(self, first: int, last: int, count: int) -> tuple[float, list[int]] | None:
        label = columns(self._label(first, False))
        if count == 1:
            return (0.0, [last]) if label + self.width(first, last) <= self._width else None
        best: tuple[float, list[int]] | None = None
        for middle in range(first + 1, last):
            width = label + self.width(first, middle)
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
    """Whether a line may end between two words that no space parts, as in Chinese and Thai."""
    unspaced = writes_without_spaces(left[-1]) and writes_without_spaces(right[0])
    return unspaced and may_part(left, right)
