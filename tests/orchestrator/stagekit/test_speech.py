"""Spans cut between turns of speech, and where the language is listened for."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.stagekit.speech import Turn, listening_places, read_turns, spans


def test_turns_are_read(tmp_path: Path) -> None:
    path = tmp_path / "speech.json"
    path.write_text(json.dumps({"version": 1, "turns": [[0, 1.5], [2.25, 3]]}))
    assert read_turns(path) == [Turn(0.0, 1.5), Turn(2.25, 3.0)]


@st.composite
def some_turns(draw: st.DrawFn) -> list[Turn]:
    edges = sorted(draw(st.lists(st.integers(0, 7000), unique=True, max_size=40)))
    pairs = zip(edges[::2], edges[1::2], strict=False)
    return [Turn(float(start), float(end)) for start, end in pairs]


@given(some_turns(), st.integers(1000, 7200))
def test_spans_are_short_disjoint_and_hold_all_speech(found: list[Turn], longest: int) -> None:
    pieces = spans(found, 7200.0, float(longest))
    assert all(0 < piece.end - piece.start <= longest for piece in pieces)
    assert all(one.end <= other.start for one, other in pairwise(pieces))
    covered = sum(
        max(0.0, min(turn.end, piece.end) - max(turn.start, piece.start))
        for turn in found
        for piece in pieces
    )
    assert covered == pytest.approx(sum(turn.end - turn.start for turn in found))


def test_a_span_is_cut_in_the_widest_silence_of_its_second_half() -> None:
    found = [Turn(0, 300), Turn(400, 600), Turn(602, 700), Turn(710, 1200)]
    assert spans(found, 1200.0, 900.0) == [Turn(0, 705), Turn(705, 1200)]


def test_without_silence_a_span_is_cut_at_its_longest() -> None:
    assert spans([Turn(0, 2000)], 2000.0, 900.0) == [
        Turn(0, 900),
        Turn(900, 1800),
        Turn(1800, 2000),
    ]


def test_spans_without_speech_are_left_out() -> None:
    assert spans([Turn(950, 960)], 2000.0, 900.0) == [Turn(675, 1350)]
    assert spans([], 2000.0, 900.0) == []


def test_listening_places_are_spread_over_the_speech() -> None:
    found = [Turn(10 * n, 10 * n + 9) for n in range(60)]
    places = listening_places(found, 5, 30.0)
    assert [place.start for place in places] == [0, 120, 240, 360, 480]
    assert all(place.end - place.start == 30 for place in places)


def test_one_place_is_enough_for_a_short_clip() -> None:
    assert listening_places([Turn(3, 20)], 5, 30.0) == [Turn(3, 33)]


def test_a_single_long_turn_is_listened_to_at_several_places() -> None:
    places = listening_places([Turn(0, 300)], 5, 30.0)
    assert [place.start for place in places] == [0, 60, 120, 180, 240]
