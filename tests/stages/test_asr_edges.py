"""The edges of words."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.stagekit.speech import Turn
from orchestrator.stagekit.transcript import Word
from orchestrator.stages.asr.edges import MARGIN, snap


def word(start: float, end: float, text: str = " a") -> Word:
    return Word(start, end, text, 0.9)


def edges(words: list[Word], turns: list[Turn]) -> list[tuple[float, float]]:
    return [(round(w.start, 3), round(w.end, 3)) for w in snap(words, turns)]


def test_a_word_that_reaches_into_silence_is_cut() -> None:
    assert edges([word(1.0, 4.3), word(4.3, 7.0)], [Turn(4.0, 5.0)]) == [
        (4.0 - MARGIN, 4.3),
        (4.3, 5.0 + MARGIN),
    ]


def test_the_first_and_last_words_reach_the_edges_of_their_turn() -> None:
    assert edges([word(4.3, 4.5), word(4.5, 4.8)], [Turn(4.0, 5.0)]) == [(4.0, 4.5), (4.5, 5.0)]


def test_a_word_far_from_the_edge_is_not_stretched() -> None:
    assert edges([word(7.0, 7.5)], [Turn(4.0, 9.0)]) == [(7.0, 7.5)]


def test_a_word_just_outside_a_turn_goes_to_its_edge() -> None:
    assert edges([word(3.5, 3.7), word(4.1, 4.5)], [Turn(4.0, 4.6)]) == [(4.0, 4.04), (4.1, 4.6)]
    assert edges([word(4.0, 4.4), word(4.7, 4.9)], [Turn(4.0, 4.6)]) == [(4.0, 4.4), (4.56, 4.6)]


def test_a_word_far_from_speech_stays() -> None:
    assert edges([word(1.0, 1.5)], [Turn(4.0, 9.0)]) == [(1.0, 1.5)]
    assert edges([word(1.0, 1.5)], []) == [(1.0, 1.5)]


def test_the_first_word_of_a_sentence_is_carried_over_the_silence_before_it() -> None:
    words = [word(27.9, 28.1, " way."), word(28.1, 28.37, " In"), word(29.3, 29.6, " short,")]
    found = edges(words, [Turn(26.6, 28.3), Turn(29.1, 29.7)])
    assert found[1] == (29.1, 29.3)
    assert found[2][0] == 29.3


def test_a_word_that_spans_a_silence_belongs_behind_it_if_it_begins_a_sentence() -> None:
    words = [word(26.9, 27.2, " ditch?"), word(27.2, 28.1, " No.")]
    found = edges(words, [Turn(23.8, 27.4), Turn(28.0, 28.3)])
    assert found == [(26.9, 27.4), (28.0, 28.3)]


def test_a_sentence_of_one_word_is_not_carried_over() -> None:
    words = [word(0.6, 0.8, " me?"), word(1.44, 1.74, " Yes."), word(2.04, 2.54, " Do")]
    found = edges(words, [Turn(0.6, 0.9), Turn(1.6, 1.8), Turn(2.5, 3.3)])
    assert found == [(0.6, 0.9), (1.55, 1.8), (2.45, 2.54)]


def test_nothing_is_carried_over_where_it_would_not_fit() -> None:
    last_turn = [word(1.0, 1.4, " end."), word(1.4, 1.6, " And")]
    assert edges(last_turn, [Turn(1.0, 1.6)]) == [(1.0, 1.4), (1.4, 1.6)]
    middle = [word(1.0, 1.2, " end."), word(1.2, 1.5, " And"), word(1.5, 2.0, " so")]
    assert edges(middle, [Turn(1.0, 2.0), Turn(3.0, 4.0)])[1] == (1.2, 1.5)
    before_turn = [word(1.4, 1.7, " end."), word(1.7, 1.8, " And"), word(1.8, 2.0, " so")]
    assert edges(before_turn, [Turn(1.5, 2.0), Turn(3.0, 4.0)])[1] == (1.7, 1.8)


def test_a_word_inside_a_sentence_is_not_carried_over() -> None:
    words = [word(27.9, 28.1, " way"), word(28.1, 28.37, " in"), word(29.3, 29.6, " short,")]
    found = edges(words, [Turn(26.6, 28.3), Turn(29.1, 29.7)])
    assert found[1][0] == 28.1


seconds = st.floats(0, 60, allow_nan=False)


@given(st.lists(st.tuples(seconds, st.floats(0, 5))), st.lists(seconds, unique=True, max_size=20))
def test_snapped_words_are_the_same_words_and_time_never_runs_back(
    rows: list[tuple[float, float]], limits: list[float]
) -> None:
    limits.sort()
    turns = [Turn(a, b) for a, b in zip(limits[::2], limits[1::2], strict=False)]
    words = [word(start, start + length, f" {n}") for n, (start, length) in enumerate(sorted(rows))]
    snapped = snap(words, turns)
    assert [w.word for w in snapped] == [w.word for w in words]
    assert all(w.end >= w.start for w in snapped)
    assert all(other.start >= one.end for one, other in pairwise(snapped))
