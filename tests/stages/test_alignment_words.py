"""What the aligners are given to look for."""

from __future__ import annotations

import pytest

from orchestrator.stages.alignment_pocketsphinx.pronounce import number, phones, spoken
from orchestrator.stages.alignment_whisperx.letters import entries, joined

DICTIONARY = {"it's", "hello", "twenty", "five", "u", "s", "percent", "the"}


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (" Hello,", ["hello"]),
        (" it’s", ["it's"]),
        (" twenty-five", ["twenty", "five"]),
        (" café", ["cafe"]),
        (" U.S.", ["u", "s"]),
        (" 'Zorg'", ["zorg"]),
        (" 25%", ["twenty", "five", "percent"]),
        (" $3.05", ["three", "point", "zero", "five", "dollars"]),
        (" 1,250", ["one", "thousand", "two", "hundred", "fifty"]),
        (" 1984.", ["nineteen", "eighty", "four"]),
        (" 1900", ["nineteen", "hundred"]),
        (" 2024", ["two", "thousand", "twenty", "four"]),
        (" —", []),
        (" はい", []),
    ],
)
def test_what_is_said_for_a_written_word(written: str, said: list[str]) -> None:
    assert spoken(written, DICTIONARY.__contains__) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0, "zero"),
        (13, "thirteen"),
        (40, "forty"),
        (101, "one hundred one"),
        (2_000_017, "two million seventeen"),
        (3_000_000_000, "three billion"),
        (10**12, "one" + 12 * " zero"),
    ],
)
def test_numbers(value: int, said: str) -> None:
    assert " ".join(number(value)) == said


@pytest.mark.parametrize(
    ("word", "expected"),
    [("zorg", "Z AO R G"), ("kitty", "K IH T IY"), ("chaplin", "CH AE P L IH N"), ("はい", "")],
)
def test_phones_by_letters(word: str, expected: str) -> None:
    assert phones(word) == expected


def test_whisperx_gets_one_space_between_words() -> None:
    words = [" Well,", " to  day", " ", "-ish"]
    assert joined(words) == "Well, today -ish"
    assert entries(words, by_letter=False) == [1, 1, 0, 1]
    assert entries(["今日", " は"], by_letter=True) == [2, 1]
