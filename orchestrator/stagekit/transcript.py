"""The form of ``transcript.json``: what is said when, as recognition hands it on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from orchestrator.contract.exchange import ModelRef
from orchestrator.stagekit.speech import Turn
from orchestrator.stagekit.whisper import Verdict

INTERPOLATED = "interpolated"
"""``word_times`` of a transcript whose words are only spread over their segment."""


@dataclass(frozen=True, slots=True)
class Word:
    """``word`` is as Whisper gives it: with the space that stands before it, if any."""

    start: float
    end: float
    word: str
    probability: float | None


@dataclass(frozen=True, slots=True)
class Segment:
    """What is said in one go, in audio time (seconds), and how sure the model was of it.

    An engine that does not tell one of these figures leaves it None.
    """

    start: float
    end: float
    text: str
    words: tuple[Word, ...]
    avg_logprob: float | None
    no_speech_prob: float | None
    compression_ratio: float | None
    temperature: float | None

    def to_json(self) -> dict[str, Any]:
        return {key: rounded(value) for key, value in asdict(self).items()}


def transcript(
    segments: Iterable[Segment],
    turns: Sequence[Turn],
    *,
    verdict: Verdict,
    model: ModelRef | None,
    duration: float,
) -> dict[str, Any]:
    """The content of ``transcript.json``; ``turns`` are the speech, ``duration`` all the sound."""
    rows = []
    for segment in segments:
        row = segment.to_json()
        row["text"] = segment.text.strip()
        rows.append(row)
    return {
        "version": 1,
        "language": verdict.language,
        "language_probability": round(verdict.probability, 4),
        "language_source": verdict.source,
        "model": model.name if model else None,
        "model_key": model.key if model else None,
        "duration": round(duration, 3),
        "speech": [[round(turn.start, 3), round(turn.end, 3)] for turn in turns],
        "segments": rows,
    }


def words_of(segment: Mapping[str, Any]) -> list[Word]:
    """The words of a segment of ``transcript.json``. Raises: KeyError."""
    return [
        Word(word["start"], word["end"], word["word"], word["probability"])
        for word in segment["words"]
    ]


def rounded(value: Any) -> Any:
    """Milliseconds and thousandths are all that is meant; more digits are noise."""
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, dict):
        return {key: rounded(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(one) for one in value]
    return value
