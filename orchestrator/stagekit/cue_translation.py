"""Translates cues: whole sentences go to the translator, and come back into the cues they left.

A translator knows sentences, a viewer reads cues, and a sentence often runs over several of them.
So the text of all cues is joined into sentences, those are translated, and each translation is
divided over the cues of its sentence in proportion to the original. Every cue keeps its times, and
none that had text is left without.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.stagekit.cue_layout import Share, place
from orchestrator.stagekit.cue_markup import Fragment, Part, has_letters, parts_of, render
from orchestrator.stagekit.subtitle_formats import Cue
from orchestrator.stagekit.subtitle_text import (
    Word,
    clean,
    columns,
    ends_sentence,
    joined,
    split_words,
)

LONGEST_GAP = 2.0
"""Seconds of silence over which a sentence is not taken to go on."""
LONGEST_SENTENCE = 300
"""Columns; what runs on for longer (recognised without punctuation) is cut between two cues."""
_RUNAWAY = (3, 60)
"""A translation wider than this times its original and this many columns more has run away."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Columns of a line, and lines of a cue (those of the original where it has more)."""

    max_line_length: int = 42
    max_lines: int = 2


@dataclass(frozen=True, slots=True)
class Unit:
    """What is translated in one go: the ``text`` of some fragments, spoken in these seconds."""

    fragments: tuple[int, ...]
    text: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Translated:
    """The lines of every cue, in order, and how they came about.

    Attributes:
        units: what was translated in one go.
        retried: units of which the cues were then translated one by one, because the whole could
            not be divided over them.
        untranslated: cues with text of the original, because there was no usable translation.
    """

    lines: tuple[tuple[str, ...], ...]
    units: int
    retried: int
    untranslated: int


Translate = Callable[[Sequence[Unit]], Sequence[str]]
"""Gives a translation for each unit; an empty one where there is none."""


class Script:
    """The cues of a file as numbered fragments, with the sentences that those make up."""

    def __init__(self, cues: Sequence[Cue], rules: Rules) -> None:
        self._cues = cues
        self._rules = rules
        self._parts: list[list[Part]] = [parts_of(cue.lines) for cue in cues]
        self._fragments: list[Fragment] = []
        self._cue_of: list[int] = []
        self._in_cue: list[list[int]] = [[] for _ in cues]
        self._dashed: list[bool] = []
        for number, parts in enumerate(self._parts):
            for part in parts:
                for index, fragment in enumerate(part.fragments):
                    self._in_cue[number].append(len(self._fragments))
                    self._fragments.append(fragment)
                    self._cue_of.append(number)
                    self._dashed.append(index == 0 and bool(part.dash))
        self.sentences = self._sentences()

    def unit(self, fragments: Iterable[int]) -> Unit:
        """The unit of consecutive fragments."""
        chosen = tuple(fragments)
        text = ""
        for index in chosen:
            text = joined(text, self._fragments[index].text)
        first, last = self._cues[self._cue_of[chosen[0]]], self._cues[self._cue_of[chosen[-1]]]
        return Unit(chosen, text, first.start, last.end)

    def by_cue(self, unit: Unit) -> list[Unit]:
        """The unit again, one for each of its cues."""
        groups: dict[int, list[int]] = {}
        for index in unit.fragments:
            groups.setdefault(self._cue_of[index], []).append(index)
        return [self.unit(group) for group in groups.values()]

    def divided(self, unit: Unit, text: str) -> dict[int, list[Word]] | None:
        """The words of a translation for each fragment of the unit.

        ``None`` where it cannot be the translation: it is empty, too short or much too long.
        """
        text = clean(text)
        factor, more = _RUNAWAY
        if not text or columns(text) > factor * columns(unit.text) + more:
            return None
        placed = place(text, [self._share(index) for index in unit.fragments])
        if placed is None:
            if len(self.by_cue(unit)) > 1:
                return None
            placed = [split_words(text), *([] for _ in unit.fragments[1:])]
        return dict(zip(unit.fragments, placed, strict=True))

    def _share(self, index: int) -> Share:
        text = self._fragments[index].text
        cue = self._cue_of[index]
        width = sum(columns(self._fragments[one].text) for one in self._in_cue[cue])
        own = max(1, columns(text))
        room = self._rules.max_line_length * self._rules.max_lines * own // max(own, width)
        return Share(own, room, ends_sentence(text))

    def original(self, unit: Unit) -> dict[int, list[Word]]:
        """The words of the original, for want of others."""
        return {index: split_words(self._fragments[index].text) for index in unit.fragments}

    def lines(self, words: Mapping[int, Sequence[Word]]) -> tuple[tuple[str, ...], ...]:
        """The lines of every cue, from the words of every fragment."""
        width, most = self._rules.max_line_length, self._rules.max_lines
        index = 0
        cues = []
        for parts in self._parts:
            lines: list[str] = []
            for part in parts:
                own = [words[index + offset] for offset in range(len(part.fragments))]
                index += len(part.fragments)
                # In a dialogue everyone keeps to his own lines.
                lines += render(part, own, width, most if len(parts) == 1 else part.lines)
            cues.append(tuple(lines))
        return tuple(cues)

    def _sentences(self) -> tuple[Unit, ...]:
        groups: list[list[int]] = []
        for index in range(len(self._fragments)):
            if groups and self._goes_on(groups[-1], index):
                groups[-1].append(index)
            else:
                groups.append([index])
        return tuple(self.unit(group) for group in groups)

    def _goes_on(self, group: Sequence[int], index: int) -> bool:
        """Whether a fragment belongs to the sentence that the fragments of ``group`` begin."""
        before = self._fragments[group[-1]]
        cue, following = self._cues[self._cue_of[group[-1]]], self._cues[self._cue_of[index]]
        width = sum(columns(self._fragments[one].text) for one in group)
        return (
            before.goes_on
            and not self._fragments[index].begins
            and not self._dashed[index]
            and cue.speaker == following.speaker
            and following.start - cue.end <= LONGEST_GAP
            and width + columns(self._fragments[index].text) <= LONGEST_SENTENCE
        )


def translate_cues(
    script: Script, translate: Translate, units: Sequence[Unit] | None = None
) -> Translated:
    """Translate a script, by ``units`` (its sentences), and where one of those fails cue by cue."""
    words: dict[int, list[Word]] = {}
    spoken = []
    for unit in script.sentences if units is None else units:
        if has_letters(unit.text):
            spoken.append(unit)
        else:
            words.update(script.original(unit))
    retried, again, lost = 0, [], []
    for unit in _translate(script, translate, spoken, words):
        cues = script.by_cue(unit)
        if len(cues) > 1:
            retried += 1
            again += cues
        else:
            lost.append(unit)
    lost += _translate(script, translate, again, words)
    for unit in lost:
        words.update(script.original(unit))
    return Translated(script.lines(words), len(spoken), retried, len(lost))


def _translate(
    script: Script, translate: Translate, units: Sequence[Unit], words: dict[int, list[Word]]
) -> list[Unit]:
    """Fill ``words``, and give the units of which nothing came that could be used."""
    failed = []
    for unit, text in zip(units, translate(units) if units else (), strict=True):
        divided = script.divided(unit, text)
        if divided is None:
            failed.append(unit)
        else:
            words.update(divided)
    return failed
