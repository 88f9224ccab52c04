"""What every stage that runs Whisper decides in the same way: the language and the arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

from orchestrator.contract.errors import fail
from orchestrator.contract.languages import whisper_code
from orchestrator.stagekit.speech import Turn

SURE = 0.5
"""Below this probability a language that the file itself states is believed instead."""

CLEAR = 0.8
"""From this probability on the language of one place is clear."""

_AUTO = {"cpu": ("int8", "float32"), "cuda": ("float16", "int8_float32", "int8", "float32")}
_INSTEAD = {
    "float16": ("int8_float16", "int8_float32", "int8", "float32"),
    "bfloat16": ("float16", "int8_float32", "int8", "float32"),
    "int8_float16": ("int8_float32", "int8", "float32"),
    "int8_bfloat16": ("int8_float16", "int8_float32", "int8", "float32"),
}
_EARLIER: Mapping[str | None, str] = {"yue": "zh"}
"""Cantonese came with large-v3; models before it learned it as Chinese."""


class Verdict(NamedTuple):
    """``language`` is Whisper's code. ``source`` says how it is known.

    ``detected``; ``track`` where the tag of the audio track decided; ``asked`` for; ``model`` where
    the model knows one only; ``none`` where there was nothing to hear.
    """

    language: str
    probability: float
    source: str


def model_code(language: str, whisper: Any) -> str | None:
    """What a multilingual model of faster-whisper's calls the language; None: it does not know it.

    A language that has no token is silently left out, and the model answers in any.
    """
    code = whisper_code(language)
    for one in (code, _EARLIER.get(code)):
        if one and whisper.hf_tokenizer.token_to_id(f"<|{one}|>") is not None:
            return one
    return None


def known_language(asked: str | None, whisper: Any) -> Verdict | None:
    """The language where nothing needs to be heard for it, else None.

    ``whisper`` is a model of faster-whisper's.

    Raises: Failure ``language_unknown`` or ``model_english_only``.
    """
    multilingual = whisper.model.is_multilingual
    if asked is None:
        return None if multilingual else Verdict("en", 1.0, "model")
    code = model_code(asked, whisper) if multilingual else whisper_code(asked)
    if code is None:
        raise fail(
            "language_unknown",
            f"The Whisper model does not know the language {asked!r}.",
            "Name a language that it knows (large-v3 knows 100), or leave it out to have it "
            "detected.",
        )
    if code != "en" and not multilingual:
        raise fail(
            "model_english_only",
            f"The model knows English only, but the language asked for is {code!r}.",
            "Choose a model without '.en' in its name: stages.asr.model.",
        )
    return Verdict(code, 1.0, "asked")


def listen(
    places: Sequence[Turn], hear: Callable[[Turn], Mapping[str, float]]
) -> list[Mapping[str, float]]:
    """What is heard at the places, until two of them agree so clearly that more would not tell.

    Begins in the middle and goes on with the first place. Two are enough: an odd one (a song, a
    quotation) would have to be odd twice, and in the same way.
    """
    heard: list[Mapping[str, float]] = []
    for place in dict.fromkeys([*places[len(places) // 2 :][:1], *places]):
        heard.append(hear(place))
        languages = {max(one, key=lambda language: one[language]) for one in heard}
        if len(heard) == 2 and len(languages) == 1 and min(map(_highest, heard)) >= CLEAR:
            break
    return heard


def _highest(probabilities: Mapping[str, float]) -> float:
    return max(probabilities.values())


def heard_language(heard: Sequence[Mapping[str, float]], stated: str | None) -> Verdict:
    """Average the probabilities of all places; ``stated`` is the tag of the track.

    Averaging keeps one odd place (a song, a quotation) from deciding for the whole file.
    """
    tag = whisper_code(stated or "")
    if not heard:
        return Verdict(tag or "en", 0.0, "track" if tag else "none")
    totals: dict[str, float] = {}
    for probabilities in heard:
        for language, probability in probabilities.items():
            totals[language] = totals.get(language, 0.0) + probability / len(heard)
    best = max(totals, key=lambda language: (totals[language], language))
    if totals[best] < SURE and tag in totals and tag is not None:
        return Verdict(tag, totals[tag], "track")
    return Verdict(best, totals[best], "detected")


def choose_compute_type(wanted: str, device: str, supported: Collection[str]) -> str:
    """The arithmetic asked for (``auto``: by device), else the nearest one that the device has."""
    order = _AUTO[device] if wanted == "auto" else (wanted, *_INSTEAD.get(wanted, ("float32",)))
    return next((one for one in order if one in supported), "float32")
