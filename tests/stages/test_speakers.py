"""Who says each word, and one name for a voice in all windows of a file."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.stages.diarization.linking import SAME, Voice, link
from orchestrator.stages.diarization.speakers import (
    REACH,
    SpeakerTurn,
    speakers_of,
    with_speakers,
)

ANNA, BERT = "S1", "S2"


def said(text: str, start: float = 0.0, step: float = 0.5) -> list[dict[str, Any]]:
    """Words one behind the other, ``step`` seconds each."""
    return [
        {"start": start + n * step, "end": start + (n + 1) * step, "word": f" {word}"}
        for n, word in enumerate(text.split())
    ]


def names(words: list[dict[str, Any]], *turns: tuple[float, float, str]) -> list[str | None]:
    return speakers_of(words, [SpeakerTurn(*turn) for turn in turns])


def test_a_word_belongs_to_whom_it_overlaps_most() -> None:
    words = said("one two three four")
    found = names(words, (0.0, 1.2, ANNA), (1.2, 2.0, BERT))
    assert found == [ANNA, ANNA, BERT, BERT]


def test_of_two_at_once_the_one_who_speaks_longer_during_the_word() -> None:
    words = said("one two three", step=1.0)
    assert names(words, (0.0, 1.9, ANNA), (0.8, 3.0, BERT)) == [ANNA, BERT, BERT]


def test_where_two_speak_equally_long_the_speaker_stays() -> None:
    words = said("one two three four")
    assert names(words, (0.0, 2.0, ANNA), (1.0, 2.0, BERT)) == [ANNA] * 4
    assert names(words, (0.0, 1.0, BERT), (1.0, 2.0, BERT), (1.0, 2.0, ANNA)) == [BERT] * 4


def test_a_word_outside_all_turns_goes_to_the_nearest_within_reach() -> None:
    words = [
        {"start": 0.0, "end": 0.4, "word": " far"},
        {"start": 2.2, "end": 2.5, "word": " near"},
        {"start": 5.6, "end": 5.9, "word": " behind"},
        {"start": 6.1 + REACH, "end": 7.5 + REACH, "word": " gone"},
    ]
    found = names(words, (3.0, 4.0, ANNA), (4.0, 5.0, BERT))
    assert found == [None, ANNA, BERT, None]


def test_a_single_word_between_those_of_another_is_theirs() -> None:
    words = said("this is all mine to say")
    assert names(words, (0.0, 1.0, ANNA), (1.0, 1.5, BERT), (1.5, 3.0, ANNA)) == [ANNA] * 6


def test_a_sentence_of_one_word_is_somebody_elses() -> None:
    words = said("is it you? Yes. I thought so")
    found = names(words, (0.0, 1.5, ANNA), (1.5, 2.0, BERT), (2.0, 4.0, ANNA))
    assert found == [ANNA, ANNA, ANNA, BERT, ANNA, ANNA, ANNA]


def test_a_word_between_pauses_is_somebody_elses() -> None:
    words = [*said("well I"), *said("mhm", 1.4), *said("never said", 2.4)]
    found = names(words, (0.0, 1.0, ANNA), (1.4, 1.9, BERT), (2.4, 3.4, ANNA))
    assert found == [ANNA, ANNA, BERT, ANNA, ANNA]


def test_a_long_turn_that_overlaps_many_short_ones_is_found() -> None:
    turns = [(0.0, 100.0, ANNA), *((float(n), n + 0.1, BERT) for n in range(1, 90))]
    assert names(said("still here", 95.0), *turns) == [ANNA, ANNA]


def test_without_turns_nobody_is_named() -> None:
    assert names(said("one two")) == [None, None]
    assert names([]) == []


def test_segments_are_named_after_who_says_most_and_keep_what_they_have() -> None:
    segments = [
        {"start": 0.0, "end": 2.0, "text": "one two three four", "id": 7,
         "words": said("one two three four")},
        {"start": 5.0, "end": 6.0, "text": "no times", "words": []},
        {"start": 50.0, "end": 51.0, "text": "nobody", "words": []},
    ]  # fmt: skip
    turns = [SpeakerTurn(0.0, 0.5, BERT), SpeakerTurn(0.5, 2.0, ANNA), SpeakerTurn(5.0, 6.0, BERT)]
    rows = with_speakers(segments, turns)
    assert [row["speaker"] for row in rows] == [ANNA, BERT, None]
    assert [word["speaker"] for word in rows[0]["words"]] == [BERT, ANNA, ANNA, ANNA]
    assert rows[0]["id"] == 7
    assert "speaker" not in segments[0]


times = st.floats(0, 60, allow_nan=False)


@given(
    st.lists(st.tuples(times, st.floats(0.05, 3))),
    st.lists(st.tuples(times, st.floats(0.05, 20), st.sampled_from("ABC")), max_size=12),
)
def test_every_word_near_a_turn_gets_a_name_that_there_is(
    rows: list[tuple[float, float]], spoken: list[tuple[float, float, str]]
) -> None:
    words = [{"start": a, "end": a + length, "word": " w"} for a, length in sorted(rows)]
    turns = [SpeakerTurn(a, a + length, name) for a, length, name in spoken]
    for (start, length), name in zip(sorted(rows), speakers_of(words, turns), strict=True):
        near = any(
            turn.start < start + length + REACH and turn.end > start - REACH for turn in turns
        )
        assert name is not None or not near
        assert name is None or name in "ABC"


# --- Windows --------------------------------------------------------------------------------------


def voice(window: int, degrees: float, seconds: float = 60.0) -> Voice:
    """A voice in a plane: two of them are 1 - cos(angle) apart."""
    angle = math.radians(degrees)
    return Voice(window, (math.cos(angle), math.sin(angle)), seconds)


def test_the_same_voice_in_two_windows_is_one_speaker() -> None:
    voices = [voice(0, 0), voice(0, 90), voice(1, 95), voice(1, 5), voice(2, 180)]
    assert link(voices) == [0, 1, 1, 0, 2]


def test_voices_of_one_window_are_never_one() -> None:
    assert link([voice(0, 0), voice(0, 1)]) == [0, 1]
    assert link([voice(0, 0), voice(0, 1)], most=1) == [0, 1]
    assert link([voice(0, 0), voice(1, 2), voice(0, 4)]) == [0, 0, 1]


def test_the_number_of_speakers_that_is_asked_for() -> None:
    apart = math.degrees(math.acos(1 - SAME)) + 1
    voices = [voice(0, 0), voice(1, apart), voice(2, 180)]
    assert link(voices) == [0, 1, 2]
    assert len(set(link(voices, most=2))) == 2
    alike = [voice(n, n) for n in range(4)]
    assert link(alike) == [0, 0, 0, 0]
    assert len(set(link(alike, fewest=3))) == 3


def test_who_speaks_longer_counts_more() -> None:
    voices = [voice(0, 0, 600), voice(1, 50, 6), voice(2, 75, 600)]
    assert link(voices, same=0.6) == [0, 1, 1]
    alike = [voice(0, 0, 600), voice(1, 50, 600), voice(2, 75, 600)]
    assert link(alike, same=0.6) == [0, 0, 0]


@pytest.mark.parametrize("nothing", [(0.0, 0.0), (math.nan, math.nan)])
def test_a_voice_that_could_not_be_heard_is_somebody_of_its_own(
    nothing: tuple[float, float],
) -> None:
    assert link([voice(0, 0), Voice(1, nothing, 1.0), voice(2, 1)]) == [0, 1, 0]


def test_no_voices() -> None:
    assert link([]) == []
