"""Whole media files of many makes, whose sound never pauses unless the name says so.

They are made with the ffmpeg of the media environment: ten seconds of sound with pictures as small
as they can be while a hole of some percent still meets both.
"""

from __future__ import annotations

import struct
import subprocess
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SECONDS = 10
SOUND = (
    *("-f", "lavfi", "-i"),
    f"aevalsrc=0.3*sin(2*PI*(150+40*t)*t)+0.2*sin(2*PI*997*t)+0.1*(random(0)-0.5):s=44100:d={SECONDS}",
)
SHORT_SOUND = (*SOUND[:-1], SOUND[-1].replace(f"d={SECONDS}", "d=6"))


def _text(content: str) -> str:
    """The name of an input with that content."""
    return f"data:text/plain;base64,{b64encode(content.encode()).decode()}"


_TWO_CHAPTERS = """;FFMETADATA1
[CHAPTER]
TIMEBASE=1/1000
START=0
END=4000
[CHAPTER]
TIMEBASE=1/1000
START=4000
END=10000
"""
_SUBTITLES = """1
00:00:01,000 --> 00:00:02,000
It begins.

2
00:00:40,000 --> 00:00:42,000
Long after the end.
"""
PICTURES = ("-f", "lavfi", "-i", f"testsrc2=size=160x120:rate=12:duration={SECONDS}")
_FILM = (*PICTURES, *SOUND, "-map", "0:v", "-map", "1:a", "-b:v", "200k")
_CUES = ("-f", "srt", "-i", _text(_SUBTITLES))
_FILM_AFTER = (*PICTURES, *SOUND, "-map", "1:v", "-map", "2:a", "-map", "0:s", "-b:v", "200k")
_H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-g", "24")
_AAC = ("-c:a", "aac", "-b:a", "96k")

FORMATS: dict[str, tuple[str, ...]] = {
    "adts.aac": (*SOUND, *_AAC),
    "plain.ac3": (*SOUND, "-c:a", "ac3"),
    "plain.aiff": SOUND,
    "plain.au": SOUND,
    "plain.flac": SOUND,
    "plain.m4a": (*SOUND, *_AAC),
    "plain.mp3": (*SOUND, "-c:a", "libmp3lame", "-b:a", "96k"),
    "vbr.mp3": (*SOUND, "-c:a", "libmp3lame", "-q:a", "5"),
    "bare.mp3": (*SOUND, "-c:a", "libmp3lame", "-write_xing", "0", "-id3v2_version", "0"),
    "plain.ogg": (*SOUND, "-c:a", "libvorbis"),
    "plain.opus": (*SOUND, "-c:a", "libopus", "-b:a", "64k"),
    "plain.tta": SOUND,
    "plain.wav": SOUND,
    "adpcm.wav": (*SOUND, "-c:a", "adpcm_ima_wav"),
    "plain.w64": SOUND,
    "plain.wma": (*SOUND, "-c:a", "wmav2"),
    "plain.wv": SOUND,
    "flac.mka": (*SOUND, "-c:a", "flac"),
    "film.avi": (*_FILM, "-c:v", "mpeg4", "-c:a", "libmp3lame"),
    "pcm.avi": (*_FILM, "-c:v", "mpeg4", "-c:a", "pcm_s16le", "-ar", "16000"),
    "film.flv": (*_FILM, "-c:v", "flv", "-c:a", "libmp3lame"),
    "h264.flv": (*_FILM, *_H264, *_AAC),
    "film.mkv": (*_FILM, *_H264, *_AAC),
    "ac3.mkv": (*_FILM, *_H264, "-c:a", "ac3"),
    "opus.mkv": (*_FILM, *_H264, "-c:a", "libopus"),
    "dts.mkv": (*_FILM, *_H264, "-c:a", "dca", "-strict", "-2"),
    "film.mov": (*_FILM, *_H264, "-c:a", "pcm_s16le", "-ar", "16000"),
    "film.mp4": (*_FILM, *_H264, *_AAC),
    "front.mp4": (*_FILM, *_H264, *_AAC, "-movflags", "+faststart"),
    "alac.m4a": (*SOUND, "-c:a", "alac", "-movflags", "+faststart"),
    "pieces.mp4": (*_FILM, *_H264, *_AAC, "-movflags", "+frag_keyframe+empty_moov"),
    "dash.mp4": (*SOUND, *_AAC, "-movflags", "+dash+global_sidx", "-frag_duration", "2000000"),
    "film.mpg": (*_FILM, "-r", "25", "-c:v", "mpeg2video", "-c:a", "mp2"),
    "film.ts": (*_FILM, *_H264, *_AAC),
    "film.webm": (*_FILM, "-c:v", "libvpx", "-deadline", "realtime", "-c:a", "libopus"),
    "film.wmv": (*_FILM, "-c:v", "wmv2", "-c:a", "wmav2"),
    "film.nut": (*_FILM, "-c:v", "mpeg4", "-c:a", "libmp3lame"),
    "film.wtv": (*_FILM, "-r", "25", "-c:v", "mpeg2video", "-c:a", "mp2"),
    "plain.caf": SOUND,
    "plain.rm": (*SOUND, "-c:a", "ac3"),
    "live.mkv": (*_FILM, *_H264, *_AAC, "-live", "1"),
    "hour.mkv": (*_FILM, *_H264, *_AAC, "-output_ts_offset", "3600"),
    "cues.mkv": (*_CUES, *_FILM_AFTER, *_H264, *_AAC, "-c:s", "srt"),
}
STATES_NO_LENGTH = frozenset(
    [
        "adts.aac",
        "plain.ac3",
        "bare.mp3",
        "plain.ogg",
        "plain.opus",
        "pieces.mp4",
        "film.mpg",
        "film.ts",
        "film.nut",
        "live.mkv",
        "cues-bare.mkv",
    ]
)
"""Where a cut-off end cannot be told from an end (an Ogg file says only that it is whole, and a
film with subtitles behind its end how long it is with them)."""

