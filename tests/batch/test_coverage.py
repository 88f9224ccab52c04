from __future__ import annotations

import pytest

from batch.coverage import (
    Subtitle,
    covering,
    embedded_subtitles,
    index_sidecars,
    sidecar_subtitles,
)
from orchestrator.contract.media import ProbeResult, SubtitleTrack


def test_a_sidecar_belongs_to_the_longest_stem() -> None:
    names = {
        "Film.mkv",
        "Film.extended.mkv",
        "Film.srt",
        "Film.en.srt",
        "Film.extended.de.SRT",
        "Film.nfo",
        "Filmed.en.srt",
        "other.srt",
    }
    assert index_sidecars(names, {"Film", "Film.extended"}) == {
        "Film": ["Film.en.srt", "Film.srt"],
        "Film.extended": ["Film.extended.de.SRT"],
    }


@pytest.mark.parametrize("index", ["Film.en.idx", "Film.en.IDX"])
def test_vobsub_is_pictures_and_a_lone_sub_is_text(index: str) -> None:
    assert index_sidecars({"Film.en.sub", index}, {"Film"}) == {}
    assert index_sidecars({"Film.en.sub"}, {"Film"}) == {"Film": ["Film.en.sub"]}


def test_forced_and_commentary_sidecars_do_not_count() -> None:
    names = ["Film.en.forced.srt", "Film.de.srt", "Film.en.commentary.srt", "Film.fr.sup"]
    assert sidecar_subtitles(names, "Film") == [Subtitle("de", "Film.de.srt")]


def test_forced_commentary_and_picture_tracks_do_not_count() -> None:
    tracks = (
        SubtitleTrack(2, "subrip", "en", forced=True),
        SubtitleTrack(3, "subrip", "en", commentary=True),
        SubtitleTrack(4, "hdmv_pgs_subtitle", "en"),
        SubtitleTrack(5, "mov_text", "en"),
    )
    (subtitle,) = embedded_subtitles(ProbeResult("f", subtitles=tracks))
    assert subtitle == Subtitle("en", "embedded track 5 (mov_text)")


ENGLISH, UNKNOWN = Subtitle("en", "Film.en.srt"), Subtitle(None, "Film.srt")


@pytest.mark.parametrize(
    ("subtitles", "wanted", "found"),
    [
        ([], (), None),
        ([ENGLISH], ("en",), ENGLISH),
        ([ENGLISH], ("de",), None),
        ([ENGLISH], ("de", "en"), ENGLISH),
        ([ENGLISH], (), ENGLISH),
        ([UNKNOWN], ("de",), UNKNOWN),
    ],
)
def test_what_covers_a_wanted_language(
    subtitles: list[Subtitle], wanted: tuple[str, ...], found: Subtitle | None
) -> None:
    assert covering(subtitles, wanted) == found
