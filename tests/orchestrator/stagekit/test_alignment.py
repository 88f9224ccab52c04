"""Passages, refined transcripts, and how well an aligner agreed."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.contract.exchange import ModelRef
from orchestrator.stagekit.alignment import (
    Passage,
    Placed,
    agreement,
    aligned,
    find_words,
    is_doubtful,
    model_for,
    passages,
    sound_of,
)
from orchestrator.stagekit.speech import Turn


def segment(start: float, end: float, text: str = "") -> dict[str, Any]:
    """The words share the time evenly."""
    names = text.split()
    step = (end - start) / max(1, len(names))
    words = [
        {
            "start": start + n * step,
            "end": start + (n + 1) * step,
            "word": f" {name}",
            "probability": 0.9,
        }
        for n, name in enumerate(names)
    ]
    return {"start": start, "end": end, "text": text, "words": words, "avg_logprob": -0.1}


def transcript(*segments: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"version": 1, "language": "en", "segments": list(segments), **more}


def times(row: dict[str, Any]) -> list[tuple[float, float]]:
    return [(word["start"], word["end"]) for word in row["words"]]


def test_neighbours_are_aligned_together() -> None:
    rows = [segment(0, 4), segment(4.2, 8), segment(8.1, 12), segment(15, 16), segment(16, 60)]
    assert passages(rows, longest=10.0, apart=1.0) == [
        range(2),
        range(2, 3),
        range(3, 4),
        range(4, 5),
    ]
    assert passages([], longest=10.0, apart=1.0) == []


def test_sound_reaches_beyond_its_words_but_not_into_others() -> None:
    rows = [segment(1, 4), segment(4.1, 8), segment(9, 12)]
    assert sound_of(rows, range(1, 2), pad=0.3, duration=20) == Turn(4, 8.3)
    assert sound_of(rows, range(3), pad=2.0, duration=12.5) == Turn(0, 12.5)


def test_sound_holds_all_words_where_segments_overlap() -> None:
    rows = [segment(1, 5), segment(4, 8), segment(7, 9)]
    assert sound_of(rows, range(1, 2), pad=0.3, duration=20) == Turn(4, 8)


def ask(
    rows: list[dict[str, Any]], answers: list[Passage | None]
) -> tuple[list[Passage | None], list[list[str]]]:
    asked: list[list[str]] = []

    def align(_sound: Turn, words: list[str]) -> Passage | None:
        asked.append(words)
        return answers[len(asked) - 1]

    return find_words(rows, align, duration=20, longest=30, apart=1, pad=0.2), asked


def test_a_passage_is_parted_into_its_segments_again() -> None:
    a, c = Placed(0, 1), Placed(2, 3)
    rows = [segment(0, 2, "one two"), segment(2, 3), segment(3, 4, "three")]
    found, asked = ask(rows, [[a, None, c]])
    assert found == [[a, None], [], [c]]
    assert asked == [[" one", " two", " three"]]


def test_what_fails_together_is_tried_segment_by_segment() -> None:
    a = Placed(0, 1)
    rows = [segment(0, 1, "one"), segment(1, 2, "two")]
    found, asked = ask(rows, [None, [a], None])
    assert found == [[a], None]
    assert asked == [[" one", " two"], [" one"], [" two"]]


def test_a_model_of_the_language_comes_first() -> None:
    own = ModelRef("own", "/own", "1")
    german, french = (ModelRef(one, f"/{one}", one, (one,)) for one in ("de", "fr"))
    assert model_for([own, german, french], "fr") == french
    assert model_for([german, own], "en") == own
    assert model_for([german], "en") is None
    assert model_for([], "en") is None


def test_words_are_where_they_were_found() -> None:
    source = transcript(segment(1, 3, "one two"), speech=[[1, 3]])
    result = aligned(source, [[Placed(1.1, 1.5, 0.75), Placed(2.2, 2.8004)]], engine="x")
    (row,) = result["segments"]
    assert times(row) == [(1.1, 1.5), (2.2, 2.8)]
    assert (row["start"], row["end"], row["avg_logprob"]) == (1.1, 2.8, -0.1)
    assert [word.get("score") for word in row["words"]] == [0.75, None]
    assert row["words"][0]["probability"] == 0.9
    assert result["speech"] == [[1, 3]]
    assert result["word_times"] == "aligned"
    assert result["alignment"] == {
        "engine": "x",
        "model": None,
        "words": 2,
        "aligned": 2,
        "share": 1.0,
        "compared_with": "whisper",
        "mean_difference": 0.15,
        "median_difference": 0.15,
    }
    assert times(source["segments"][0]) == [(1, 2), (2, 3)]


def test_a_word_that_was_not_found_lies_between_those_that_were() -> None:
    source = transcript(segment(0, 4, "a 17 b c"))
    known = [None, Placed(1.0, 1.5), None, Placed(2.5, 3.0)]
    (row,) = aligned(source, [known], engine="x")["segments"]
    assert times(row) == [(0, 1.0), (1.0, 1.5), (1.5, 2.5), (2.5, 3.0)]


def test_words_at_the_end_share_what_is_left_by_their_length() -> None:
    source = transcript(segment(0, 4, "a bbb c"))
    (row,) = aligned(source, [[Placed(0.5, 1.0), None, None]], engine="x")["segments"]
    assert times(row) == [(0.5, 1.0), (1.0, 3.0), (3.0, 4.0)]


def test_a_passage_that_failed_keeps_its_times_and_says_so() -> None:
    model = ModelRef("m", "/m", "k")
    source = transcript(segment(0, 2, "a b"), segment(2, 4, "c"), segment(4, 5))
    result = aligned(source, [None, [Placed(1.9, 3.0)], None], engine="x", model=model)
    first, second, third = result["segments"]
    assert times(first) == [(0, 1), (1, 2)]
    assert (first["aligned"], third.get("aligned"), second.get("aligned")) == (False, None, None)
    assert times(second) == [(2, 3.0)]
    assert (result["alignment"]["share"], result["alignment"]["model"]) == (0.3333, "m")


def test_nothing_found_leaves_the_times_of_recognition() -> None:
    result = aligned(transcript(segment(0, 2, "a b")), [[None, None]], engine="x")
    assert result["segments"][0]["aligned"] is False
    assert "word_times" not in result
    assert agreement(result["alignment"]) == {"alignment_share": 0.0}
    assert not is_doubtful(result["alignment"])
    assert aligned(transcript(), [], engine="x")["alignment"]["share"] == 1.0


@pytest.mark.parametrize(("times", "doubtful"), [("whisper", True), ("interpolated", False)])
def test_words_that_moved_far_are_doubtful_unless_they_were_a_guess(
    times: str, doubtful: bool
) -> None:
    source = transcript(segment(0, 2, "a b"), word_times=times)
    result = aligned(source, [[Placed(5, 6), Placed(6, 7)]], engine="x")
    assert result["alignment"]["compared_with"] == times
    assert is_doubtful(result["alignment"]) is doubtful
    assert agreement(result["alignment"])["alignment_median_difference"] == 5.0


placed = st.one_of(
    st.none(),
    st.tuples(st.floats(0, 50), st.floats(0, 5)).map(lambda p: Placed(p[0], p[0] + p[1])),
)


@given(st.lists(st.lists(placed, min_size=1, max_size=6), max_size=5))
def test_time_never_runs_back(found: list[list[Placed | None]]) -> None:
    rows = [segment(10 * n, 10 * n + 9, " ".join("w" * len(p))) for n, p in enumerate(found)]
    result = aligned(transcript(*rows), found, engine="x")
    words = [word for row in result["segments"] if "aligned" not in row for word in row["words"]]
    assert all(word["start"] <= word["end"] for word in words)
    assert all(one["end"] <= other["start"] for one, other in pairwise(words))
