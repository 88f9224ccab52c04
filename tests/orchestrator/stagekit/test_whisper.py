"""The language and the arithmetic of whatever runs Whisper."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator.contract.errors import Failure
from orchestrator.stagekit.speech import Turn
from orchestrator.stagekit.whisper import (
    Verdict,
    choose_compute_type,
    heard_language,
    known_language,
    listen,
)


def model(*codes: str, multilingual: bool = True) -> Any:
    """A model of faster-whisper's that has tokens for these languages."""
    tokens = {f"<|{code}|>": number for number, code in enumerate(codes)}
    return SimpleNamespace(
        model=SimpleNamespace(is_multilingual=multilingual),
        hf_tokenizer=SimpleNamespace(token_to_id=tokens.get),
    )


ENGLISH = model(multilingual=False)
BASE = model("en", "de", "zh")
LARGE_V3 = model("en", "de", "zh", "yue")


def test_a_language_asked_for_is_not_listened_for() -> None:
    assert known_language("deu", BASE) == Verdict("de", 1.0, "asked")
    assert known_language("en", ENGLISH) == Verdict("en", 1.0, "asked")
    assert known_language(None, ENGLISH) == Verdict("en", 1.0, "model")
    assert known_language(None, BASE) is None


def test_cantonese_is_chinese_to_models_that_do_not_tell_them_apart() -> None:
    assert known_language("yue", LARGE_V3) == Verdict("yue", 1.0, "asked")
    assert known_language("yue", BASE) == Verdict("zh", 1.0, "asked")


@pytest.mark.parametrize(
    ("language", "whisper", "code"),
    [
        ("fr", ENGLISH, "model_english_only"),
        ("tlh", ENGLISH, "language_unknown"),
        ("tlh", BASE, "language_unknown"),
        ("fr", BASE, "language_unknown"),
        ("yue", model("en"), "language_unknown"),
    ],
)
def test_a_language_that_the_model_does_not_know(language: str, whisper: Any, code: str) -> None:
    with pytest.raises(Failure) as caught:
        known_language(language, whisper)
    assert caught.value.info.code == code


def test_where_nothing_is_heard_the_tag_of_the_track_stands() -> None:
    assert heard_language([], "fra") == Verdict("fr", 0.0, "track")
    assert heard_language([], None) == Verdict("en", 0.0, "none")
    assert heard_language([], "tlh") == Verdict("en", 0.0, "none")


def test_the_language_is_what_most_places_say() -> None:
    song, speech = {"fr": 0.9, "en": 0.1}, {"fr": 0.05, "en": 0.95}
    verdict = heard_language([song, speech, speech], None)
    assert (verdict.language, verdict.source) == ("en", "detected")
    assert verdict.probability == pytest.approx(2 / 3)


def test_a_doubtful_language_gives_way_to_the_tag_of_the_track() -> None:
    heard = [{"nn": 0.4, "no": 0.35, "da": 0.25}]
    assert heard_language(heard, "no") == Verdict("no", 0.35, "track")
    assert heard_language(heard, None).language == "nn"
    assert heard_language([{"en": 0.9, "no": 0.1}], "no").language == "en"


@pytest.mark.parametrize(
    ("wanted", "device", "supported", "expected"),
    [
        ("auto", "cpu", {"int8", "float32"}, "int8"),
        ("auto", "cpu", {"float32"}, "float32"),
        ("auto", "cuda", {"float16", "int8", "float32"}, "float16"),
        ("auto", "cuda", {"int8", "int8_float32", "float32"}, "int8_float32"),
        ("float16", "cpu", {"int8", "int8_float32", "float32"}, "int8_float32"),
        ("float32", "cpu", {"int8", "float32"}, "float32"),
        ("int16", "cpu", {"float32"}, "float32"),
    ],
)
def test_arithmetic(wanted: str, device: str, supported: set[str], expected: str) -> None:
    assert choose_compute_type(wanted, device, supported) == expected


def listened(*heard: dict[str, float]) -> list[int]:
    """The numbers of the places that are listened at, in that order."""
    places = [Turn(n, n + 30) for n in range(len(heard))]
    asked: list[int] = []

    def hear(place: Turn) -> dict[str, float]:
        asked.append(int(place.start))
        return heard[int(place.start)]

    assert len(listen(places, hear)) == len(asked)
    return asked


def test_two_clear_places_are_enough() -> None:
    clear, unclear, other = {"en": 0.9, "fr": 0.1}, {"en": 0.7, "fr": 0.3}, {"fr": 0.95}
    assert listened(*[clear] * 5) == [2, 0]
    assert listened(clear, clear, unclear, clear, clear) == [2, 0, 1, 3, 4]
    assert listened(other, clear, clear) == [1, 0, 2]
    assert listened(clear, clear) == [1, 0]
    assert listened(clear) == [0]
    assert listened() == []
