"""Which stretches of sound are translated at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from orchestrator.stagekit.cue_markup import has_letters
from orchestrator.stagekit.cue_translation import Script, Unit

LONGEST_WINDOW = 28.0
"""Seconds. Whisper hears 30, and a little is kept on both sides."""
_ENOUGH = 6.0
"""Seconds from which on a window is not made longer: one sentence each would be translated best to
its own cues, but very short sounds make Whisper guess."""
_GAP = 1.0
_PAD = 0.2


def windows(script: Script) -> list[Unit]:
    """The sentences, short ones together with their neighbours."""
    found: list[Unit] = []
    for unit in _of_whole_cues(script):
        if found and _fits(found[-1], unit):
            found[-1] = script.unit((*found[-1].fragments, *unit.fragments))
        else:
            found.append(unit)
    return found


def _of_whole_cues(script: Script) -> Iterator[Unit]:
    """The sentences, those that share a cue together, what gets overlong by that by its cues.

    Nobody knows when in its cue a sentence is said: each of two would be heard with the other one.
    """
    groups: list[list[Unit]] = []
    for sentence in script.sentences:
        if groups and _share_a_cue(groups[-1][-1], sentence):
            groups[-1].append(sentence)
        else:
            groups.append([sentence])
    for group in groups:
        unit = script.unit(index for sentence in group for index in sentence.fragments)
        long = unit.end - unit.start > LONGEST_WINDOW
        yield from script.by_cue(unit) if long else [unit]


def _share_a_cue(before: Unit, unit: Unit) -> bool:
    """Whether the last cue of the one is the first of the other. What has no text is not heard."""
    return unit.start < before.end and bool(before.text and unit.text)


def _fits(before: Unit, unit: Unit) -> bool:
    both_speak = has_letters(before.text) and has_letters(unit.text)
    short = min(before.end - before.start, unit.end - unit.start) < _ENOUGH / 2
    near = unit.start - before.end <= _GAP
    return both_speak and short and near and unit.end - before.start <= _ENOUGH


def stretches(units: Sequence[Unit], seconds: float) -> list[tuple[float, float]]:
    """From where to where each unit is listened to: a little more than its cues, as far as the
    units beside it and the sound leave room."""
    found = []
    for index, unit in enumerate(units):
        earliest = units[index - 1].end if index else 0.0
        latest = units[index + 1].start if index + 1 < len(units) else seconds
        start = max(unit.start - _PAD, min(earliest, unit.start))
        end = min(unit.end + _PAD, max(latest, unit.end))
        found.append((max(0.0, start), min(end, start + LONGEST_WINDOW, seconds)))
    return found
