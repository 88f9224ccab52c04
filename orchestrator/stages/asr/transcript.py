"""The form of ``transcript.json``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .edges import Word
from .speech import Turn


@dataclass(frozen=True, slots=True)
class Segment:
    """What Whisper says in one go, in audio time (seconds)."""

    start: float
    end: float
    text: str
    words: tuple[Word, ...]
    avg_logprob: float
    no_speech_prob: float
    compression_ratio: float
    temperature: float | None

    def to_json(self) -> dict[str, Any]:
        return {key: _rounded(value) for key, value in asdict(self).items()}


def transcript(
    segments: Sequence[Segment], turns: Sequence[Turn], words: Sequence[Word]
) -> dict[str, Any]:
    """``words`` are those of all segments in order, with corrected times.

    The segments are given these words, and their own edges by them.
    """
    rows = []
    position = 0
    for segment in segments:
        own = words[position : position + len(segment.words)]
        position += len(segment.words)
        row = segment.to_json()
        row["text"] = segment.text.strip()
        row["words"] = [_rounded(asdict(word)) for word in own]
        if own:
            row["start"], row["end"] = round(own[0].start, 3), round(own[-1].end, 3)
        rows.append(row)
    speech = [[round(turn.start, 3), round(turn.end, 3)] for turn in turns]
    return {"speech": speech, "segments": rows}


def _rounded(value: Any) -> Any:
    """Milliseconds and thousandths are all that is meant; more digits are noise."""
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(one) for one in value]
    return value
