"""Cues of real speech, in files whose time is not what it seems, stand where the speech is heard.

Each file is the same reading in another dress; when its speech begins and ends is known by ear.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from orchestrator.contract.exchange import ModelRef

from .test_real_samples import LIGHTHOUSE, SAMPLES, TWO_TRACKS, Make, SeenCue, read_srt, run_all

pytestmark = pytest.mark.real

FFmpeg = Callable[..., None]
READING = ("-i", SAMPLES / LIGHTHOUSE.file)
PICTURES = ("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=10:duration=16")
BOTH = ("-map", "0:v", "-map", "1:a", "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac")
VARIABLE = ("-vf", "select='not(mod(n,7))+lt(mod(n,50),20)'", "-fps_mode", "vfr")
PAUSE = 4.0
"""Seconds into the reading, between two sentences."""

DRESSES: dict[str, tuple[tuple[str | Path, ...], float, float]] = {
    "late.mkv": ((*PICTURES, "-itsoffset", "2.5", *READING, *BOTH), 2.5, 2.5),
    "late.ts": ((*PICTURES, "-itsoffset", "2.5", *READING, *BOTH), 2.5, 2.5),
    "hour.mkv": ((*PICTURES, *READING, *BOTH, "-output_ts_offset", "3600"), 0.0, 0.0),
    "variable.mkv": ((*PICTURES, *READING, *BOTH, *VARIABLE), 0.0, 0.0),
    "variable.mp4": ((*PICTURES, *READING, *BOTH, *VARIABLE), 0.0, 0.0),
    "pause.mka": ((*READING, "-af", f"asetpts='if(gt(T,{PAUSE}),PTS+3/TB,PTS)'"), 0.0, 3.0),
}
"""How it is made, and by how many seconds the first and the last sound of speech are later."""


def cues_of(run: Any) -> list[SeenCue]:
    assert run_all(run, "base").ok
    return read_srt(run.text("srt"))


@pytest.mark.parametrize("name", DRESSES)
def test_cues_are_where_the_speech_is(
    stages: Make, models: Mapping[str, ModelRef], ffmpeg: FFmpeg, tmp_path: Path, name: str
) -> None:
    arguments, first, last = DRESSES[name]
    ffmpeg(*arguments, tmp_path / name)
    cues = cues_of(stages(tmp_path / name))
    assert cues[0].start == pytest.approx(LIGHTHOUSE.starts + first, abs=0.3)
    assert cues[-1].end == pytest.approx(LIGHTHOUSE.ends + last, abs=0.3)


def test_cues_behind_a_jump_of_the_clock_follow_on(
    stages: Make, models: Mapping[str, ModelRef], ffmpeg: FFmpeg, tmp_path: Path
) -> None:
    media = tmp_path / "joined.ts"
    with media.open("wb") as joined:
        for sample, track in ((LIGHTHOUSE, "0:a:0"), (TWO_TRACKS, "0:a:1")):
            part = tmp_path / "part.ts"
            ffmpeg("-i", SAMPLES / sample.file, "-map", track, "-ac", "1", "-c:a", "mp2", part)
            joined.write(part.read_bytes())
    run = stages(media)
    cues = cues_of(run)
    (cut,) = run.json("audio_info")["cuts"]
    assert cues[0].start == pytest.approx(LIGHTHOUSE.starts, abs=0.3)
    assert min(abs(cue.start - cut - TWO_TRACKS.starts) for cue in cues) < 0.3, (
        "none begins with the second reading"
    )
    assert cues[-1].end == pytest.approx(cut + TWO_TRACKS.ends, abs=0.3)
