"""Speech turns from the probabilities of a voice activity detector, and pieces cut between them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

_NEGATIVE_MARGIN = 0.15
"""Speech ends when the probability falls this far below the threshold (Silero's own rule)."""
MIN_SILENCE = 0.25
"""Seconds of silence that end a turn: shorter ones lie between and inside words."""
MIN_SPEECH = 0.1
"""Seconds; what is shorter is a click or a breath."""


class Turn(NamedTuple):
    """A stretch of speech, in seconds."""

    start: float
    end: float


def speech_turns(probabilities: Sequence[float], window: float, threshold: float) -> list[Turn]:
    """Find the turns. ``probabilities`` hold one value for each ``window`` seconds."""
    low = max(threshold - _NEGATIVE_MARGIN, 0.01)
    turns: list[Turn] = []
    start: int | None = None
    quiet: int | None = None
    for index, probability in enumerate([*probabilities, -math.inf]):
        if probability >= threshold:
            quiet = None
            if start is None:
                start = index
        elif start is not None and probability < low:
            quiet = index if quiet is None else quiet
            at_end = index == len(probabilities)
            if at_end or (index + 1 - quiet) * window >= MIN_SILENCE:
                if (quiet - start) * window >= MIN_SPEECH:
                    turns.append(Turn(start * window, quiet * window))
                start = quiet = None
    return turns


def spans(turns: Sequence[Turn], duration: float, longest: float) -> list[Turn]:
    """Cut audio of ``duration`` seconds into pieces that hold all speech, in order.

    A piece is at most ``longest`` seconds and ends in the widest silence of its second half; where
    there is none it is cut at ``longest``. Pieces without speech are left out.
    """
    pieces: list[Turn] = []
    start = 0.0
    while start < duration:
        end = duration
        if duration - start > longest:
            end = _cut(turns, start + longest / 2, start + longest)
        if any(turn.start < end and turn.end > start for turn in turns):
            pieces.append(Turn(start, end))
        start = end
    return pieces


def _cut(turns: Sequence[Turn], earliest: float, latest: float) -> float:
    """The middle of the widest silence between two times, else the later of them."""
    best_width, best = 0.0, latest
    silence = earliest
    for turn in [*turns, Turn(latest, latest)]:
        width = min(turn.start, latest) - silence
        if width > best_width and turn.start > earliest:
            best_width, best = width, silence + width / 2
        silence = max(silence, turn.end)
        if turn.start >= latest:
            break
    return best


def listening_places(turns: Sequence[Turn], most: int, window: float) -> list[Turn]:
    """Places of at most ``window`` seconds to listen at, spread evenly over the speech.

    One place for each ``window`` of speech, up to ``most``. Each begins with a turn, so that none
    lies in music or silence.
    """
    total = sum(turn.end - turn.start for turn in turns)
    count = max(1, min(most, round(total / window)))
    places: list[Turn] = []
    heard = 0.0
    for turn in turns:
        length = turn.end - turn.start
        while len(places) < count and heard + length > total * len(places) / count:
            into = max(0.0, total * len(places) / count - heard)
            # The start of the turn, unless that was listened to for the place before.
            start = turn.start if into < window else turn.start + into
            places.append(Turn(start, start + window))
        heard += length
    return places
