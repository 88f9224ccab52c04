"""Which language is spoken, from what a model heard at several places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

SURE = 0.5
"""Below this probability a language that the file itself states is believed instead."""


class Verdict(NamedTuple):
    """``source``: ``detected``, or ``track`` where the track's tag decided."""

    language: str
    probability: float
    source: str


def decide(heard: Sequence[Mapping[str, float]], stated: str | None) -> Verdict:
    """Average the probabilities of all places; ``stated`` is the track's tag in Whisper's code.

    Averaging keeps one odd place (a song, a quotation) from deciding for the whole file.
    """
    totals: dict[str, float] = {}
    for probabilities in heard:
        for language, probability in probabilities.items():
            totals[language] = totals.get(language, 0.0) + probability / len(heard)
    best = max(totals, key=lambda language: (totals[language], language))
    if totals[best] < SURE and stated in totals and stated is not None:
        return Verdict(stated, totals[stated], "track")
    return Verdict(best, totals[best], "detected")
