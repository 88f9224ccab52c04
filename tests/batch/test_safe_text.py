"""No file name and no recognised speech can do anything to a terminal."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from batch.view.safe_text import can_encode, safe_text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Plain name.mkv", "Plain name.mkv"),
        ("\x1b]0;owned\x07.mkv", "\\x1b]0;owned\\x07.mkv"),
        ("two\nlines\r\t.mkv", "two\\nlines\\r\\t.mkv"),
        ("gpj.\u202eexe", "gpj.\\u202eexe"),
        ("isolate\u2066.mkv", "isolate\\u2066.mkv"),
        ("line\u2028.mkv", "line\\u2028.mkv"),
        ("\udce9t\udce9.mkv", "\\xe9t\\xe9.mkv"),
        ("\ud800.mkv", "\\ud800.mkv"),
        ("c1\x9b31m", "c1\\x9b31m"),
        ("[/foo][bold]", "[/foo][bold]"),
        ("می\u200cخواهم.mkv", "می\u200cخواهم.mkv"),
        ("第1話.mkv", "第1話.mkv"),
    ],
)
def test_what_is_not_plainly_visible_is_escaped(text: str, shown: str) -> None:
    assert safe_text(text) == shown


def test_characters_the_encoding_lacks_are_escaped() -> None:
    assert safe_text("é 第.mkv", encoding="ascii") == "\\xe9 \\u7b2c.mkv"
    assert safe_text("é.mkv", encoding="cp1252") == "é.mkv"


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("abcdefghij", 10, "abcdefghij"),
        ("abcdefghijk", 10, "abcd…ghijk"),
        ("第一二三四五六七話", 10, "第一…七話"),
        ("abcdef", 2, "ab"),
        ("第一", 1, ""),
    ],
)
def test_the_middle_is_cut(text: str, width: int, shown: str) -> None:
    assert safe_text(text, width) == shown


def test_the_cut_is_marked_with_dots_where_there_is_no_ellipsis() -> None:
    assert safe_text("abcdefghijk", 9, "ascii") == "abc...ijk"


def test_can_encode() -> None:
    assert can_encode("✓", "utf-8")
    assert not can_encode("✓", "cp1252")
    assert not can_encode("a", "no-such-encoding")


@given(
    text=st.text(st.characters(codec=None), max_size=40),
    width=st.integers(1, 30),
    encoding=st.sampled_from(["utf-8", "ascii", "cp437"]),
)
def test_any_text_is_harmless_and_fits(text: str, width: int, encoding: str) -> None:
    shown = safe_text(text, width, encoding)
    assert cell_len(shown) <= width
    assert shown.encode(encoding) or not shown
    assert not {"Cc", "Cs", "Zl", "Zp"} & set(map(unicodedata.category, shown))
