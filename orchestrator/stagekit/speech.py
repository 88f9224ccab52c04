"""Turns of speech (``speech.json``), and the pieces of sound that are cut by them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from orchestrator.contract.atomic import read_json


class Turn(NamedTuple):
    """A stretch of speech, or of sound that is cut out as one, in seconds of audio time."""

    start: float
    end: float


def read_turns(path: Path) -> list[Turn]:
    """The turns in a ``speech.json``, in order. Raises: OSError, ValueError, KeyError."""
    return [Turn(float(start), float(end)) for start, end in read_json(path)["turns"]]


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
