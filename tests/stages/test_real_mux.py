"""Real films with our subtitles inside: all that they had is there, and nothing is believed."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from orchestrator.contract.media import ProbeResult

from .conftest import GRAIN, MPEG2, Stages

pytestmark = pytest.mark.real

Ffmpeg = Callable[..., None]
MakeStages = Callable[[Path], Stages]

METADATA = """;FFMETADATA1
title=The Film
artist=Somebody
[CHAPTER]
TIMEBASE=1/1000
START=0
END=4000
title=One
[CHAPTER]
TIMEBASE=1/1000
START=4000
END=8000
title=Zwei
"""
HUMAN = "1\n00:00:01,000 --> 00:00:03,000\nBonjour\n"
ENGLISH = "1\n00:00:02,000 --> 00:00:03,000\nHello\n\n2\n00:00:05,500 --> 00:00:06,000\nBye\n"
PORTUGUESE = ENGLISH.replace("Hello", "Olá").replace("Bye", "Tchau")
FONT = bytes(range(256)) * 100

SOURCES = ["-f", "lavfi", "-i", "testsrc2=s=160x120:r=24:d=8"]
for tone in (440, 880):
    SOURCES += ["-f", "lavfi", "-i", f"sine={tone}:d=8"]
TRACKS = [
    *("-map", "0", "-map", "1", "-map", "2", "-map", "3:s"),
    *("-map_metadata", "4", "-map_chapters", "4"),
    *("-c:v:0", "libx264", "-bf", "2", "-c:a", "aac"),
    *("-metadata:s:a:0", "language=eng", "-metadata:s:a:0", "title=Main"),
    *("-metadata:s:a:1", "language=fre", "-disposition:a:1", "comment"),
    *("-metadata:s:s:0", "language=fre", "-disposition:s:0", "default+forced"),
]


@pytest.fixture
def parts(tmp_path: Path, ffmpeg: Ffmpeg) -> Path:
    """What films are made from."""
    (tmp_path / "human.srt").write_text(HUMAN)
    (tmp_path / "metadata.txt").write_text(METADATA)
    (tmp_path / "font.ttf").write_bytes(FONT)
    ffmpeg("-f", "lavfi", "-i", "color=red:s=200x300", "-frames:v", 1, tmp_path / "cover.jpg")
    return tmp_path


@pytest.fixture
def film(parts: Path, ffmpeg: Ffmpeg) -> Path:
    """Two audio tracks, chapters, a cover, a font, a person's subtitles and tags."""
    made = parts / "film.mkv"
    attached = ["-attach", parts / "font.ttf", "-metadata:s:t:0", "mimetype=font/ttf"]
    attached += ["-metadata:s:t:0", "filename=../evil.ttf"]
    attached += ["-attach", parts / "cover.jpg", "-metadata:s:t:1", "mimetype=image/jpeg"]
    inputs = ["-i", parts / "human.srt", "-i", parts / "metadata.txt"]
    ffmpeg(*SOURCES, *inputs, *TRACKS, "-c:s", "srt", *attached, made)
    return made


@pytest.fixture
def mp4(parts: Path, ffmpeg: Ffmpeg) -> Path:
    """The same as MP4, which has no fonts; with a time code."""
    made = parts / "film.mp4"
    inputs = ["-i", parts / "human.srt", "-i", parts / "metadata.txt", "-i", parts / "cover.jpg"]
    cover = ["-map", "5", "-c:v:1", "copy", "-disposition:v:1", "attached_pic"]
    ffmpeg(*SOURCES, *inputs, *TRACKS, "-c:s", "mov_text", *cover, "-timecode", "01:00:00:00", made)
    return made


@pytest.fixture
def program(pythons: Mapping[str, Path]) -> str:
    """Path of the ffmpeg that the stage uses."""
    code = "import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())"
    answer = subprocess.run(
        [pythons["media"], "-c", code], check=True, capture_output=True, text=True
    )
    return answer.stdout.strip()


