"""From what a voice activity detector hears to the turns of ``speech.json``."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

from orchestrator.stagekit.speech import Turn

_NEGATIVE_MARGIN = 0.15
"""Speech ends when the probability falls this far below the threshold (Silero's own rule)."""
MIN_SILENCE = 0.25
"""Seconds of silence that end a turn: shorter ones lie between and inside words."""
MIN_SPEECH = 0.06
"""Seconds; what is shorter, one window of 32 ms, is a click. A "Hello?" may be three of them."""


def speech_turns(
    probabilities: Iterable[float],
    window: float,
    threshold: float,
    *,
    min_silence: float = MIN_SILENCE,
    min_speech: float = MIN_SPEECH,
) -> list[Turn]:
    """Find the turns. ``probabilities`` give one value for each ``window`` seconds."""
    low = max(threshold - _NEGATIVE_MARGIN, 0.01)
    turns: list[Turn] = []
    start: int | None = None
    quiet: int | None = None
    for index, probability in enumerate(chain(probabilities, (-math.inf,))):
        if probability >= threshold:
            quiet = None
            if start is None:
                start = index
        elif start is not None and probability < low:
            quiet = index if quiet is None else quiet
            at_end = probability == -math.inf
            if at_end or (index + 1 - quiet) * window >= min_silence:
                if (quiet - start) * window >= min_speech:
                    turns.append(Turn(start * window, quiet * window))
                start = quiet = None
    return turns


def speech(engine: str, turns: Sequence[Turn], duration: float) -> dict[str, Any]:
    """The content of ``speech.json`` for ``duration`` seconds of sound, which no turn outlasts.

    Times are rounded to millionths: less than the distance of two samples.
    """
    return {
        "version": 1,
        "engine": engine,
        "duration": round(duration, 3),
        "turns": [[round(one.start, 6), round(min(one.end, duration), 6)] for one in turns],
    }
