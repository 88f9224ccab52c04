"""From words to cues that can be read: where one ends and the next begins, and how long each stays.

The numbers come from the guides that broadcasters and streaming services publish (two lines of 42
characters, 5/6 s to 7 s, two frames between cues, about 20 characters a second) and are settings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from orchestrator.stagekit.subtitle_formats import Cue
from orchestrator.stagekit.subtitle_text import AFTER_SENTENCE, columns

from .layout import BY_DASH, Layout
from .words import Word, join, with_speakers

LINGER = 0.2
"""Seconds that a cue may stay after its last word; more only to reach the minimum duration."""
LEAST = 0.4
"""Seconds that a cue stays even where the next one is spoken sooner, and by which that one is shown
late at most: eyes need about 0.2 s to get to a new subtitle, and as much to read a short word."""
_SHORTEST = 0.001
"""Seconds: subtitle files count milliseconds, and a cue of none is dropped by players."""

_PER_CUE = 6.0
_SENTENCE_INSIDE = 3.0
_PAUSE_INSIDE = 10.0
_TOO_SHORT = 12.0
_TOO_FAST = 0.7


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings of the stage; see ``stage.json`` for units."""

    max_line_length: int = 42
    max_lines: int = 2
    min_duration: float = 0.833
    max_duration: float = 7.0
    min_gap: float = 0.083
    max_cps: float = 20.0
    pause: float = 0.6
    speaker_labels: str = BY_DASH


def make_cues(words: Sequence[Word], rules: Rules) -> list[Cue]:
    """Every word in order, once. No two cues overlap."""
    if not words:
        return []
    words = with_speakers(words)
    layout = Layout(
        words, rules.max_line_length, rules.max_lines, rules.pause, rules.speaker_labels
    )
    cues = []
    first = 0
    for last in _divide(layout, rules):
        lines = layout.text(first, last) or (join(words[first:last]),)
        speaker = words[first].speaker if layout.speakers(first, last) == 1 else None
        cues.append(Cue(words[first].start, words[last - 1].end, lines, speaker))
        first = last
    return _timed(cues, rules)


def _divide(layout: Layout, rules: Rules) -> list[int]:
    """Ends of the cues with the least cost over all: the shortest path through the words."""
    words = layout.words
    best = [0.0, *[float("inf")] * len(words)]
    came_from = [0] * (len(words) + 1)
    room = rules.max_line_length * rules.max_lines
    for first in range(len(words)):
        for last in range(first + 1, len(words) + 1):
            alone = last == first + 1
            too_long = words[last - 1].end - words[first].start > rules.max_duration
            if not alone and (too_long or layout.width(first, last) > room + rules.max_lines):
                break
            if not alone and layout.lines(first, last) is None:
                continue
            cost = best[first] + _cost(layout, rules, first, last)
            if cost < best[last]:
                best[last], came_from[last] = cost, first
    ends = [len(words)]
    while came_from[ends[-1]] > 0:
        ends.append(came_from[ends[-1]])
    return ends[::-1]


def _cost(layout: Layout, rules: Rules, first: int, last: int) -> float:
    words = layout.words
    cost = _PER_CUE + layout.costs[last - 1]
    for index in range(first, last - 1):
        silence = max(0.0, words[index + 1].start - words[index].end) / rules.pause
        if silence >= 1:
            cost += _PAUSE_INSIDE * silence
        if layout.costs[index] == AFTER_SENTENCE:
            cost += _SENTENCE_INSIDE * (1 + 2 * silence)
    until = words[last - 1].end + LINGER
    if last < len(words):
        until = min(until, words[last].start)
    seconds = max(until - words[first].start, _SHORTEST)
    if seconds < rules.min_duration:
        cost += _TOO_SHORT * (1 - seconds / rules.min_duration)
    speed = layout.width(first, last) / max(seconds, rules.min_duration)
    return cost + _TOO_FAST * max(0.0, speed - rules.max_cps)


def _timed(cues: Sequence[Cue], rules: Rules) -> list[Cue]:
    """Set the ends, and keep cues apart; starts are moved only where there is no other way.

    A short answer between two sentences takes the gap behind it, and then what it lacks from the
    sentence that follows.
    """
    timed: list[Cue] = []
    least = min(LEAST, rules.min_duration)
    for index, cue in enumerate(cues):
        start = max(cue.start, timed[-1].end) if timed else cue.start
        needed = columns("".join(cue.lines)) / rules.max_cps
        end = max(
            cue.end,
            min(cue.end + LINGER, start + needed),
            start + rules.min_duration,
        )
        end = min(end, start + rules.max_duration)
        if index + 1 < len(cues):
            following = cues[index + 1].start
            end = max(
                min(end, following - rules.min_gap),
                min(start + least, following + LEAST),
            )
        timed.append(replace(cue, start=start, end=max(end, start + _SHORTEST)))
    return timed
