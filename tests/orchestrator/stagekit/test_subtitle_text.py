"""How wide text is, and where it may be parted."""

from __future__ import annotations

import pytest

from orchestrator.stagekit.subtitle_text import columns, may_part, split_words


@pytest.mark.parametrize(
    ("text", "width"),
    [
        ("ที่นี่", 2),  # marks above that combine with nothing, by their class
        ("हिन्दी", 5),  # two marks that take room, and a virama that takes none
        ("ខ្ញុំ", 2),
        ("e\u0301", 1),
        ("\u200fשלום\u200e", 4),
        ("می\u200cخواهم", 7),
        ("👩\u200d👧", 4),
        ("❤\ufe0f", 1),
        ("\u0600١", 2),  # a formatting character that is seen: the Arabic number sign
        ("字幕", 4),
    ],
)
def test_columns_count_what_takes_room(text: str, width: int) -> None:
    assert columns(text) == width


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("ท", "ี"),  # a mark
        ("เ", "ร"),  # a vowel that is written before its consonant
        ("ล", "ะ"),  # one behind it
        ("າ", "ໆ"),  # a sign that repeats the word
        ("្", "ញ"),  # what stands below
        ("္", "မ"),
        ("တွ", "င်"),  # a consonant that ends the syllable
        ("သ", "န့်"),
        ("き", "ょ"),
        ("ﾆ", "ｭ"),
        ("す", "。"),
        ("「", "は"),
    ],
)
def test_characters_that_belong_together(left: str, right: str) -> None:
    assert not may_part(left, right)


@pytest.mark.parametrize(
    ("left", "right"),
    [("่", "น"), ("ะ", "เ"), ("။", "က"), ("တွ", "င"), ("う", "は"), ("。", "「"), ("a", "b")],
)
def test_characters_that_may_be_parted(left: str, right: str) -> None:
    assert may_part(left, right)


def test_text_without_spaces_breaks_between_whole_characters() -> None:
    assert [word.text for word in split_words("และเรา ខ្ញុំ")] == ["และ", "เรา", "ខ្ញុំ"]
    assert [word.text for word in split_words("နေရာတွင်")] == ["နေ", "ရာ", "တွင်"]
    assert [word.text for word in split_words("コーヒー、OK")] == ["コー", "ヒー、OK"]
