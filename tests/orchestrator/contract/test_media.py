from __future__ import annotations

import json

import pytest

from orchestrator.contract.errors import ErrorClass, ErrorInfo
from orchestrator.contract.media import AudioTrack, ProbeResult, SubtitleTrack, choose_audio

ENGLISH = AudioTrack(1, "aac", "en")
GERMAN = AudioTrack(2, "ac3", "de", default=True)
COMMENTARY = AudioTrack(0, "aac", "en", default=True, commentary=True)


def test_a_probe_result_survives_json() -> None:
    result = ProbeResult(
        "f" * 32,
        61.5,
        "matroska",
        (ENGLISH, GERMAN),
        (SubtitleTrack(3, "subrip", "en", forced=True),),
        ErrorInfo("odd_file", "odd", "look", ErrorClass.INPUT),
    )
    assert ProbeResult.from_json(json.loads(json.dumps(result.to_json()))) == result
    bare = ProbeResult("f")
    assert ProbeResult.from_json(json.loads(json.dumps(bare.to_json()))) == bare


def test_what_is_no_probe_result_is_refused() -> None:
    data = ProbeResult("f", audio=(ENGLISH,)).to_json()
    data["audio"][0]["index"] = "one"
    with pytest.raises(ValueError, match="index"):
        ProbeResult.from_json(data)


@pytest.mark.parametrize(
    ("tracks", "languages", "chosen"),
    [
        ((), (), None),
        ((ENGLISH, GERMAN), (), GERMAN),
        ((ENGLISH, GERMAN), ("en",), ENGLISH),
        ((ENGLISH, GERMAN), ("fr",), GERMAN),
        ((ENGLISH, GERMAN), ("en", "de"), ENGLISH),
        ((COMMENTARY, GERMAN), ("en",), GERMAN),
        ((COMMENTARY,), (), COMMENTARY),
        ((AudioTrack(4, "aac"), AudioTrack(3, "aac")), (), AudioTrack(3, "aac")),
    ],
)
def test_the_dialogue_is_chosen_before_commentary(
    tracks: tuple[AudioTrack, ...], languages: tuple[str, ...], chosen: AudioTrack | None
) -> None:
    assert choose_audio(tracks, languages) == chosen


def test_picture_subtitles_are_known() -> None:
    assert SubtitleTrack(1, "hdmv_pgs_subtitle").image
    assert not SubtitleTrack(1, "ass").image
