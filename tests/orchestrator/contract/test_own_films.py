"""A film that the mux stage made is known by its tag, or by the names of its tracks."""

from __future__ import annotations

import pytest

from orchestrator.contract.media import SubtitleTrack
from orchestrator.contract.tracks import audio_track, made_by_us, subtitle_track

OURS = SubtitleTrack(2, "mov_text", "en", "English (batch-subtitles)")
THEIRS = SubtitleTrack(2, "mov_text", "en", "English")


@pytest.mark.parametrize(
    ("tags", "subtitles", "ours"),
    [
        ({"BATCH_SUBTITLES": "f" * 32}, [], True),
        ({"batch_subtitles": "f" * 32}, [THEIRS], True),
        ({"title": "Film"}, [THEIRS, OURS], True),
        ({"title": "Film"}, [THEIRS], False),
        ({}, [], False),
    ],
)
def test_a_film_of_ours_is_known(
    tags: dict[str, str], subtitles: list[SubtitleTrack], ours: bool
) -> None:
    assert made_by_us(tags, subtitles) is ours


def test_the_name_of_a_track_is_found_in_mp4() -> None:
    tags = {"handler_name": "SoundHandler", "name": "Director's commentary"}
    assert audio_track(1, "aac", tags, ()).commentary
    assert subtitle_track(2, "mov_text", {"name": "Signs"}, ()).forced
