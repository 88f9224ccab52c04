"""The transcript for people and for programs."""

from __future__ import annotations

from typing import Any

from orchestrator.stages.transcript.prose import in_media_time, paragraphs


def segment(start: float, end: float, text: str) -> dict[str, Any]:
    return {"start": start, "end": end, "text": text}


def test_a_pause_begins_a_paragraph() -> None:
    segments = [segment(0, 1, "One."), segment(1.5, 2, "Two."), segment(4.5, 5, "Three.")]
    assert paragraphs(segments, 2.0, 700) == ["One. Two.", "Three."]


def test_a_long_paragraph_ends_with_a_sentence() -> None:
    segments = [segment(0, 1, "a" * 50), segment(1, 2, "b."), segment(2, 3, "c")]
    assert paragraphs(segments, 2.0, 40) == ["a" * 50 + " b.", "c"]


def test_chinese_is_joined_without_spaces_and_korean_with() -> None:
    chinese = [segment(0, 1, "你好。"), segment(1, 2, "再见。")]
    korean = [segment(0, 1, "안녕"), segment(1, 2, "세계")]
    assert paragraphs(chinese, 2.0, 700) == ["你好。再见。"]
    assert paragraphs(korean, 2.0, 700) == ["안녕 세계"]


def test_empty_segments_and_control_characters_vanish() -> None:
    assert paragraphs([segment(0, 1, " \x07\n")], 2.0, 700) == []
    assert paragraphs([segment(0, 1, "a\r\n\x1bb")], 2.0, 700) == ["a b"]


def test_text_cannot_turn_a_line_around() -> None:
    assert paragraphs([segment(0, 1, "\u202egpj.\u2066exe\ufeff")], 2.0, 700) == ["gpj.exe"]


def test_all_times_move_and_the_rest_stays() -> None:
    moved = in_media_time(
        {
            "language": "en",
            "speech": [[0.5, 1.0]],
            "segments": [
                {"start": 0.5, "end": 1.0, "text": "Hi", "words": [segment(0.5, 1.0, "Hi")]},
                {"start": 2.0, "end": 3.0, "text": "there"},
            ],
        },
        3.5,
    )
    assert moved["language"] == "en"
    assert moved["offset"] == 3.5
    assert moved["speech"] == [[4.0, 4.5]]
    assert [s["start"] for s in moved["segments"]] == [4.0, 5.5]
    assert moved["segments"][0]["words"][0]["end"] == 4.5


def said(text: str, speaker: str | None, start: float) -> dict[str, Any]:
    words = [
        {"word": " " + word, "start": start + n, "end": start + n + 1, "speaker": speaker}
        for n, word in enumerate(text.split())
    ]
    return {**segment(start, start + len(words), text), "words": words, "speaker": speaker}


def test_a_speaker_is_named_where_he_begins() -> None:
    segments = [
        said("Good evening.", "S1", 0.0),
        said("Sit down.", "S1", 2.0),
        said("Thank you.", "S2", 4.0),
        said("Now.", "S2", 60.0),
    ]
    assert paragraphs(segments, 2.0, 700) == [
        "S1: Good evening. Sit down.",
        "S2: Thank you.",
        "Now.",
    ]


def test_a_segment_with_two_speakers_is_divided() -> None:
    both = said("Who? Me.", None, 0.0)
    both["words"][0]["speaker"], both["words"][1]["speaker"] = "S1", "S2"
    assert paragraphs([both], 2.0, 700) == ["S1: Who?", "S2: Me."]


def test_without_speakers_nobody_is_named() -> None:
    assert paragraphs([said("Good evening.", None, 0.0)], 2.0, 700) == ["Good evening."]


def test_speakers_are_kept_in_the_data() -> None:
    moved = in_media_time({"speakers": ["S1"], "speech": [], "segments": [said("A.", "S1", 0)]}, 1)
    assert moved["speakers"] == ["S1"]
    assert moved["segments"][0]["words"][0] == {
        "word": " A.",
        "start": 1.0,
        "end": 2.0,
        "speaker": "S1",
    }
