"""The audio that demux takes out of real files, and what it says about it."""

from __future__ import annotations

import math
import struct
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.contract.exchange import Clip, StageResult
from orchestrator.contract.media import ProbeResult

from .conftest import GRAIN, MPEG2

pytestmark = pytest.mark.real

Make = Callable[[Path], Any]
FFmpeg = Callable[..., None]
PICTURE = ("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=10:duration=8")
H264 = ("-c:v", "libx264", "-preset", "ultrafast")


def beeps(path: Path, every: float = 1.0, seconds: float = 6.0, tone: float = 440.0) -> None:
    """Beeps of 0.1 s, one ``every`` so many seconds, the n-th n times as loud as the first."""
    rate, data = 48_000, []
    for n in range(round(seconds * rate)):
        beep, into = divmod(n / rate, every)
        loud = min(3000 * (beep + 1), 30_000) if into < 0.1 else 0
        data.append(round(loud * math.sin(2 * math.pi * tone * n / rate)))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(struct.pack(f"<{len(data)}h", *data))


def onsets(path: str) -> list[tuple[float, int]]:
    """Start (seconds, to 5 ms) and peak of every beep."""
    with wave.open(path) as file:
        assert (file.getnchannels(), file.getframerate()) == (1, 16_000)
        data = struct.unpack(f"<{file.getnframes()}h", file.readframes(file.getnframes()))
    found: list[tuple[float, int]] = []
    quiet = 99
    for n in range(0, len(data), 80):
        peak = max(map(abs, data[n : n + 80]))
        if peak < 600:
            quiet += 1
        elif quiet > 20:
            found.append((n / 16_000, peak))
            quiet = 0
        elif found:
            found[-1] = (found[-1][0], max(found[-1][1], peak))
            quiet = 0
    return found


def error_code(result: StageResult) -> str:
    assert result.error is not None
    return str(result.error["code"])


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    path = tmp_path / "sound.wav"
    beeps(path)
    return path


@pytest.mark.parametrize("name", ["late.mkv", "late.mp4", "late.ts"])
def test_audio_that_starts_late_keeps_its_time(
    stages: Make, ffmpeg: FFmpeg, sound: Path, tmp_path: Path, name: str
) -> None:
    media = tmp_path / name
    late = ("-itsoffset", "1.5", "-i", sound, "-map", "0", "-map", "1")
    ffmpeg(*PICTURE, *late, *H264, "-c:a", "aac", media)
    run = stages(media)
    assert run.run("demux").ok
    info = run.json("audio_info")
    times = [info["offset"] + time for time, _ in onsets(run.inputs["audio"])]
    assert times == pytest.approx([1.5 + n for n in range(6)], abs=0.03)


def test_sound_that_begins_behind_megabytes_of_pictures_is_found(
    stages: Make,
    probe: Callable[[Path], ProbeResult],
    ffmpeg: FFmpeg,
    sound: Path,
    tmp_path: Path,
) -> None:
    """Nothing in a program stream lists its tracks."""
    media = tmp_path / "late.vob"
    ffmpeg(*GRAIN, "-itsoffset", "12", "-i", sound, *MPEG2, media)
    run = stages(media)
    assert run.run("demux").ok
    info = run.json("audio_info")
    times = [info["offset"] + time for time, _ in onsets(run.inputs["audio"])]
    assert times == pytest.approx([12.0 + n for n in range(6)], abs=0.05)
    (track,) = probe(media).audio
    assert track.codec == "mp2"


@pytest.mark.parametrize("name", ["clip.mkv", "clip.mp4", "clip.mp3", "clip.ogg", "clip.avi"])
def test_a_clip_is_cut_at_the_times_asked_for(
    stages: Make, ffmpeg: FFmpeg, sound: Path, tmp_path: Path, name: str
) -> None:
    media = tmp_path / name
    pictures = () if name.endswith(("mp3", "ogg")) else (*PICTURE, *H264)
    ffmpeg("-i", sound, *pictures, media)
    run = stages(media)
    assert run.run("demux", clip=Clip(2.9, 5.05)).ok
    info = run.json("audio_info")
    assert info["offset"] == 2.9
    assert info["duration"] == pytest.approx(2.15, abs=1e-4)
    found = onsets(run.inputs["audio"])
    assert [time for time, _ in found] == pytest.approx([0.1, 1.1, 2.1], abs=0.03)
    assert found[1][1] / found[0][1] == pytest.approx(5 / 4, rel=0.15)


def test_a_clip_behind_the_end_is_a_clear_failure(stages: Make, sound: Path) -> None:
    result = stages(sound).run("demux", clip=Clip(60.0, 70.0))
    assert error_code(result) == "no_audio_decoded"


