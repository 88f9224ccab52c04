"""Turns of speech from what a detector hears."""

from __future__ import annotations

from orchestrator.stagekit.voice_activity import speech_turns

WINDOW = 0.1


def turns(*probabilities: float) -> list[tuple[float, float]]:
    return [
        (round(start, 3), round(end, 3)) for start, end in speech_turns(probabilities, WINDOW, 0.5)
    ]


def test_a_turn_ends_after_enough_silence() -> None:
    assert turns(0, 1, 1, 1, 0, 0, 0, 1, 1, 0) == [(0.1, 0.4), (0.7, 0.9)]


def test_a_short_silence_lies_within_a_turn() -> None:
    assert turns(1, 1, 0, 0, 1, 1) == [(0.0, 0.6)]


def test_doubt_neither_begins_nor_ends_a_turn() -> None:
    assert turns(0.4, 0.4, 1, 1, 0.4, 0.4, 0.4, 0.4, 1, 0, 0, 0) == [(0.2, 0.9)]


def test_a_click_is_no_speech() -> None:
    assert speech_turns([0.0] * 5 + [1.0] + [0.0] * 5, 0.032, 0.5) == []


def test_a_short_word_is_speech() -> None:
    """The first of a telephone talk, of which three windows are loud."""
    (turn,) = speech_turns([0.0] * 5 + [1.0] * 3 + [0.0] * 9, 0.032, 0.5)
    assert round(turn.end - turn.start, 3) == 0.096


def test_speech_up_to_the_end() -> None:
    assert turns(0, 0, 1, 1) == [(0.2, 0.4)]
    assert turns() == []
