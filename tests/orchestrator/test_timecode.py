"""Times as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.timecode import parse_time


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90.0),
        ("0", 0.0),
        ("1.25", 1.25),
        ("12:30", 750.0),
        ("00:12:30", 750.0),
        ("01:02:03.5", 3723.5),
        (" 1:2:3 ", 3723.0),
        ("100:00:00", 360_000.0),
        ("3600", 3600.0),
    ],
)
def test_a_time_in_seconds(text: str, seconds: float) -> None:
    assert parse_time(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "-1",
        "1:60",
        "1:99:00",
        "00:00:60",
        "1:2:3:4",
        ":30",
        "1.",
        "1e3",
        "inf",
        "nan",
        "1,5",
        "\N{ARABIC-INDIC DIGIT ONE}",
        "9" * 400,
        "9" * 400 + ":00:00",
        "1:2\n3",
    ],
)
def test_what_is_no_time_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time: write HH:MM:SS"):
        parse_time(text)


@given(st.integers(0, 999_999), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999))
def test_every_time_that_is_written_out_is_read(h: int, m: int, s: int, ms: int) -> None:
    seconds = parse_time(f"{h}:{m:02d}:{s:02d}.{ms:03d}")
    assert seconds == pytest.approx(h * 3600 + m * 60 + s + ms / 1000, abs=1e-6)


@given(st.text(alphabet="0123456789:. e-", max_size=12))
def test_any_text_is_a_time_or_refused(text: str) -> None:
    try:
        assert 0.0 <= parse_time(text) < 1e12
    except ValueError as error:
        assert "is not a time" in str(error)  # noqa: PT017