ZERO_IS_SILENCE = frozenset(
    [
        *("plain.aiff", "plain.au", "plain.caf", "plain.wav", "adpcm.wav", "plain.w64"),
        *("pcm.avi", "film.mov"),
    ]
)
"""Without compression a hole of zeros is nothing but silence; nobody can tell."""
INTERLEAVED_SAMPLES = frozenset(["pcm.avi", "film.mov"])
"""Where that is so as well of a hole that is whole blocks of a disk."""

_LATE = (*PICTURES, "-itsoffset", "2.5", *SHORT_SOUND, "-map", "0:v", "-map", "1:a")
_FAR = (
    *("-f", "lavfi", "-i", "testsrc2=size=160x120:rate=12:duration=20"),
    *("-itsoffset", "9", *SHORT_SOUND, "-map", "0:v", "-map", "1:a"),
)
"""FFmpeg looks at the first 5 s of a file to learn when its tracks begin."""
_SHORT = (*PICTURES, *SHORT_SOUND, "-map", "0:v", "-map", "1:a")
_PAUSE = (*_FILM, "-af", "aselect='not(between(t,4,6.5))'")
_VFR = (*_FILM, "-vf", "select='not(mod(n,7))+lt(mod(n,50),20)'", "-fps_mode", "vfr")
_CODECS = {
    "avi": ("-c:v", "mpeg4", "-c:a", "libmp3lame"),
    "flv": (*_H264, *_AAC),
    "mkv": (*_H264, *_AAC),
    "mov": (*_H264, *_AAC),
    "mp4": (*_H264, *_AAC),
    "mpg": ("-r", "25", "-c:v", "mpeg2video", "-c:a", "mp2"),
    "ts": (*_H264, *_AAC),
    "webm": ("-c:v", "libvpx", "-deadline", "realtime", "-c:a", "libopus"),
    "wmv": ("-c:v", "wmv2", "-c:a", "wmav2"),
}

_COVERED = (
    *(*SOUND, "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=1:duration=1"),
    *("-map", "0", "-map", "1", "-disposition:v:0", "attached_pic"),
)
_WITH_COVER = {
    "flac": ("-c:v", "png"),
    "m4a": ("-c:v", "mjpeg", *_AAC),
    "mp3": ("-c:v", "mjpeg", "-c:a", "libmp3lame"),
}
_CHAPTERS = ("-f", "ffmetadata", "-i", _text(_TWO_CHAPTERS))

ODD: dict[str, tuple[str, ...]] = {
    # AVI has no late start: writers put in empty chunks, which FFmpeg steps over.
    **{f"late.{kind}": (*_LATE, *_CODECS[kind]) for kind in _CODECS if kind != "avi"},
    **{f"far.{kind}": (*_FAR, *_CODECS[kind]) for kind in _CODECS if kind != "avi"},
    **{f"short.{kind}": (*_SHORT, *codecs) for kind, codecs in _CODECS.items()},
    **{
        f"pause.{kind}": (*_PAUSE, *_CODECS[kind])
        for kind in ("flv", "mkv", "mov", "mp4", "webm", "wmv")
    },
    **{f"cover.{kind}": (*_COVERED, *codecs) for kind, codecs in _WITH_COVER.items()},
    "chapters.m4b": (*_CHAPTERS, *SOUND, "-map", "1", "-map_chapters", "0", *_AAC, "-f", "mp4"),
    **{f"vfr.{kind}": (*_VFR, *_CODECS[kind]) for kind in ("mkv", "mov", "mp4", "webm", "wmv")},
}
"""Whole files with what damage looks like: sound that starts late, ends early or pauses."""

