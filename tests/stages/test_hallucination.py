"""What nobody said: loops, boilerplate, text in silence. And what people do say stays."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.stages.hallucination.judge import Judged, Limits, Removal, judge
from orchestrator.stages.hallucination.loops import segment_loops, word_loops
from orchestrator.stages.hallucination.phrases import FOLDER, Kind, read_boilerplate
from orchestrator.stages.hallucination.segments import text_of, without_words
from orchestrator.stages.hallucination.signs import (
    NEAR,
    compression_ratio,
    is_near,
    spoken_share,
)
from orchestrator.stages.hallucination.text import plain
from orchestrator.stages.hallucination.words import summary

ALL = frozenset({"repetition", "boilerplate", "outside_speech", "no_speech", "compression"})
LIMITS = Limits(ALL)
FILM = 5400.0
"""Seconds: most of it is far from both edges."""


def segment(start: float, end: float, text: str, **figures: Any) -> dict[str, Any]:
    """A segment as Whisper gives it, its words spread evenly over its time."""
    parts = [" " + part for part in text.split()]
    step = (end - start) / max(1, len(parts))
    words = [
        {
            "start": round(start + n * step, 3),
            "end": round(start + (n + 1) * step, 3),
            "word": part,
            "probability": 0.9,
        }
        for n, part in enumerate(parts)
    ]
    sure = {"avg_logprob": -0.25, "no_speech_prob": 0.02, "compression_ratio": 1.3}
    return {"start": start, "end": end, "text": text, "words": words, **sure, **figures}


def judged(
    segments: list[dict[str, Any]],
    turns: list[list[float]] | None = None,
    *,
    language: str = "en",
    limits: Limits = LIMITS,
) -> Judged:
    """By default somebody speaks all the time, so that other signs are needed."""
    speech = [[0.0, FILM]] if turns is None else turns
    return judge(segments, speech, FILM, read_boilerplate(language), limits)


def texts(result: Judged) -> list[str]:
    return [one["text"] for one in result.segments]


def reasons(result: Judged) -> list[str]:
    return [one.reason for one in result.removals]


# --- Repetition -----------------------------------------------------------------------------------


def test_a_segment_said_over_and_over_is_cut_off() -> None:
    result = judged([segment(100 + n, 101 + n, "I don't know.") for n in range(10)])
    assert texts(result) == ["I don't know."] * 3
    assert reasons(result) == ["repetition"] * 7
    assert result.removals[0].detail == "said 10 times in a row"
    assert result.removals[0].start == 103


def test_what_is_said_three_times_may_be_true() -> None:
    cheer = [segment(100 + n, 101 + n, "Hip hip hooray!") for n in range(3)]
    assert texts(judged(cheer)) == ["Hip hip hooray!"] * 3
    assert judged(cheer, limits=Limits(ALL, max_repeats=1)).removals


def test_spelling_does_not_hide_a_loop() -> None:
    rows = ["Okay.", "okay", "Okay!", "OKAY", " okay..."]
    result = judged([segment(100 + n, 101 + n, text) for n, text in enumerate(rows)])
    assert texts(result) == rows[:3]


def test_two_segments_in_turn_are_a_loop() -> None:
    rows = ["What are you doing?", "I'm going to work."] * 5 + ["Fine."]
    result = judged([segment(100 + n, 101 + n, text) for n, text in enumerate(rows)])
    assert texts(result) == [*rows[:6], "Fine."]
    assert result.removals[0].detail == "said 5 times in a row"


def test_a_quarrel_is_no_loop() -> None:
    rows = ["Yes.", "No."] * 5
    result = judged([segment(100 + n, 101 + n, text) for n, text in enumerate(rows)])
    assert texts(result) == rows


def test_a_phrase_that_fills_a_segment_is_cut_to_three_rounds() -> None:
    loop = " ".join(["I'm going to go to the store,"] * 9)
    result = judged([segment(100, 128, f"So then {loop} and", compression_ratio=8.1)])
    (kept,) = result.segments
    assert kept["text"] == "So then " + " ".join(["I'm going to go to the store,"] * 3) + " and"
    assert len(kept["words"]) == len(kept["text"].split())
    assert [(one.reason, one.detail) for one in result.removals] == [
        ("repetition", "said 9 times in a row")
    ]


def test_a_loop_goes_on_over_the_borders_of_segments() -> None:
    rows = ["we have to go", "we have to go we have to go", "we have to go we have to", "go we"]
    result = judged([segment(100 + n * 5, 105 + n * 5, text) for n, text in enumerate(rows)])
    assert texts(result) == ["we have to go", "we have to go we have to go"]
    assert " ".join(one.text for one in result.removals) == "we have to go we have to go we"


def test_the_last_round_that_is_cut_off_stays_where_the_sentence_goes_on() -> None:
    text = " ".join(["on and"] * 8) + " on we go"
    result = judged([segment(100, 110, text)])
    assert texts(result) == ["on and on and on and on we go"]


@pytest.mark.parametrize(
    "text",
    [
        "No, no, no, no, no, no, no!",
        "Come on, come on, come on, come on!",
        "Ha ha ha ha ha ha ha ha.",
        "He was very, very, very, very tired.",
        "Row, row, row your boat, gently down the stream.",
    ],
)
def test_people_do_repeat_themselves(text: str) -> None:
    assert texts(judged([segment(100, 104, text)])) == [text]


def test_words_without_spaces_between_them() -> None:
    words = [
        {"start": 100.0 + n, "end": 101.0 + n, "word": word, "probability": 0.9}
        for n, word in enumerate(["ありがとう", "ござい", "ます", "。"] * 6)
    ]
    looped = {**segment(100, 124, "ありがとうございます。" * 6), "words": words}
    result = judged([looped], language="de")
    assert texts(result) == ["ありがとうございます。" * 3]
    assert result.removals[0].text == "ありがとうございます。" * 3


def guard_of_old(rows: list[str], allowed: int = 3) -> list[bool]:
    """What was kept before there was this stage: up to three of the same in a row."""
    kept, last, count = [], "", 0
    for row in rows:
        count = count + 1 if plain(row) == last else 1
        last = plain(row)
        kept.append(bool(last) and count <= allowed)
    return kept


@given(st.lists(st.sampled_from(["Yes.", "No!", "...", "I see.", "i see"]), max_size=40))
def test_all_that_a_simple_count_drops_is_dropped(rows: list[str]) -> None:
    result = judged([segment(100 + n, 101 + n, text) for n, text in enumerate(rows)])
    kept = {one["start"] for one in result.segments}
    before = {100 + n for n, keeps in enumerate(guard_of_old(rows)) if keeps}
    assert kept <= before


@given(st.lists(st.sampled_from("abc"), max_size=60), st.integers(1, 4))
def test_loops_are_inside_and_apart(items: list[str], allowed: int) -> None:
    found = word_loops(items, allowed)
    for loop in found:
        assert allowed <= loop.start <= loop.whole <= loop.stop <= len(items)
        assert loop.times > allowed
    assert all(one.stop <= other.start for one, other in pairwise(found))


def test_loops_of_nothing() -> None:
    assert segment_loops([], 3) == []
    assert segment_loops(["", "", "", "", ""], 3) == []
    assert word_loops([], 3) == []


# --- Text where nobody speaks ---------------------------------------------------------------------


def test_text_far_from_speech_is_left_out() -> None:
    rows = [segment(98.0, 99.4, "Almost there."), segment(120.0, 123.0, "I'll be back.")]
    result = judged(rows, [[99.7, 105.0]])
    assert texts(result) == ["Almost there."]
    assert reasons(result) == ["outside_speech"]


def test_where_nobody_listened_for_speech_its_absence_says_nothing() -> None:
    rows = [segment(100, 102, "I'll be back.")]
    assert judge(rows, None, FILM, read_boilerplate("en"), LIMITS).segments == rows
    assert reasons(judged(rows, [])) == ["outside_speech"]


@pytest.mark.parametrize("text", ["...", "♪", " - ", "♪♪♪"])
def test_a_line_without_words_is_left_out(text: str) -> None:
    result = judged([segment(100, 102, text)], limits=Limits(frozenset()))
    assert reasons(result) == ["no_words"]


def test_whisper_itself_doubts_that_anybody_speaks() -> None:
    guess = segment(100, 102, "It's a beautiful day.", no_speech_prob=0.83, avg_logprob=-1.21)
    result = judged([guess])
    assert reasons(result) == ["no_speech"]
    assert result.removals[0].detail == (
        "speech in 100% of it, no_speech_prob 0.83, avg_logprob -1.21"
    )


@pytest.mark.parametrize(
    "figures",
    [
        {"no_speech_prob": 0.9, "avg_logprob": -0.4},
        {"no_speech_prob": 0.1, "avg_logprob": -1.6},
        {"no_speech_prob": None, "avg_logprob": None, "compression_ratio": None},
    ],
)
def test_one_doubt_is_not_enough(figures: dict[str, Any]) -> None:
    assert not judged([segment(100, 102, "It's a beautiful day.", **figures)]).removals


def test_one_doubt_is_enough_where_hardly_anybody_speaks() -> None:
    rows = [segment(100, 120, "It is a long story about a fox", avg_logprob=-1.3)]
    assert reasons(judged(rows, [[100.0, 101.0]])) == ["no_speech"]
    assert not judged(rows, [[100.0, 110.0]]).removals


MADE_UP = [
    # Language, kind of sound, text, no_speech_prob, avg_logprob: by base, without voice detection.
    ("en", "silence", "you", 0.94, -0.78),
    ("en", "silence", "you", 0.72, -0.80),
    ("en", "white noise", "You", 0.80, -1.21),
    ("en", "a tone", "Thank you.", 0.80, -1.30),
    ("en", "brown noise", "This is the very first time I've had to wake up.", 0.98, -1.70),
    ("en", "brown noise", ".", 0.77, -1.42),
    ("en", "beeps", "You", 0.81, -1.04),
    ("de", "silence", "Es geht um die Szene.", 0.73, -2.93),
    ("de", "white noise", "...", 0.99, -1.42),
    ("de", "a tone", "Die", 0.80, -1.99),
    ("de", "brown noise", "Ich bedannte auf diesen Kanal,", 0.79, -3.18),
    ("de", "beeps", "Understood.", 0.75, -3.20),
    ("fr", "silence", "...", 0.94, -1.40),
]


@pytest.mark.parametrize(("language", "sound", "text", "no_speech", "logprob"), MADE_UP)
def test_what_whisper_made_up_of_sounds_is_left_out(
    language: str, sound: str, text: str, no_speech: float, logprob: float
) -> None:
    made_up = segment(100, 102, text, no_speech_prob=no_speech, avg_logprob=logprob)
    assert judged([made_up], language=language).segments == []


# --- Boilerplate ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "Subtitles by the Amara.org community"),
        ("de", "Untertitel der Amara.org-Community"),
        ("de", "Untertitelung des ZDF, 2020"),
        ("fr", "Sous-titres réalisés para la communauté d'Amara.org"),
        ("fr", "Sous-titrage ST' 501"),
        ("es", "Subtítulos realizados por la comunidad de Amara.org"),
        ("it", "Sottotitoli e revisione a cura di QTSS"),
        ("nl", "Ondertitels ingediend door de Amara.org gemeenschap"),
        ("pl", "Napisy stworzone przez społeczność Amara.org"),
        ("ru", "Редактор субтитров А.Семкин Корректор А.Егорова"),
        ("zh", "字幕由Amara.org社区提供"),
        ("ja", "Subtitles by the Amara.org community."),
        (None, "Subtitles by the Amara.org community."),
    ],
)
def test_credits_go_where_whisper_is_a_little_unsure(language: str, text: str) -> None:
    known = read_boilerplate(language)
    unsure = segment(100, 103, text, avg_logprob=-0.7, no_speech_prob=0.35)
    assert reasons(judge([unsure], [[0.0, FILM]], FILM, known, LIMITS)) == ["boilerplate"]
    sure = segment(100, 103, text)
    assert not judge([sure], [[0.0, FILM]], FILM, known, LIMITS).removals
    last = segment(FILM - 3, FILM, text)
    assert reasons(judge([last], [[0.0, FILM]], FILM, known, LIMITS)) == ["boilerplate"]


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "Thanks for watching!"),
        ("en", "Thank you for watching. Please subscribe to my channel."),
        ("en", "Thank you."),
        ("de", "Vielen Dank fürs Zuschauen!"),
        ("fr", "Merci d'avoir regardé cette vidéo !"),
        ("ja", "ご視聴ありがとうございました。"),
        ("ko", "시청해주셔서 감사합니다."),
        ("ru", "Продолжение следует..."),
        ("zh", "请不吝点赞 订阅 转发 打赏支持明镜与点点栏目"),
    ],
)
def test_a_common_phrase_needs_a_strong_second_sign(language: str, text: str) -> None:
    sure = segment(FILM - 3, FILM, text)
    if read_boilerplate(language).kind(plain(text)) is not Kind.CREDITS:
        assert texts(judged([sure], language=language)) == [text]
    for figures in ({"no_speech_prob": 0.7}, {"avg_logprob": -1.1}):
        doubtful = segment(100, 103, text, **figures)
        assert set(reasons(judged([doubtful], language=language))) == {"boilerplate"}
    mostly_silent = [[99.0, 100.6]]
    assert judged([segment(100, 103, text)], mostly_silent, language=language).removals
    dragged = segment(100, 129, text)
    assert len(plain(text)) / 29 >= 2 or judged([dragged], language=language).removals


def test_a_name_in_credits_may_be_any_but_then_more_must_speak_against_it() -> None:
    text = "Translated by my little cousin."
    assert not judged([segment(3, 5, text, avg_logprob=-0.7)]).removals
    assert reasons(judged([segment(3, 5, text, avg_logprob=-1.2)])) == ["boilerplate"]
    long = "Translated by the very man who had taught me all the languages that I speak today"
    assert not judged([segment(3, 5, long, avg_logprob=-1.2)]).removals


def test_credits_at_the_end_of_real_speech_are_cut_off() -> None:
    text = "Allez, bon après-midi, salut. Sous-titres réalisés para la communauté d'Amara.org"
    result = judged([segment(FILM - 6, FILM, text)], language="fr")
    (kept,) = result.segments
    assert kept["text"] == "Allez, bon après-midi, salut."
    assert kept["end"] == kept["words"][-1]["end"] < FILM
    assert result.removals[0].text == "Sous-titres réalisés para la communauté d'Amara.org"
    assert result.removals[0].end == FILM


def test_boilerplate_without_word_times() -> None:
    bare = {**segment(100, 103, "Thanks for watching!", no_speech_prob=0.8), "words": []}
    said = {**segment(110, 113, "Not at all."), "words": []}
    assert texts(judged([bare, said])) == ["Not at all."]


def test_mentioning_the_words_is_no_boilerplate() -> None:
    said = "My mother wrote the subtitles by the Amara.org community of our town."
    assert not judged([segment(3, 6, said, avg_logprob=-1.2, no_speech_prob=0.3)]).removals


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.txt")), ids=lambda file: file.stem)
def test_every_list_can_be_read_and_says_nothing_twice(file: Any) -> None:
    lines = file.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith("[")] == ["[credits]", "[phrases]"]
    known = read_boilerplate(file.stem)
    assert known.credits | known.phrases | set(known.credit_starts)
    assert "" not in known.credits | known.phrases | set(known.credit_starts)
    entries = [plain(line) + "*" * line.endswith("*") for line in lines if line[:1] not in "#["]
    assert len(set(entries)) == len(entries)


# --- Compression ----------------------------------------------------------------------------------


def test_garbled_repetition_goes_where_whisper_found_nothing_better() -> None:
    text = (
        "to the end of the day, to the end of a day, to the end of the way, to the day of the end,"
        " to the way of the end, of the day to the end, to the end of the days, to the end of day"
    )
    assert compression_ratio(text) > 2.4
    assert reasons(judged([segment(100, 120, text, compression_ratio=3.1)])) == ["compression"]
    assert not judged([segment(100, 120, text, compression_ratio=2.1)]).removals
    other = "A neighbour of that window, with words of its own."
    assert not judged([segment(100, 120, other, compression_ratio=3.1)]).removals


def test_rules_can_be_switched_off() -> None:
    rows = [
        *(segment(100 + n, 101 + n, "Again.") for n in range(8)),
        segment(120, 121, "Thanks for watching!", no_speech_prob=0.9, avg_logprob=-1.5),
        segment(130, 140, "so and " * 30, compression_ratio=5.0),
    ]
    assert judged(rows, [], limits=Limits(frozenset())).segments == rows
    for rule in ALL:
        found = set(reasons(judged(rows, [[0, 110]], limits=Limits(frozenset({rule})))))
        assert found <= {rule}
        assert found


# --- The parts ------------------------------------------------------------------------------------


def test_shares_of_speech() -> None:
    turns = [[1.0, 2.0], [3.0, 4.0]]
    assert spoken_share(turns, 0.0, 4.0) == pytest.approx(0.5)
    assert spoken_share(turns, 1.5, 3.5) == pytest.approx(0.5)
    assert spoken_share(turns, 5.0, 6.0) == 0.0
    assert spoken_share(turns, 1.5, 1.5) == 1.0
    assert spoken_share(turns, 2.5, 2.5) == 0.0
    assert spoken_share([], 0.0, 1.0) == 0.0


@given(
    st.lists(st.integers(0, 100), unique=True, max_size=12).map(sorted),
    st.integers(0, 100),
    st.integers(0, 5),
)
def test_near_speech(edges: list[int], start: int, length: int) -> None:
    turns = [[float(a), float(b)] for a, b in zip(edges[::2], edges[1::2], strict=False)]
    end = float(start + length)
    assert is_near(turns, start, end) == any(
        turn[0] < end + NEAR and turn[1] > start - NEAR for turn in turns
    )


def test_words_are_cut_out_of_their_segment() -> None:
    whole = {**segment(0, 4, "One,  two - three four!"), "speaker": "S1", "id": 7}
    rest = without_words(whole, {0, 1})
    assert (rest["text"], rest["start"], rest["end"]) == ("- three four!", 1.6, 4.0)
    assert (rest["speaker"], rest["id"]) == ("S1", 7)
    respelt = {**whole, "words": [{**word, "word": "x"} for word in whole["words"]]}
    assert text_of(respelt, [0, 1]) == "x x"


def test_the_summary_has_the_count_the_reasons_and_a_few_examples() -> None:
    rows = [Removal(3725.4, 3727.0, "Thank\n you.", "outside_speech", "")] * 5
    rows.append(Removal(4000.0, 4001.0, "x" * 200, "repetition", ""))
    told = summary(rows)
    assert told == (
        "6 passages were left out as not spoken (5 where nobody speaks, 1 repeated over and over):"
        " 1:02:05 “Thank you.”; 1:02:05 “Thank you.”; 1:02:05 “Thank you.”; and 3 more."
    )
    assert summary(rows[-1:]).endswith("1:06:40 “" + "x" * 59 + "…”.")


def test_removals_are_in_order_and_nothing_is_lost() -> None:
    rows = [
        segment(100, 103, "Thank you.", no_speech_prob=0.9),
        segment(104, 110, "no " * 14),
        segment(111, 113, "...", no_speech_prob=0.9),
        segment(114, 116, "Real."),
    ]
    result = judged(rows)
    assert [one.start for one in result.removals] == sorted(one.start for one in result.removals)
    said = plain(" ".join(row["text"] for row in rows))
    left = plain(" ".join([*texts(result), *(one.text for one in result.removals)]))
    assert sorted(said) == sorted(left)