def mux(make: MakeStages, media: Path, **settings: Any) -> tuple[Any, Stages]:
    """Give a film English and Portuguese subtitles."""
    stages = make(media)
    for name, text in (("srt", ENGLISH), ("srt.pt", PORTUGUESE)):
        path = stages.folder.parent / f"{name}.txt"
        path.write_text(text)
        stages.inputs[name] = str(path)
    stages.facts["language"] = "en"
    return stages.run("mux", settings=settings), stages


def seen(pythons: Mapping[str, Path], path: str) -> dict[str, Any]:
    """What PyAV finds in a film."""
    code = """
import av, hashlib, json, sys
with av.open(sys.argv[1]) as film:
    streams = []
    for one in film.streams:
        content = one.data if one.type == "attachment" else b""
        if one.disposition & one.disposition.attached_pic:
            content = bytes(next(film.demux(one)))
        flags = sorted(flag.name for flag in one.disposition)
        title = one.metadata.get("title") or one.metadata.get("name")
        language = one.metadata.get("language")
        digest = hashlib.sha256(content).hexdigest() if content else ""
        streams.append([one.type, language, title, flags, digest])
    chapters = [one["metadata"]["title"] for one in film.chapters()]
    print(json.dumps({"streams": streams, "chapters": chapters, "tags": dict(film.metadata)}))
"""
    answer = subprocess.run(
        [pythons["media"], "-c", code, path], check=True, capture_output=True, text=True
    )
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


def decoded(ffmpeg: Ffmpeg, path: str, folder: Path) -> list[str]:
    """Decode all of a film without an error; its subtitles."""
    ffmpeg("-xerror", "-i", path, "-map", "0:v", "-map", "0:a", "-f", "null", "-")
    texts = []
    for number in range(3):
        text = folder / f"decoded-{number}.srt"
        ffmpeg("-xerror", "-i", path, "-map", f"0:s:{number}", text)
        texts.append(text.read_text("utf-8").strip() + "\n")
    return texts


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_film_keeps_everything_and_gets_ours(
    stages: MakeStages,
    film: Path,
    parts: Path,
    ffmpeg: Ffmpeg,
    pythons: Mapping[str, Path],
    probe: Callable[[Path], ProbeResult],
) -> None:
    before = sha256(film), film.stat()
    result, made = mux(stages, film, default_track="speech")
    assert result.ok
    assert not result.warnings
    assert [record.name for record in result.outputs] == ["muxed_mkv"]
    path = made.inputs["muxed_mkv"]
    found = seen(pythons, path)
    assert found["streams"] == [
        ["video", None, None, [], ""],
        ["audio", "eng", "Main", [], ""],
        ["audio", "fre", None, ["comment"], ""],
        ["subtitle", "fre", None, ["default", "forced"], ""],
        ["subtitle", "eng", "English (batch-subtitles)", ["default"], ""],
        ["subtitle", "por", "Portuguese (batch-subtitles)", [], ""],
        ["attachment", None, None, [], hashlib.sha256(FONT).hexdigest()],
        ["video", None, None, ["attached_pic"], sha256(parts / "cover.jpg")],
    ]
    assert found["chapters"] == ["One", "Zwei"]
    assert found["tags"]["title"] == "The Film"
    assert found["tags"]["ARTIST"] == "Somebody"
    assert decoded(ffmpeg, path, parts) == [HUMAN, ENGLISH, PORTUGUESE]
    assert (sha256(film), film.stat().st_mtime_ns) == (before[0], before[1].st_mtime_ns)
    assert not (parts / "evil.ttf").exists()
    assert probe(Path(path)).ours
    assert not probe(film).ours


def test_the_same_film_comes_out_byte_for_byte(stages: MakeStages, film: Path) -> None:
    first, made = mux(stages, film)
    second = made.run("mux", settings={})
    assert first.outputs == second.outputs


