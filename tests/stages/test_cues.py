"""Cues: the rules hold for any words, and breaks are where a reader wants them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.stages.subtitles.cues import LINGER, Cue, Rules, make_cues
from orchestrator.stages.subtitles.text import columns
from orchestrator.stages.subtitles.words import Word, join, words_of

TINY = 1e-9
ALPHABET = "abcdeéß.,!?-'字かคא\u0301"


@st.composite
def spoken(draw: st.DrawFn) -> list[Word]:
    """Words as the asr stage leaves them: in order, some of them touching or without length."""
    texts = draw(st.lists(st.text(ALPHABET, min_size=1, max_size=60), max_size=40))
    time = draw(st.floats(0, 10))
    rows = []
    for text in texts:
        time += draw(st.sampled_from([0.0, 0.0, 0.05, 0.4, 0.9, 5.0]))
        length = draw(st.sampled_from([0.0, 0.02, 0.3, 0.6, 9.0]))
        space = draw(st.sampled_from([" ", " ", ""]))
        rows.append({"word": space + text, "start": time, "end": time + length})
        time += length
    return words_of([{"text": "", "words": rows}], Rules().max_line_length)


def texts_of(cues: list[Cue]) -> str:
    return "".join("".join(cue.lines) for cue in cues).replace(" ", "")


@settings(deadline=None)
@given(spoken())
def test_every_word_is_kept_once_and_in_order(words: list[Word]) -> None:
    cues = make_cues(words, Rules())
    assert texts_of(cues) == join(words).replace(" ", "")


@settings(deadline=None)
@given(spoken(), st.integers(10, 60), st.integers(1, 3))
def test_lines_fit(words: list[Word], width: int, lines: int) -> None:
    rules = Rules(max_line_length=width, max_lines=lines)
    narrow = words_of(
        [
            {
                "text": "",
                "words": [{"word": " " + w.text, "start": w.start, "end": w.end} for w in words],
            }
        ],
        width,
    )
    for cue in make_cues(narrow, rules):
        assert 1 <= len(cue.lines) <= lines
        assert all(line and columns(line) <= width for line in cue.lines)


@settings(deadline=None)
@given(spoken())
def test_cues_keep_their_distance_and_never_stay_too_long(words: list[Word]) -> None:
    rules = Rules()
    cues = make_cues(words, rules)
    for cue in cues:
        assert 0 < cue.end - cue.start <= rules.max_duration + TINY
    for one, other in pairwise(cues):
        assert other.start - one.end >= rules.min_gap - TINY


@settings(deadline=None)
@given(spoken())
def test_a_cue_does_not_outstay_its_speech_by_more_than_it_may(words: list[Word]) -> None:
    rules = Rules()
    position = 0
    for cue in make_cues(words, rules):
        own: list[Word] = []
        while len("".join(w.text for w in own)) < len("".join(cue.lines).replace(" ", "")):
            own.append(words[position])
            position += 1
        latest = max(own[-1].end + LINGER, cue.start + rules.min_duration)
        assert cue.end <= latest + TINY
        assert cue.start >= own[0].start


def say(
    text: str, *, word_seconds: float = 0.3, pauses: dict[str, float] | None = None
) -> list[Word]:
    """Speak evenly, with a pause after some words."""
    rows, time = [], 0.0
    for word in text.split():
        rows.append({"word": " " + word, "start": time, "end": time + word_seconds})
        time += word_seconds + (pauses or {}).get(word, 0.0)
    return words_of([{"words": rows}], 42)


def lines(words: list[Word], **rules: float) -> list[tuple[str, ...]]:
    return [cue.lines for cue in make_cues(words, Rules(**rules))]  # type: ignore[arg-type]


def test_sentences_become_cues() -> None:
    words = say("Nobody had seen the ship arrive. The harbour lay dark and quite empty that night.")
    assert lines(words) == [
        ("Nobody had seen the ship arrive.",),
        ("The harbour lay dark", "and quite empty that night."),
    ]


def test_a_long_pause_separates() -> None:
    words = say("I thought about it and then I left", pauses={"it": 1.5})
    assert [" ".join(cue) for cue in lines(words)] == ["I thought about it", "and then I left"]


def test_a_line_breaks_before_a_conjunction_and_not_after_an_article() -> None:
    words = say("She opened all of the windows because the whole house smelled of smoke")
    ((first, second),) = lines(words)
    assert first == "She opened all of the windows"
    assert second == "because the whole house smelled of smoke"


def test_an_abbreviation_ends_no_sentence() -> None:
    words = say("Then Mr. Dashwood had leisure")
    assert lines(words) == [("Then Mr. Dashwood had leisure",)]


def test_scripts_without_spaces_are_counted_double_and_split_anywhere() -> None:
    rows = [
        {"word": one, "start": n * 0.2, "end": n * 0.2 + 0.2}
        for n, one in enumerate("今日はとても天気がいいので公園まで散歩に行きましょうか")
    ]
    words = words_of([{"words": rows}], 42)
    cues = make_cues(words, Rules())
    assert all(columns(line) <= 42 for cue in cues for line in cue.lines)
    assert texts_of(cues) == "今日はとても天気がいいので公園まで散歩に行きましょうか"
    assert all(" " not in line for cue in cues for line in cue.lines)


def test_fast_speech_is_shown_whole_although_it_is_too_fast() -> None:
    words = say("word " * 40, word_seconds=0.05)
    cues = make_cues(words, Rules())
    assert texts_of(cues) == "word" * 40


def test_a_short_answer_stays_for_the_minimum() -> None:
    (cue,) = make_cues([Word("Yes.", 4.0, 4.2)], Rules())
    assert cue.start == 4.0
    assert cue.end == pytest.approx(4.833)


def test_the_end_lingers_only_for_readers_who_need_it() -> None:
    (slow,) = make_cues(say("Good morning to you all"), Rules())
    (fast,) = make_cues(say("Extraordinarily uncomfortable circumstances"), Rules())
    assert slow.end == pytest.approx(1.5)
    assert fast.end == pytest.approx(1.1)


def test_no_words_make_no_cues() -> None:
    assert make_cues([], Rules()) == []


def test_the_shift_goes_one_way_once() -> None:
    assert Cue(1.0, 2.0, ("a",)).shifted(3.5) == Cue(4.5, 5.5, ("a",))
    assert Cue(0.1, 2.0, ("a",)).shifted(-0.5) == Cue(0.0, 1.5, ("a",))
