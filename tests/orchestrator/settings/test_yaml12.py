"""YAML 1.2's core schema."""

from __future__ import annotations

import math
from contextlib import suppress

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.settings.yaml12 import YamlError, parse, scalar


@pytest.mark.parametrize(
    "text", ["no", "No", "NO", "yes", "on", "off", "y", "n", "1:30", "=", "<<"]
)
def test_yaml_1_1_words_are_text(text: str) -> None:
    assert parse(f"key: {text}").value == {"key": text}
    assert scalar(text) == text


@pytest.mark.parametrize("text", ["2024-01-01", "1_000", "0b11", "tRUE", "1e", "0x", "0o8", "+.e1"])
def test_other_text(text: str) -> None:
    assert parse(f"- {text}").value == [text]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("", None),
        ("Null", None),
        ("12", 12),
        ("-3", -3),
        ("010", 10),
        ("0o17", 15),
        ("0xfF", 255),
        ("1.5", 1.5),
        ("1.", 1.0),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("-.inf", -math.inf),
    ],
)
def test_values(text: str, value: object) -> None:
    assert parse(f"key: {text}").value == {"key": value}
    assert scalar(text) == value
    assert type(scalar(text)) is type(value)


def test_not_a_number() -> None:
    assert math.isnan(parse("key: .nan").value["key"])


def test_quotes_make_text() -> None:
    assert parse("[\"true\", '12', !!str 5]").value == ["true", "12", "5"]


def test_no_merge_keys() -> None:
    assert parse("a: &a {x: 1}\nb: {<<: *a}").value["b"] == {"<<": {"x": 1}}


def test_keys_keep_their_lines() -> None:
    text = "# comment\na: 1\nb:\n  c:\n    d: {e: 2}\n"
    assert parse(text).lines == {("a",): 2, ("b",): 3, ("b", "c"): 4, ("b", "c", "d"): 5}


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n"])
def test_an_empty_document(text: str) -> None:
    assert parse(text).value is None


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: 1\nb: 2\na: 3", 3, "the key 'a' stands there twice, first on line 1"),
        ("x:\n  a: 1\n  a: 2", 3, "stands there twice, first on line 2"),
        ("a: [1", 1, "expected ',' or ']'"),
        ("a: 1\n\tb: 2", 2, "cannot start any token"),
        ("a: !!python/none x", 1, "could not determine a constructor"),
        ("a: !!int 1:30", 1, "'1:30' is not a value of tag:yaml.org,2002:int"),
        ("a: 1\n--- \nb: 2", 2, "but found another document"),
        ("{[a]: 1}", 1, "found unhashable key"),
        ("a: 1\nb: \x07", 2, "the character U+0007 is not allowed"),
        (f"a: {'1' * 5000}", 1, "Exceeds the limit"),
    ],
)
def test_what_is_refused(text: str, line: int, message: str) -> None:
    with pytest.raises(YamlError) as caught:
        parse(text)
    assert message in str(caught.value)
    assert caught.value.line == line


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(YamlError):
        parse(text)


@given(
    st.dictionaries(
        st.text(st.characters(min_codepoint=97, max_codepoint=122), min_size=1),
        st.integers() | st.floats(allow_nan=False) | st.booleans() | st.none(),
    )
)
def test_reads_what_a_writer_wrote(values: dict[str, object]) -> None:
    expected = {f"k_{key}": value for key, value in values.items()}
    assert parse(yaml.safe_dump(expected)).value == expected
