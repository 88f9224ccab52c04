from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.contract.errors import Failure
from orchestrator.contract.naming import (
    SidecarName,
    media_stem,
    output_name,
    parse_sidecar,
    sidecar_name,
)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (("Film", "en", "srt"), "Film.en.srt"),
        (("Film", None, "srt"), "Film.srt"),
        (("Film", "en", "vtt", ("sdh",)), "Film.en.sdh.vtt"),
        (("Film", "de", "srt", ("forced",)), "Film.de.forced.srt"),
        (("Film (2001) [x264]", "pt-BR", "srt"), "Film (2001) [x264].pt-BR.srt"),
    ],
)
def test_names_as_media_servers_read_them(arguments: tuple[str, ...], name: str) -> None:
    assert sidecar_name(*arguments) == name


@pytest.mark.parametrize(
    ("language", "flags"),
    [("en", ("sdh", "forced")), ("en", ("hi",)), ("../en", ()), ("e.n", ()), ("日本", ())],
)
def test_refuses_what_cannot_stand_in_a_name(language: str, flags: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"flags|language"):
        sidecar_name("Film", language, "srt", flags)


def test_the_longest_name_that_fits_is_given() -> None:
    assert len(sidecar_name("é" * 124, "en", "srt").encode()) == 255


def test_a_name_too_long_says_by_how_much() -> None:
    with pytest.raises(Failure) as caught:
        sidecar_name("x" * 251, "en", "srt")
    assert caught.value.info.code == "name_too_long"
    assert "258 bytes" in caught.value.info.message
    assert "3 bytes" in caught.value.info.hint


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        ("srt", SidecarName(None, False, False, False, "srt")),
        ("en.srt", SidecarName("en", False, False, False, "srt")),
        ("eng.SRT", SidecarName("en", False, False, False, "srt")),
        ("pt-BR.ass", SidecarName("pt", False, False, False, "ass")),
        ("en.forced.srt", SidecarName("en", True, False, False, "srt")),
        ("forced.en.srt", SidecarName("en", True, False, False, "srt")),
        ("en.foreign.srt", SidecarName("en", True, False, False, "srt")),
        ("en.sdh.srt", SidecarName("en", False, True, False, "srt")),
        ("en.cc.srt", SidecarName("en", False, True, False, "srt")),
        ("en.hi.srt", SidecarName("en", False, True, False, "srt")),
        ("hi.srt", SidecarName("hi", False, False, False, "srt")),
        ("hi.hi.srt", SidecarName("hi", False, True, False, "srt")),
        ("hi.forced.srt", SidecarName("hi", True, False, False, "srt")),
        ("default.en.srt", SidecarName("en", False, False, False, "srt")),
        ("en.Commentary.srt", SidecarName("en", False, False, True, "srt")),
        ("Director's Cut.en.vtt", SidecarName("en", False, False, False, "vtt")),
    ],
)
def test_reads_names_right_to_left(rest: str, expected: SidecarName) -> None:
    assert parse_sidecar("Film." + rest, "Film") == expected


@pytest.mark.parametrize("name", ["Film2.en.srt", "Film-en.srt", "Film.en.sup", "Film.idx", "Film"])
def test_other_files_are_no_text_sidecars(name: str) -> None:
    assert parse_sidecar(name, "Film") is None


def test_forced_and_commentary_are_not_the_whole_dialogue() -> None:
    parsed = [
        parse_sidecar(f"Film.en{flag}.srt", "Film") for flag in ("", ".forced", ".commentary")
    ]
    assert [name is not None and name.is_full for name in parsed] == [True, False, False]


@given(
    stem=st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1, max_size=40),
    language=st.sampled_from(["en", "de", "hi", "zh", "is", "yue"]),
    flag=st.sampled_from([(), ("sdh",), ("forced",)]),
)
def test_every_name_written_is_recognised(stem: str, language: str, flag: tuple[str, ...]) -> None:
    parsed = parse_sidecar(sidecar_name(stem, language, "srt", flag), stem)
    assert parsed == SidecarName(language, flag == ("forced",), flag == ("sdh",), False, "srt")


def test_the_stem_loses_one_extension() -> None:
    assert media_stem("Film.2001.mkv") == "Film.2001"
    assert media_stem("Film") == "Film"


@pytest.mark.parametrize(
    ("extension", "language", "suffix", "name"),
    [
        ("srt", None, "", "Film.en.srt"),
        ("srt", "pt", "", "Film.pt.srt"),
        ("vtt", "pt-BR", "", "Film.pt-BR.vtt"),
        ("mkv", None, "subtitled", "Film.subtitled.mkv"),
    ],
)
def test_outputs_are_named_by_what_they_are(
    extension: str, language: str | None, suffix: str, name: str
) -> None:
    assert output_name("Film", "en", extension, language, suffix) == name
