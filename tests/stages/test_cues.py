"""Cues: the rules hold for any words, and breaks are where a reader wants them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.stagekit.subtitle_formats import Cue
from orchestrator.stagekit.subtitle_text import columns, may_part
from orchestrator.stages.subtitles.cues import LEAST, LINGER, Rules, make_cues
from orchestrator.stages.subtitles.words import Word, join, words_of

TINY = 1e-9
SENTENCES = [
    "Yes.",
    "I did not think so",
    "Where have you been all this long day, my friend?",
    "No, no.",
]
SPEAKERS = ["S1", "S2", "S3"]
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
        kept = one.end <= other.start - rules.min_gap + TINY
        assert kept or (one.end <= other.start and one.end - one.start <= LEAST + TINY)


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


@pytest.mark.parametrize(
    "said",
    [
        "ท|ี่|น|ี่|เป|็|น|บ|้|าน|ข|อง|ผม|แล|ะ|เรา|อย|ู่|ท|ี่|น|ี่|มา|น|าน|แล|้|ว|คร|ั|บ",
        "က|ျ|ွ|န|်|တ|ေ|ာ|်|တ|ိ|ု|့|သ|ည|်|ဤ|န|ေ|ရ|ာ|တ|ွ|င|်|န|ေ|ထ|ိ|ု|င|်|ပ|ါ|သ|ည|်",
        "き|ょ|う|は|学|校|へ|行|って|から|、|コ|ーヒ|ー|を|飲|み|な|が|ら|ゆ|っ|く|り|ニ|ュ|ーヨ|ー|ク",
    ],
)
def test_no_line_ends_inside_what_is_read_as_one(said: str) -> None:
    pieces = said.split("|") * 4
    rows = [{"word": one, "start": n / 10, "end": (n + 1) / 10} for n, one in enumerate(pieces)]
    for width in (10, 14, 20, 42):
        cues = make_cues(words_of([{"words": rows}], width), Rules(max_line_length=width))
        shown = [line for cue in cues for line in cue.lines]
        assert "".join(shown) == "".join(pieces)
        assert all(columns(line) <= width for line in shown)
        assert [pair for pair in pairwise(shown) if not may_part(*pair)] == []


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


def talk(*turns: tuple[str, str], pause: float = 0.1) -> list[Word]:
    """Words of people who speak in turns, each word 0.3 s long."""
    words, time = [], 0.0
    for speaker, text in turns:
        for word in text.split():
            words.append(Word(word, time, time + 0.3, speaker=speaker))
            time += 0.3
        time += pause
    return words


def labelled(words: list[Word], labels: str, **rules: int) -> list[tuple[str, ...]]:
    return [cue.lines for cue in make_cues(words, Rules(speaker_labels=labels, **rules))]


QUESTION = talk(("S1", "Are you there?"), ("S2", "Yes."))


def test_two_speakers_share_a_cue_as_a_dialogue() -> None:
    (cue,) = make_cues(QUESTION, Rules())
    assert cue.lines == ("- Are you there?", "- Yes.")
    assert cue.speaker is None
    assert labelled(QUESTION, "name") == [("S1: Are you there?", "S2: Yes.")]


def test_an_answer_between_two_sentences_stays_to_be_seen() -> None:
    words = [
        *(Word(one, at, at + 0.3, speaker="S1") for at, one in ((0.0, "Are"), (0.3, "you?"))),
        Word("Yes.", 0.6, 0.75, speaker="S2"),
        *(Word(one, at, at + 0.3, speaker="S1") for at, one in ((0.75, "Go"), (1.05, "then."))),
    ]
    before, answer, after = make_cues(words, Rules(speaker_labels="none"))
    assert before.end == pytest.approx(answer.start - Rules().min_gap)
    assert answer.start == 0.6
    assert answer.end == pytest.approx(0.6 + LEAST)
    assert after.start == answer.end


def test_answers_one_on_the_other_are_never_shown_late_by_much() -> None:
    words = [Word("No.", n * 0.1, n * 0.1 + 0.1, speaker=SPEAKERS[n % 2]) for n in range(50)]
    cues = make_cues(words, Rules(speaker_labels="none"))
    assert len(cues) == 50
    for word, cue in zip(words, cues, strict=True):
        assert word.start <= cue.start <= word.start + LEAST + 0.05
    assert all(one.end <= other.start for one, other in pairwise(cues))


def test_without_labels_every_speaker_has_a_cue_of_his_own() -> None:
    cues = make_cues(QUESTION, Rules(speaker_labels="none"))
    assert [(cue.lines, cue.speaker) for cue in cues] == [
        (("Are you there?",), "S1"),
        (("Yes.",), "S2"),
    ]


def test_one_line_leaves_no_room_for_a_dialogue() -> None:
    assert labelled(QUESTION, "dash", max_lines=1) == [("Are you there?",), ("Yes.",)]


def test_a_speaker_alone_has_no_dash_and_is_named_where_he_begins() -> None:
    words = talk(("S1", "This is the first sentence of all. " * 3), ("S2", "No."), pause=3.0)
    assert not any(line.startswith("-") for cue in labelled(words, "dash") for line in cue)
    named = [line for cue in labelled(words, "name") for line in cue if ": " in line]
    assert [line[:4] for line in named] == ["S1: ", "S2: "]


def test_a_word_without_a_speaker_belongs_to_the_one_before() -> None:
    words = [Word("So", 0, 0.3), *QUESTION, Word("Sir.", 5.0, 5.3)]
    assert [cue.speaker for cue in make_cues(words, Rules())] == [None, "S2"]


def test_a_name_that_leaves_no_room_is_left_out() -> None:
    words = [Word("x" * 12, 0.0, 1.0, speaker="S1")]
    assert labelled(words, "name", max_line_length=12) == [("x" * 12,)]


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(SPEAKERS), st.sampled_from(SENTENCES)), max_size=9),
    st.sampled_from(["none", "dash", "name"]),
    st.integers(1, 3),
)
def test_no_line_mixes_speakers(turns: list[tuple[str, str]], labels: str, most: int) -> None:
    words = talk(*turns)
    rules = Rules(speaker_labels=labels, max_lines=most)
    spoken = iter(words)
    for cue in make_cues(words, rules):
        assert len(cue.lines) <= most
        voices: list[str | None] = []
        for line in cue.lines:
            assert columns(line) <= rules.max_line_length
            bare = line.removeprefix("- ")
            if bare[:1] == "S" and bare[2:4] == ": ":
                bare = bare[4:]
            said_by = {next(spoken).speaker for _ in bare.split()}
            assert len(said_by) == 1
            voices += said_by
        assert cue.speaker == (voices[0] if len(set(voices)) == 1 else None)
        if len(set(voices)) > 1:
            assert labels != "none"
            assert len(cue.lines) == 2
    assert next(spoken, None) is None
