"""Cues translated by fakes that are named by what they do to a text."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.stagekit.cue_markup import has_letters
from orchestrator.stagekit.cue_translation import (
    LONGEST_SENTENCE,
    Rules,
    Script,
    Translated,
    Unit,
    translate_cues,
)
from orchestrator.stagekit.subtitle_formats import Cue
from orchestrator.stagekit.subtitle_text import columns


def cues(*texts: str, gap: float = 0.1, speakers: str = "") -> list[Cue]:
    """A cue of 3 s for each text; ``|`` divides its lines."""
    return [
        Cue(
            index * (3.0 + gap),
            index * (3.0 + gap) + 3.0,
            tuple(text.split("|")),
            speakers[index] if speakers else None,
        )
        for index, text in enumerate(texts)
    ]


def each(change: Callable[[str], str]) -> Callable[[Sequence[Unit]], list[str]]:
    return lambda units: [change(unit.text) for unit in units]


shouts = each(str.upper)
says_nothing = each(lambda text: "")
says_one_word = each(lambda text: "Ja.")
runs_away = each(lambda text: "and on " * 200)


def translated(*texts: str, by: Callable[[Sequence[Unit]], list[str]] = shouts) -> Translated:
    return translate_cues(Script(cues(*texts), Rules()), by)


def sentences(*texts: str, gap: float = 0.1, speakers: str = "") -> list[str]:
    script = Script(cues(*texts, gap=gap, speakers=speakers), Rules())
    return [unit.text for unit in script.sentences]


def test_a_sentence_is_joined_over_its_cues() -> None:
    assert sentences("We waited|all night", "for the ship.", "It came.") == [
        "We waited all night for the ship.",
        "It came.",
    ]


def test_a_cue_with_an_end_and_a_beginning_belongs_to_both_sentences() -> None:
    assert sentences("I know", "you. But do you", "know me?") == [
        "I know you.",
        "But do you know me?",
    ]


def test_abbreviations_ellipses_and_decimals_end_no_sentence() -> None:
    assert sentences("Mr. Smith paid 2.50", "for... for that.") == [
        "Mr. Smith paid 2.50 for... for that."
    ]


def test_a_pause_another_speaker_or_a_dash_ends_a_sentence() -> None:
    assert len(sentences("and then", "we left", gap=5.0)) == 2
    assert len(sentences("and then", "we left", speakers="AB")) == 2
    assert len(sentences("and then", "we left", speakers="AA")) == 1
    assert len(sentences("and then", "- we left")) == 2


def test_songs_and_sounds_stand_alone() -> None:
    assert len(sentences("♪ the sea ♪", "Look there")) == 2
    assert len(sentences("Look there", "♪ the sea ♪")) == 2
    assert len(sentences("[door slams]", "and the wind")) == 2
    assert len(sentences("Look", "…", "there")) == 3


def test_text_without_punctuation_is_cut_at_a_bounded_length() -> None:
    found = sentences(*["words that never seem to come to an end"] * 30)
    assert len(found) > 1
    assert max(map(columns, found)) <= LONGEST_SENTENCE + 40


def test_chinese_is_joined_without_spaces_and_cut_after_its_own_stops() -> None:
    assert sentences("我们等了|一整夜", "船来了。你好") == ["我们等了一整夜船来了。", "你好"]


def test_the_break_falls_where_it_fell_and_where_it_reads_well() -> None:
    result = translated("if the rain goes on like this,", "we shall have to leave.")
    assert result.lines == (("IF THE RAIN GOES ON LIKE THIS,",), ("WE SHALL HAVE TO LEAVE.",))


def test_a_dialogue_keeps_its_dashes_and_lines() -> None:
    result = translated("- Where to?|- Home. And you?", "– Me too|and him.")
    assert result.lines == (("- WHERE TO?", "- HOME. AND YOU?"), ("– ME TOO", "AND HIM."))


def test_a_line_of_a_dialogue_stays_one_line_however_long() -> None:
    wordy = each(lambda text: text + " really" * 8)
    lines = translated("- Where do we go now?|- Home.", by=wordy).lines[0]
    assert len(lines) == 2
    assert all(line.startswith("- ") for line in lines)


def test_a_minus_is_no_dash() -> None:
    assert translated("-5 degrees").lines == (("-5 DEGREES",),)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("<i>come in</i>", "<i>COME IN</i>"),
        ("{\\an8}come in", "{\\an8}COME IN"),
        ("do you <i>really</i> mean it", "DO YOU <i>REALLY</i> MEAN IT"),
        ("<i>No.</i> But I did.", "<i>NO.</i> BUT I DID."),
        ("♪ the sea ♪", "♪ THE SEA ♪"),
        ("♪", "♪"),
        ("<i>-</i>", "<i>-</i>"),
        ("a < b", "A < B"),
    ],
)
def test_markup_is_put_back(line: str, expected: str) -> None:
    assert translated(line).lines == ((expected,),)


def test_markup_before_a_dash_goes_behind_it() -> None:
    assert translated("<i>- come in</i>|- no").lines == (("- <i>COME IN</i>", "- NO"),)


def test_markup_is_not_shown_to_the_translator() -> None:
    seen: list[str] = []

    def looks(units: Sequence[Unit]) -> list[str]:
        seen.extend(unit.text for unit in units)
        return [unit.text for unit in units]

    translated("<i>Come in,</i>", "♪ the {\\b1}sea ♪", "…", "12", by=looks)
    assert seen == ["Come in,", "the sea"]


def test_a_translation_too_short_for_its_cues_is_made_again_cue_by_cue() -> None:
    result = translated("We waited all night", "for the ship", "to come.", by=says_one_word)
    assert result.lines == (("Ja.",), ("Ja.",), ("Ja.",))
    assert (result.units, result.retried, result.untranslated) == (1, 1, 0)


@pytest.mark.parametrize("fault", [says_nothing, runs_away])
def test_without_a_usable_translation_the_original_stays(
    fault: Callable[[Sequence[Unit]], list[str]],
) -> None:
    result = translated("We waited", "all night.", "Yes.", by=fault)
    assert result.lines == (("We waited",), ("all night.",), ("Yes.",))
    assert (result.units, result.retried, result.untranslated) == (2, 1, 3)


def test_two_sentences_of_one_cue_may_become_one_word() -> None:
    assert translated("Yes. No.", by=each(lambda text: "x")).lines == (("x x",),)
    script = Script(cues("Yes. No."), Rules())
    whole = [script.unit([0, 1])]
    assert translate_cues(script, says_one_word, whole).lines == (("Ja.",),)


def test_sentence_ends_are_kept_apart_in_units_of_several_sentences() -> None:
    script = Script(cues("Come in.", "It is cold out there."), Rules())
    units = [script.unit([0, 1])]
    spoken = each(lambda text: "Do come in please. Cold.")
    assert translate_cues(script, spoken, units).lines == (("Do come in please.",), ("Cold.",))


def test_line_breaks_inside_a_translation_are_spaces() -> None:
    result = translated("Come in.", by=each(lambda text: "Komm\nbitte\u2028herein\x07."))
    assert result.lines == (("Komm bitte herein .",),)


def test_two_lines_stay_two_and_long_ones_get_a_second() -> None:
    longer = each(lambda text: text + " and some more words to fill the line")
    assert len(translated("Come in.|It's cold.").lines[0]) == 2
    (line,) = translated("Come in, it is cold", by=longer).lines
    assert len(line) == 2
    assert max(map(columns, line)) <= 42


def test_nothing_to_translate_calls_nobody() -> None:
    def must_not_be_called(units: Sequence[Unit]) -> list[str]:
        raise AssertionError(units)

    assert translate_cues(Script([], Rules()), must_not_be_called).lines == ()
    assert translated("...", "", "12:30", by=must_not_be_called).lines == (
        ("...",),
        (),
        ("12:30",),
    )


LETTERS = "ab cdeE fgéüßжя  你好。！？…., -–—'\"()[]<>/i{}\\♪1 5\n\t|สวัสดี नमस्ते।"
TEXTS = st.lists(st.lists(st.text(LETTERS, max_size=60), max_size=3), max_size=12)


def mangles(seed: int) -> Callable[[Sequence[Unit]], list[str]]:
    """Shortens, lengthens, empties and reorders, always the same way for the same text."""

    def mangle(text: str) -> str:
        words = text.split()
        kind = (len(text) * 7 + seed) % 6
        return [text, text.upper(), "", " ".join(words[: len(words) // 3]), text * 2, "一二三四"][
            kind
        ]

    return each(mangle)


@given(TEXTS, st.integers(0, 5), st.integers(10, 60), st.integers(1, 3))
def test_no_cue_is_lost_or_emptied(
    texts: list[list[str]], seed: int, width: int, most: int
) -> None:
    source = [
        Cue(index * 3.0, index * 3.0 + 2.0, tuple(lines)) for index, lines in enumerate(texts)
    ]
    result = translate_cues(Script(source, Rules(width, most)), mangles(seed))
    assert len(result.lines) == len(source)
    for cue, lines in zip(source, result.lines, strict=True):
        assert bool(lines) >= has_letters("".join(cue.lines).replace("i", ""))
        assert all(line.strip() for line in lines)
        assert not any("\n" in line for line in lines)


BARE = st.lists(
    st.lists(st.text(LETTERS.replace("<", "").replace("{", "")), max_size=3), max_size=9
)


@given(BARE)
def test_no_word_of_a_translation_is_lost_or_moved(texts: list[list[str]]) -> None:
    source = [
        Cue(index * 3.0, index * 3.0 + 2.0, tuple(lines)) for index, lines in enumerate(texts)
    ]
    result = translate_cues(Script(source, Rules()), shouts)

    def letters(cues: Sequence[Sequence[str]]) -> str:
        return "".join(c for lines in cues for c in "".join(lines).upper() if c.isalnum())

    assert letters(result.lines) == letters(texts)