_REMUXES: dict[str, tuple[str, ...]] = {
    "copy": (),
    "from-2": ("-ss", "2.3"),
    "to-7": ("-t", "7.1"),
    "no-tags": ("-map_metadata", "-1", "-fflags", "+bitexact"),
    "hour": ("-output_ts_offset", "3600"),
}
_ZERO_BASED = frozenset({"asf", "avi", "wav", "wmv"})
"""Formats whose clocks start at zero, whatever FFmpeg is asked for."""
_JOINED = (
    *("adts.aac", "plain.ac3", "plain.flac", "film.flv", "film.mkv", "plain.mp3", "bare.mp3"),
    *("film.mpg", "plain.ogg", "plain.opus", "pieces.mp4", "film.ts"),
)
"""Files that can be read when two of them follow each other."""
_TARGETS = {
    "film.mp4": ("mkv", "mov", "mp4", "ts", "flv"),
    "film.mkv": ("mkv", "mp4", "ts"),
    "film.ts": ("mkv", "mp4", "ts"),
    "film.avi": ("avi", "mkv"),
    "film.webm": ("webm", "mkv"),
    "film.wmv": ("wmv",),
    "plain.mp3": ("mp3", "mka"),
    "plain.m4a": ("m4a", "mka"),
    "plain.flac": ("mka",),
    "plain.opus": ("opus", "webm"),
    "plain.ogg": ("ogg",),
    "plain.wav": ("wav",),
}

FFmpeg = Callable[..., None]


def ffmpeg_of(python: Path) -> FFmpeg:
    """Runs the ffmpeg that the interpreter's environment has. Raises: CalledProcessError."""
    code = "import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())"
    answer = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True)
    program = answer.stdout.strip()

    def run(*arguments: str | Path) -> None:
        command = [program, "-v", "error", "-nostdin", "-y", *map(str, arguments)]
        subprocess.run(command, check=True, timeout=120, capture_output=True)

    return run


def make_formats(ffmpeg: FFmpeg, folder: Path) -> list[Path]:
    """One whole file of every format."""
    paths = _make(ffmpeg, folder, FORMATS)
    return paths + [_bare(path) for path in paths if path.name in ("hour.mkv", "cues.mkv")]


def _bare(path: Path) -> Path:
    """A copy of a Matroska file without the tags that say how long each track is."""
    bare = path.with_stem(path.stem + "-bare")
    bare.write_bytes(path.read_bytes().replace(b"DURATION", b"XURATION"))
    return bare


def _make(ffmpeg: FFmpeg, folder: Path, wanted: dict[str, tuple[str, ...]]) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = {name: folder / name for name in wanted}
    with ThreadPoolExecutor(2) as threads:
        made = [
            threads.submit(ffmpeg, *wanted[name], path)
            for name, path in paths.items()
            if not path.exists()
        ]
        for one in made:
            one.result()
    return list(paths.values())


def make_odd(ffmpeg: FFmpeg, folder: Path) -> list[Path]:
    """Whole files that look damaged; each also without the tags that explain them."""
    paths = _make(ffmpeg, folder, ODD)
    return paths + [_bare(path) for path in paths if path.suffix in {".mkv", ".webm"}]


def make_remuxes(ffmpeg: FFmpeg, formats: Path, folder: Path) -> list[Path]:
    """Whole files put into other containers, cut by edit lists, and stripped of their tags."""
    wanted = {
        f"{source.replace('.', '-')}-{kind}.{target}": ("-i", str(formats / source))
        for source, targets in _TARGETS.items()
        for target in targets
        for kind in _REMUXES
        if kind != "hour" or target not in _ZERO_BASED
    }
    arguments = {}
    for name, source in wanted.items():
        kind = next(kind for kind in _REMUXES if Path(name).stem.endswith(kind))
        before = _REMUXES[kind] if kind == "from-2" else ()
        after = () if kind == "from-2" else _REMUXES[kind]
        arguments[name] = (*before, *source, "-map", "0", "-c", "copy", *after)
    return _make(ffmpeg, folder, arguments)


_PLACEHOLDERS = {"sox": 0x7FFFF000, "arecord": 0x80000000, "ffmpeg": 0xFFFFFFFF, "none": 0}


def make_unsized(formats: Path, folder: Path) -> list[Path]:
    """Recordings whose writer could not go back to say how long they have become."""
    folder.mkdir(parents=True, exist_ok=True)
    whole, made = (formats / "plain.wav").read_bytes(), []
    at = whole.index(b"data") + 4
    for writer, size in _PLACEHOLDERS.items():
        path = folder / f"unsized-{writer}.wav"
        path.write_bytes(whole[:at] + struct.pack("<I", size) + whole[at + 4 :])
        made.append(path)
    return made


def make_joined(formats: Path, folder: Path) -> list[Path]:
    """Files that hold another whole one behind the first, as recorders and joiners leave them."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for name in _JOINED:
        path = folder / f"twice-{name}"
        path.write_bytes((formats / name).read_bytes() * 2)
        made.append(path)
    return made


def with_tails(paths: list[Path], folder: Path) -> Iterator[Path]:
    """The same files with something behind their end that is no part of them."""
    folder.mkdir(parents=True, exist_ok=True)
    tails = {"zeros": bytes(3000), "tag": b"TAG" + b"x" * 125, "text": b"leftover\n" * 200}
    for path in paths:
        for kind, tail in tails.items():
            longer = folder / f"{path.stem}-{kind}{path.suffix}"
            longer.write_bytes(path.read_bytes() + tail)
            yield longer