def test_an_mp4_stays_one(
    stages: MakeStages,
    mp4: Path,
    parts: Path,
    ffmpeg: Ffmpeg,
    pythons: Mapping[str, Path],
    probe: Callable[[Path], ProbeResult],
) -> None:
    result, made = mux(stages, mp4, forced_track="pt")
    assert not result.warnings
    path = made.inputs["muxed_mp4"]
    found = seen(pythons, path)
    kept = [one for one in found["streams"] if one[0] != "data"]
    assert [one[:4] for one in kept] == [
        ["video", "und", None, ["default"]],
        ["audio", "eng", "Main", ["default"]],
        ["audio", "fre", None, ["comment"]],
        ["subtitle", "fre", None, ["default", "forced"]],
        ["subtitle", "eng", "English (batch-subtitles)", []],
        ["subtitle", "por", "Portuguese (batch-subtitles)", ["forced"]],
        ["video", None, None, ["attached_pic"]],
    ]
    assert kept[-1][4] == sha256(parts / "cover.jpg")
    assert found["chapters"] == ["One", "Zwei"]
    assert (found["tags"]["title"], found["tags"]["artist"]) == ("The Film", "Somebody")
    assert found["tags"]["timecode"] == "01:00:00:00"
    assert decoded(ffmpeg, path, parts) == [HUMAN, ENGLISH, PORTUGUESE]
    assert probe(Path(path)).ours
    assert not probe(mp4).ours


@pytest.fixture
def late(ffmpeg: Ffmpeg, tmp_path: Path) -> Path:
    """A program stream, which lists no tracks, with sound behind 12 s of pictures."""
    made = tmp_path / "late.vob"
    ffmpeg(*GRAIN, "-itsoffset", "12", "-f", "lavfi", "-i", "sine=440:d=6", *MPEG2, made)
    return made


def test_a_track_that_begins_late_is_kept(
    stages: MakeStages, late: Path, pythons: Mapping[str, Path]
) -> None:
    result, made = mux(stages, late)
    assert not result.warnings
    kinds = [one[0] for one in seen(pythons, made.inputs["muxed_mkv"])["streams"]]
    assert kinds == ["video", "audio", "subtitle", "subtitle"]


def test_a_film_whose_track_begins_too_late_to_be_found_is_left_out(
    stages: MakeStages, late: Path, ffmpeg: Ffmpeg, tmp_path: Path
) -> None:
    silent, film = tmp_path / "silent.vob", tmp_path / "film.vob"
    ffmpeg(*GRAIN, *MPEG2, silent)
    number = (64 << 20) // silent.stat().st_size + 1
    film.write_bytes(silent.read_bytes() * number + late.read_bytes())
    result, _ = mux(stages, film)
    (warning,) = result.warnings
    assert warning.code == "mux_left_out"
    assert "a track begins so late" in warning.message


@pytest.mark.parametrize(
    ("name", "codecs"),
    [
        ("film.ts", ["-c:v", "libx264", "-bf", "2", "-c:a", "aac"]),
        ("film.m2ts", ["-c:v", "libx265", "-x265-params", "log-level=none", "-c:a", "ac3"]),
        ("film.avi", ["-c:v", "libx264", "-bf", "2", "-c:a", "libmp3lame"]),
        ("film.mpg", ["-c:v", "mpeg2video", "-c:a", "mp2"]),
        ("film.webm", ["-c:v", "libvpx-vp9", "-cpu-used", "8", "-c:a", "libopus"]),
        ("film.mov", ["-c:v", "libx264", "-c:a", "pcm_s16le"]),
        ("film.wmv", ["-c:v", "wmv2", "-c:a", "wmav2"]),
        ("film.flv", ["-c:v", "flv1", "-c:a", "libmp3lame", "-ar", "44100"]),
        ("\udcff -map 0 [x].mkv", ["-c:v", "libx264", "-c:a", "flac"]),
    ],
)
def test_films_of_every_sort_go_into_matroska(
    stages: MakeStages, parts: Path, ffmpeg: Ffmpeg, name: str, codecs: list[str]
) -> None:
    media = parts / name
    plain = parts / f"made{media.suffix}"
    ffmpeg(*SOURCES[:8], *codecs, plain)
    plain.rename(media)
    result, _ = mux(stages, media)
    assert not result.warnings
    assert [record.name for record in result.outputs] == ["muxed_mkv"]