def test_the_commentary_is_left_alone(
    stages: Make, ffmpeg: FFmpeg, sound: Path, tmp_path: Path
) -> None:
    media, other = tmp_path / "two.mkv", tmp_path / "other.wav"
    beeps(other, every=0.5)
    titled = ("-metadata:s:a:0", "title=Commentary", "-disposition:a:0", "default")
    ffmpeg("-i", other, "-i", sound, "-map", "0", "-map", "1", *titled, "-c:a", "flac", media)
    run = stages(media)
    assert run.run("demux").ok
    assert run.json("audio_info")["stream"] == 1
    assert len(onsets(run.inputs["audio"])) == 6


def test_a_hole_becomes_silence_and_is_told(
    stages: Make, ffmpeg: FFmpeg, sound: Path, tmp_path: Path
) -> None:
    media = tmp_path / "hole.mka"
    ffmpeg("-i", sound, "-c:a", "flac", "-cluster_time_limit", "500", media)
    whole = media.read_bytes()
    clusters = [at for at in range(len(whole)) if whole.startswith(b"\x1f\x43\xb6\x75", at)]
    assert len(clusters) > 9
    start, end = clusters[3], clusters[7]
    media.write_bytes(whole[:start] + bytes(end - start) + whole[end:])
    run = stages(media)
    result = run.run("demux")
    assert result.ok
    info = run.json("audio_info")
    ((start, end),) = info["gaps"]
    assert end - start == pytest.approx(1.7, abs=0.2)
    assert info["lost_seconds"] == pytest.approx(end - start, abs=0.1)
    assert [warning.code for warning in result.warnings] == ["audio_incomplete"]
    times = [time for time, _ in onsets(run.inputs["audio"])]
    assert times == pytest.approx([n for n in range(6) if not start - 0.1 < n < end], abs=0.03)


def test_a_muted_microphone_is_no_hole(
    stages: Make, ffmpeg: FFmpeg, sound: Path, tmp_path: Path
) -> None:
    media = tmp_path / "muted.mka"
    jump = "asetpts='if(gt(T,2.5),PTS+2/TB,PTS)'"
    ffmpeg("-i", sound, "-af", jump, "-c:a", "flac", media)
    run = stages(media)
    result = run.run("demux")
    assert result.ok
    assert not result.warnings
    info = run.json("audio_info")
    ((start, end),) = info["gaps"]
    assert end - start == pytest.approx(2.0, abs=0.01)
    times = [time for time, _ in onsets(run.inputs["audio"])]
    assert times == pytest.approx([0, 1, 2, 5, 6, 7], abs=0.03)


@pytest.mark.parametrize("container", ["mkv", "ts"])
def test_sound_that_begins_long_after_the_pictures_was_never_earlier(
    stages: Make, ffmpeg: FFmpeg, sound: Path, tmp_path: Path, container: str
) -> None:
    media = tmp_path / f"late.{container}"
    pictures = [part.replace("duration=8", "duration=20") for part in PICTURE]
    ffmpeg(*pictures, "-itsoffset", "9", "-i", sound, *H264, "-c:a", "aac", media)
    run = stages(media)
    result = run.run("demux")
    assert result.ok
    assert not result.warnings
    info = run.json("audio_info")
    assert info["offset"] == pytest.approx(9.0, abs=0.05)
    assert info["lost_seconds"] == pytest.approx(0.0, abs=0.1)


