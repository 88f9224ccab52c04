"""Which pieces of sound whisperx recognises, and where their words are put."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.stagekit.speech import Turn
from orchestrator.stages.asr_whisperx.pieces import compression_ratio, end_to_end, pieces, spread


def test_pieces_reach_a_little_beyond_their_speech() -> None:
    turns = [Turn(0.1, 12), Turn(12.5, 25), Turn(40, 50)]
    assert pieces(turns, 30.0, 0.2) == [Turn(0, 25.2), Turn(39.8, 50.2)]
    assert pieces([], 30.0, 0.2) == []


def test_pieces_do_not_overlap() -> None:
    assert pieces([Turn(0, 20), Turn(20.25, 40)], 30.0, 0.2) == [
        Turn(0, 20.125),
        Turn(20.125, 40.2),
    ]


@given(
    st.lists(st.integers(0, 3000), unique=True, max_size=40),
    st.floats(0, 2, allow_subnormal=False),
)
def test_pieces_are_short_disjoint_and_hold_all_speech(edges: list[int], pad: float) -> None:
    edges.sort()
    pairs = zip(edges[::2], edges[1::2], strict=False)
    turns = [Turn(start / 10, end / 10) for start, end in pairs]
    found = pieces(turns, 30.0, pad)
    assert all(0 < piece.end - piece.start <= 30.001 for piece in found)
    assert all(one.end <= other.start + 1e-9 for one, other in pairwise(found))
    covered = sum(
        max(0.0, min(turn.end, piece.end) - max(turn.start, piece.start))
        for turn in turns
        for piece in found
    )
    assert covered == pytest.approx(sum(turn.end - turn.start for turn in turns))


def test_pieces_laid_end_to_end_are_found_again_to_the_sample() -> None:
    lengths = [480_000, 1, 7, 333_333, 479_999] * 12
    found = end_to_end(lengths, 16_000)
    cut = [(int(piece.start * 16_000), int(piece.end * 16_000)) for piece in found]
    assert [end - start for start, end in cut] == lengths
    assert all(one[1] == other[0] for one, other in pairwise(cut))
    assert cut[0][0] == 0


def test_words_are_spread_over_the_speech_by_their_length() -> None:
    words = spread(" Hi there", Turn(0, 10), [Turn(1, 4), Turn(6, 12)], "en", 0.5)
    assert [word.word for word in words] == [" Hi", " there"]
    assert [(round(word.start, 2), round(word.end, 2)) for word in words] == [(1, 3.33), (6, 10)]
    assert {word.probability for word in words} == {0.5}


def test_words_without_spaces_are_characters_with_their_signs() -> None:
    words = spread("「今日は。」", Turn(0, 4), [], "ja", 0.5)
    assert [word.word for word in words] == ["「", "今", "日", "は。」"]
    assert words[-1].end == 4


def test_a_text_that_repeats_itself_is_packed_well() -> None:
    assert compression_ratio("la " * 50) > 2.4 > compression_ratio("Nothing much to say.")
