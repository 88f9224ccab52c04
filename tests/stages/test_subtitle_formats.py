"""SubRip and WebVTT files, byte for byte."""

from __future__ import annotations

from orchestrator.stages.subtitles.cues import Cue
from orchestrator.stages.subtitles.formats import srt, vtt

CUES = [
    Cue(0.0, 1.2345, ("Hello", "there.")),
    Cue(3661.5, 3662.0, ("<b>{\\an8} 1 --> 2 & so on",)),
]


def test_srt() -> None:
    assert srt(CUES) == (
        "1\n00:00:00,000 --> 00:00:01,234\nHello\nthere.\n"
        "\n"
        "2\n01:01:01,500 --> 01:01:02,000\n‹b›(\\an8) 1 --› 2 & so on\n"
    )


def test_vtt() -> None:
    assert vtt(CUES, "Made by\nus --> here") == (
        "WEBVTT\n"
        "\n"
        "NOTE\nMade by us → here\n"
        "\n"
        "00:00:00.000 --> 00:00:01.234\nHello\nthere.\n"
        "\n"
        "01:01:01.500 --> 01:01:02.000\n&lt;b&gt;{\\an8} 1 --&gt; 2 &amp; so on\n"
    )


def test_nothing_said_is_an_empty_srt_and_a_valid_vtt() -> None:
    assert srt([]) == ""
    assert vtt([], "x").startswith("WEBVTT\n\n")


def test_a_cue_never_rounds_to_nothing() -> None:
    assert "00:00:01,000 --> 00:00:01,001" in srt([Cue(1.0, 1.0001, ("a",))])
