"""SubRip and WebVTT files, byte for byte."""

from __future__ import annotations

import json

from orchestrator.stagekit.subtitle_formats import Cue, cues_from_json, cues_to_json, srt, vtt

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


def test_cues_survive_json() -> None:
    cues = [Cue(0.5, 1.25, ("- Hello.", "- Hi.")), Cue(2.0, 3.0, ("Bye.",), "S1")]
    data = json.loads(json.dumps(cues_to_json(cues, "en")))
    assert data["version"] == 1
    assert data["language"] == "en"
    assert data["cues"][0] == {"start": 0.5, "end": 1.25, "lines": ["- Hello.", "- Hi."]}
    assert data["cues"][1]["speaker"] == "S1"
    assert cues_from_json(data) == cues


def test_no_part_of_a_cue_is_moved_before_the_beginning() -> None:
    assert Cue(1.0, 2.0, ("a",)).shifted(-1.5) == Cue(0.0, 0.5, ("a",))
