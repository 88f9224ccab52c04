"""Language codes."""

from __future__ import annotations

from itertools import product
from string import ascii_lowercase

import pytest

from orchestrator.contract.languages import english_name, normalise, three_letters, whisper_code


@pytest.mark.parametrize(
    ("code", "normal"),
    [
        ("en", "en"),
        ("ENG", "en"),
        ("English", "en"),
        ("ger", "de"),
        ("deu", "de"),
        ("pt-BR", "pt"),
        ("zh_Hans_CN", "zh"),
        ("haw", "haw"),
        ("iw", "he"),
        ("cmn", "zh"),
        ("jw", "jv"),
        ("norwegian bokmål", "nb"),
        ("scottish gaelic", "gd"),
        (" no ", "no"),
        ("und", None),
        ("mul", None),
        ("zxx", None),
        ("qaa", None),
        ("eng2", None),
        ("", None),
        ("-", None),
    ],
)
def test_normalise(code: str, normal: str | None) -> None:
    assert normalise(code) == normal


LETTERS = ["".join(letters) for n in (2, 3) for letters in product(ascii_lowercase, repeat=n)]
CODES = {code for code in map(normalise, LETTERS) if code}


def test_every_language_of_639_1_has_its_code() -> None:
    assert len({code for code in CODES if len(code) == 2}) == 183
    assert {code for code in CODES if len(code) == 3} == {"haw", "yue"}


def test_codes_are_their_own_normal_form() -> None:
    assert {normalise(code) for code in CODES} == CODES


@pytest.mark.parametrize(
    ("code", "whisper"),
    [
        ("en", "en"),
        ("jav", "jw"),
        ("nb", "no"),
        ("nno", "nn"),
        ("yue", "yue"),
        ("ga", None),
        ("?", None),
    ],
)
def test_whisper_code(code: str, whisper: str | None) -> None:
    assert whisper_code(code) == whisper


def test_whisper_knows_a_hundred_languages() -> None:
    assert len({whisper_code(code) for code in CODES} - {None}) == 100


@pytest.mark.parametrize(
    ("code", "name", "terminological", "bibliographic"),
    [
        ("de", "German", "deu", "ger"),
        ("pt-BR", "Portuguese", "por", "por"),
        ("yue", "Cantonese", "yue", "yue"),
        ("?", "?", "und", "und"),
    ],
)
def test_names_and_three_letters(
    code: str, name: str, terminological: str, bibliographic: str
) -> None:
    assert english_name(code) == name
    assert three_letters(code, bibliographic=False) == terminological
    assert three_letters(code, bibliographic=True) == bibliographic