def test_a_cut_off_file_gives_what_it_holds_and_a_warning(
    stages: Make, ffmpeg: FFmpeg, sound: Path, tmp_path: Path
) -> None:
    media = tmp_path / "half.mkv"
    ffmpeg("-i", sound, *PICTURE, *H264, media)
    whole = media.read_bytes()
    media.write_bytes(whole[: len(whole) * 3 // 4])
    run = stages(media)
    result = run.run("demux")
    assert result.ok
    assert [warning.code for warning in result.warnings] == ["audio_incomplete"]
    info = run.json("audio_info")
    assert info["lost_seconds"] > 0.5
    assert info["length_verified"]
    ((start, end),) = info["missing"]
    assert start == pytest.approx(info["duration"], abs=0.1)
    assert end == pytest.approx(6.0, abs=0.1)
    media.write_bytes(whole[: len(whole) // 4])
    assert error_code(stages(media.rename(tmp_path / "less.mkv")).run("demux")) == (
        "audio_mostly_missing"
    )


def test_a_blank_stretch_is_no_silence(
    stages: Make, ffmpeg: FFmpeg, sound: Path, tmp_path: Path
) -> None:
    media = tmp_path / "hole.m4a"
    ffmpeg("-i", sound, "-movflags", "+faststart", media)
    whole = media.read_bytes()
    start = len(whole) // 2
    media.write_bytes(whole[:start] + bytes(len(whole) // 4) + whole[start + len(whole) // 4 :])
    result = stages(media).run("demux")
    assert [warning.code for warning in result.warnings] == ["audio_incomplete"]


def test_a_pause_while_the_pictures_go_on_is_no_loss(
    stages: Make, ffmpeg: FFmpeg, sound: Path, tmp_path: Path
) -> None:
    media = tmp_path / "pause.mkv"
    ffmpeg("-i", sound, *PICTURE, "-af", "aselect='not(between(t,2,4))'", *H264, media)
    run = stages(media)
    assert not run.run("demux").warnings
    assert len(run.json("audio_info")["gaps"]) == 1


def test_a_transport_stream_with_a_cut_is_joined(
    stages: Make, ffmpeg: FFmpeg, sound: Path, tmp_path: Path
) -> None:
    part, media = tmp_path / "part.ts", tmp_path / "cut.ts"
    ffmpeg("-i", sound, "-c:a", "mp2", part)
    media.write_bytes(part.read_bytes() * 2)
    run = stages(media)
    result = run.run("demux")
    assert [warning.code for warning in result.warnings] == ["time_jumps"]
    assert len(onsets(run.inputs["audio"])) == 12


def test_an_encrypted_track_is_a_clear_failure(
    stages: Make, ffmpeg: FFmpeg, sound: Path, tmp_path: Path
) -> None:
    media = tmp_path / "drm.mp4"
    key = (
        "-encryption_scheme",
        "cenc-aes-ctr",
        "-encryption_key",
        "76a6c65c5ea762046bd749a2e632ccbb",
    )
    ffmpeg("-i", sound, *key, "-encryption_kid", "a7e61c373e219033c21091fa607bf3b8", media)
    assert error_code(stages(media).run("demux")) == "no_audio_decoded"


def test_the_name_of_a_file_does_not_matter(stages: Make, sound: Path, tmp_path: Path) -> None:
    folder = tmp_path / "-i http: ünï [x] (y) & !"
    folder.mkdir()
    media = sound.rename(folder / "%d 'q\" #1?.wav")
    assert stages(media).run("demux").ok


UNUSABLE = {
    "text.mkv": (b"hello\n" * 100, "not_media"),
    "list.mkv": (b"ffconcat version 1.0\nfile sound.wav\n", "not_media"),
    "playlist.mkv": (b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nsound.wav\n", "not_media"),
    "empty.mp4": (b"", "empty_file"),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_what_is_no_media_is_a_clear_failure(
    stages: Make, sound: Path, tmp_path: Path, name: str
) -> None:
    content, code = UNUSABLE[name]
    media = tmp_path / name
    media.write_bytes(content)
    assert error_code(stages(media).run("demux")) == code


def test_pictures_alone_have_no_audio_track(stages: Make, ffmpeg: FFmpeg, tmp_path: Path) -> None:
    media = tmp_path / "silent.mkv"
    ffmpeg(*PICTURE, *H264, media)
    assert error_code(stages(media).run("demux")) == "no_audio_track"


def test_the_source_is_not_touched(stages: Make, sound: Path) -> None:
    before = (sound.stat().st_mtime_ns, sound.read_bytes())
    stages(sound).run("demux")
    assert (sound.stat().st_mtime_ns, sound.read_bytes()) == before


def test_the_probe_sees_what_demux_takes(
    probe: Callable[[Path], ProbeResult], ffmpeg: FFmpeg, sound: Path, tmp_path: Path
) -> None:
    media, text = tmp_path / "film.mkv", tmp_path / "text.srt"
    text.write_text("1\n00:00:01,000 --> 00:00:02,000\nHi\n", "utf-8")
    tags = ("-metadata:s:a:0", "language=ger", "-metadata:s:a:1", "title=Kommentar")
    ffmpeg(
        *[*PICTURE, "-i", sound, "-i", sound, "-i", text, "-map", "0", "-map", "1", "-map", "2"],
        *[
            "-map",
            "3",
            *H264,
            "-c:a",
            "aac",
            "-c:s",
            "srt",
            *tags,
            "-disposition:s:0",
            "forced",
            media,
        ],
    )
    result = probe(media)
    assert result.error is None
    assert result.duration == pytest.approx(8.0, abs=0.1)
    first, second = result.audio
    assert (first.index, first.codec, first.language, first.commentary) == (1, "aac", "de", False)
    assert second.commentary
    (subtitle,) = result.subtitles
    assert (subtitle.codec, subtitle.forced, subtitle.image) == ("subrip", True, False)


@pytest.mark.parametrize("name", UNUSABLE)
def test_the_probe_says_what_is_wrong(
    probe: Callable[[Path], ProbeResult], tmp_path: Path, name: str
) -> None:
    content, code = UNUSABLE[name]
    (tmp_path / name).write_bytes(content)
    result = probe(tmp_path / name)
    assert result.error is not None
    assert result.error.code == code
