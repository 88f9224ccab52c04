"""Numbers in words."""

from __future__ import annotations

import pytest

from batch.view import words


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0.0 s"),
        (8.34, "8.3 s"),
        (59.4, "59 s"),
        (312, "5 min 12 s"),
        (6720, "1 h 52 min"),
        (47 * 3600, "47 h 0 min"),
        (76 * 3600, "3 d 4 h"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(-3, "0:00"), (7.9, "0:07"), (723, "12:03"), (4323, "1:12:03")]
)
def test_stopwatch(seconds: float, text: str) -> None:
    assert words.stopwatch(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(600, "10 min 0 s"), (11160, "3.1 h"), (4_320_000, "1,200 h")]
)
def test_hours(seconds: float, text: str) -> None:
    assert words.hours(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (345_000_000, "345 MB"), (3.2e15, "3200 TB")],
)
def test_byte_size(size: float, text: str) -> None:
    assert words.byte_size(int(size)) == text


def test_time_spans() -> None:
    assert words.time_spans(()) == ""
    assert words.time_spans(((7.9, 12.0), (3730.0, 3770.0))) == "0:08 to 0:12, 1:02:10 to 1:02:50"
    assert words.time_spans(((1, 2), (3, 4)), most=1) == "0:01 to 0:02 and 1 more"


def test_speed_and_count() -> None:
    assert words.times_real_time(21.54) == "21.5 x"
    assert words.times_real_time(1234.5) == "1,234 x"
    assert words.count(1, "file") == "1 file"
    assert words.count(20_000, "file") == "20,000 files"


@pytest.mark.parametrize(
    ("folder", "path", "shown"),
    [
        ("/m", "/m/a/b.mkv", "a/b.mkv"),
        ("/m/", "/m/a.mkv", "a.mkv"),
        ("C:\\m", "C:\\m\\a.mkv", "a.mkv"),
        ("/m", "/music/a.mkv", "/music/a.mkv"),
        ("", "/m/a.mkv", "/m/a.mkv"),
    ],
)
def test_relative_to(folder: str, path: str, shown: str) -> None:
    assert words.relative_to(folder, path) == shown


def test_without_name() -> None:
    assert words.without_name("/m/a: no audio", "/m/a") == "No audio"
    assert words.without_name("/m/a is empty", "/m/a") == "Is empty"
    assert words.without_name("the stage died", "/m/a") == "the stage died"
