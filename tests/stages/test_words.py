"""The words that are laid out: cleaned, in order, none wider than a line."""

from __future__ import annotations

from itertools import pairwise

import pytest

from orchestrator.stagekit.subtitle_text import columns, ends_clause, ends_sentence
from orchestrator.stages.subtitles.text import clean, split_wide
from orchestrator.stages.subtitles.words import Word, join, words_of


def test_a_newline_or_control_character_cannot_get_into_a_word() -> None:
    assert clean(" a\r\n\r\n00:00\x1b[31m\u2028b\u200bc") == " a 00:00 [31m bc"


def test_marks_of_direction_are_kept() -> None:
    assert clean("\u200fשלום") == "\u200fשלום"


def test_columns_count_what_is_seen() -> None:
    assert [columns(text) for text in ("abc", "字幕", "e\u0301")] == [3, 4, 1]


def test_ends_of_sentences_and_clauses() -> None:
    assert all(map(ends_sentence, ("end.", "What?", "so!”", "終。", "wait…")))
    assert not any(map(ends_sentence, ("Mr.", "J.", "end", "3.5")))
    assert all(map(ends_clause, ("first,", "namely:", "half—", "そして、")))


def test_words_without_a_space_belong_to_the_one_before() -> None:
    rows = [
        {"word": " cold", "start": 0.0, "end": 0.3},
        {"word": "-hearted", "start": 0.3, "end": 0.8},
        {"word": " men", "start": 0.8, "end": 1.0},
    ]
    assert join(words_of([{"words": rows}], 42)) == "cold-hearted men"


WHISPER_PIECES = {
    "Thai": (
        "ท ี่ น ี่ เป ็ น บ ้ าน ข อง ผม แล ะ เรา อย ู่ ท ี่ น ี่ มา น าน แล ้ ว คร ั บ",
        "ที่ นี่ เป็ น บ้าน ข อง ผม และ เรา อยู่ ที่ นี่ มา นาน แล้ ว ครั บ",
    ),
    "Lao": (
        "ຂ ້ ອ ຍ ຢ ູ ່ ທ ີ ່ ນ ີ ້ ແ ລ ະ ເ ຮ ັ ດ ວ ຽ ກ ທ ຸ ກ ໆ",
        "ຂ້ ອ ຍ ຢູ່ ທີ່ ນີ້ ແລະ ເຮັ ດ ວຽ ກ ທຸ ກໆ",
    ),
    "Burmese": (
        "က ျ ွ န ် တ ေ ာ ် တ ိ ု ့ သ ည ် ဤ န ေ ရ ာ တ ွ င ်",
        "ကျွန် တော် တို့ သည် ဤ နေ ရာ တွင်",
    ),
    "Japanese": (
        "き ょ う は 学 校 へ 行 って から 、 コ ーヒ ー を 飲 み 、 お しゃ べ り ニ ュ ー ク",
        "きょ う は 学 校 へ 行って から、 コーヒー を 飲 み、 お しゃ べ り ニュー ク",
    ),
}
"""What the tokenizer of Whisper's models makes of a text, as words; and what may stand apart."""


@pytest.mark.parametrize("language", WHISPER_PIECES)
def test_pieces_of_a_character_become_one_word(language: str) -> None:
    given, expected = (text.split() for text in WHISPER_PIECES[language])
    rows = [{"word": one, "start": n / 10, "end": (n + 1) / 10} for n, one in enumerate(given)]
    words = words_of([{"words": rows}], 42)
    assert [word.text for word in words] == expected
    assert join(words) == "".join(given)
    assert all(one.end == other.start for one, other in pairwise(words))
    assert words[-1].end == rows[-1]["end"]


def test_pieces_that_a_line_does_not_hold_together_stay_apart() -> None:
    rows = [{"word": "あ", "start": 0.0, "end": 0.1}]
    rows += [{"word": "ーー", "start": n / 10, "end": (n + 1) / 10} for n in range(1, 4)]
    assert [word.text for word in words_of([{"words": rows}], 10)] == ["あーーーー", "ーー"]


def test_a_word_behind_a_space_stands_apart_whatever_it_begins_with() -> None:
    rows = [
        {"word": " yes", "start": 0.0, "end": 0.1},
        {"word": " …", "start": 0.1, "end": 0.2},
        {"word": "”", "start": 0.2, "end": 0.3},
    ]
    assert [word.text for word in words_of([{"words": rows}], 42)] == ["yes", "…”"]


@pytest.mark.parametrize(
    ("text", "width", "expected"),
    [
        ("ខ្ញុំរស់នៅទី", 2, ["ខ្ញុំ", "រស់", "នៅ", "ទី"]),
        ("ที่นี่เป็นบ้าน", 3, ["ที่นี่", "เป็น", "บ้าน"]),
        ("コーヒーを", 4, ["コー", "ヒー", "を"]),
        ("ーーーーー", 4, ["ーー", "ーー", "ー"]),
    ],
)
def test_a_wide_word_is_not_cut_inside_a_character(
    text: str, width: int, expected: list[str]
) -> None:
    assert split_wide(text, width) == expected


def test_a_segment_begins_a_word_even_if_it_has_no_space() -> None:
    segments = [
        {"words": [{"word": "One.", "start": 0.0, "end": 0.3}]},
        {"words": [{"word": "Two.", "start": 0.4, "end": 0.8}]},
    ]
    assert join(words_of(segments, 42)) == "One. Two."


def test_a_segment_without_word_times_shares_out_its_own() -> None:
    words = words_of([{"start": 1.0, "end": 3.0, "text": "ab cdefgh"}], 42)
    assert words == [Word("ab", 1.0, 1.5), Word("cdefgh", 1.5, 3.0)]


def test_a_word_wider_than_a_line_is_cut() -> None:
    rows = [{"word": " " + "x" * 25, "start": 0.0, "end": 3.0}]
    words = words_of([{"words": rows}], 10)
    assert [len(word.text) for word in words] == [10, 10, 5]
    assert [word.start for word in words] == [0.0, 1.0, 2.0]
    assert join(words) == "x" * 25


def test_empty_words_vanish_and_time_does_not_run_back() -> None:
    rows = [
        {"word": " a", "start": 5.0, "end": 6.0},
        {"word": " \x00", "start": 6.0, "end": 6.1},
        {"word": " b", "start": 4.0, "end": 4.5},
    ]
    words = words_of([{"words": rows}], 42)
    assert [(word.text, word.start, word.end) for word in words] == [("a", 5, 6), ("b", 5, 5)]