def test_text_of_an_mp4_goes_into_matroska(
    stages: MakeStages, mp4: Path, pythons: Mapping[str, Path]
) -> None:
    result, made = mux(stages, mp4, container="mkv")
    assert not result.warnings
    found = seen(pythons, made.inputs["muxed_mkv"])
    assert [one[1] for one in found["streams"] if one[0] == "subtitle"] == ["fre", "eng", "por"]
    assert found["streams"][-1][3] == ["attached_pic"]


def left_out(result: Any) -> str:
    assert result.ok
    assert not result.outputs
    (warning,) = result.warnings
    assert warning.code == "mux_left_out"
    return str(warning.message)


def test_what_cannot_be_kept_leaves_the_film_out(
    stages: MakeStages, film: Path, parts: Path, ffmpeg: Ffmpeg
) -> None:
    result, _ = mux(stages, film, container="mp4")
    assert "MP4 has no place for stream 4 (../evil.ttf)" in left_out(result)
    styled = parts / "styled.mkv"
    ffmpeg("-i", film, "-map", "0:0", "-map", "0:3", "-c:v", "copy", "-c:s", "ass", styled)
    result, _ = mux(stages, styled, container="mp4")
    assert "codec ass" in left_out(result)
    sound = parts / "sound.m4a"
    ffmpeg("-i", film, "-map", "0:1", "-c", "copy", sound)
    result, _ = mux(stages, sound)
    assert "no picture" in left_out(result)


def test_where_nobody_speaks_there_is_no_film(stages: MakeStages, film: Path) -> None:
    made = stages(film)
    silent = film.with_name("silent.srt")
    silent.write_bytes(b"")
    made.inputs["srt"] = str(silent)
    result = made.run("mux")
    assert result.ok
    assert not result.outputs
    assert not result.warnings


FAULTS = {
    "stops_after_a_while": ["-t", "3"],
    "drops_a_track": ["-map", "-0:2"],
    "changes_a_title": ["-metadata:s:1", "title=Other"],
    "changes_a_language": ["-metadata:s:2", "language=ger"],
    "marks_a_track": ["-disposition:2", "comment+forced"],
    "encodes_again": ["-c:1", "libmp3lame"],
    "encodes_alike": ["-c:0", "libx264"],
    "is_late": ["-output_ts_offset", "2"],
    "forgets_the_chapters": ["-map_chapters", "-1"],
    "forgets_the_tags": ["-map_metadata", "-1"],
    "writes_another_format": ["-f", "null"],
    "fails": ["-no_such_option", "1"],
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_program_that_lies_is_found_out(
    stages: MakeStages,
    film: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    program: str,
    fault: str,
) -> None:
    liar = tmp_path / "liar"
    liar.write_text(
        f"#!{sys.executable}\nimport os, sys\n"
        f"command = [{program!r}, *sys.argv[1:-1], *{FAULTS[fault]!r}, sys.argv[-1]]\n"
        "os.execv(command[0], command)\n"
    )
    liar.chmod(liar.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(liar))
    result, made = mux(stages, film)
    assert left_out(result)
    assert not list(made.folder.rglob("muxed.*"))


def test_a_full_disk_is_no_fault_of_the_film(
    stages: MakeStages, film: Path, tmp_path: Path
) -> None:
    huge = tmp_path / "huge.mkv"
    huge.write_bytes(film.read_bytes())
    os.truncate(huge, 1 << 43)
    result, _ = mux(stages, huge)
    assert not result.ok
    assert result.error is not None
    assert result.error["code"] == "disk_full"
