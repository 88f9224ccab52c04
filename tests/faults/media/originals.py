"""Whole media files of many makes, whose sound never pauses unless the name says so.

They are made with the ffmpeg of the media environment: ten seconds of sound with pictures as small
as they can be while a hole of some percent still meets both.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SECONDS = 10
SOUND = (
    *("-f", "lavfi", "-i"),
    f"aevalsrc=0.3*sin(2*PI*(150+40*t)*t)+0.2*sin(2*PI*997*t)+0.1*(random(0)-0.5):s=44100:d={SECONDS}",
)
SHORT_SOUND = (*SOUND[:-1], SOUND[-1].replace(f"d={SECONDS}", "d=6"))
PICTURES = ("-f", "lavfi", "-i", f"testsrc2=size=160x120:rate=12:duration={SECONDS}")
_FILM = (*PICTURES, *SOUND, "-map", "0:v", "-map", "1:a", "-b:v", "200k")
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
}
STATES_NO_LENGTH = frozenset(
    [
        "adts.aac",
        "plain.ac3",
        "bare.mp3",
        "plain.ogg",
        "plain.opus",
        "plain.w64",
        "pieces.mp4",
        "film.mpg",
        "film.ts",
    ]
)
"""Where a cut-off end cannot be told from an end (an Ogg file says only that it is whole)."""

ZERO_IS_SILENCE = frozenset(
    ["plain.aiff", "plain.au", "plain.wav", "adpcm.wav", "plain.w64", "pcm.avi", "film.mov"]
)
"""Without compression a hole of zeros is nothing but silence; nobody can tell."""

_LATE = (*PICTURES, "-itsoffset", "2.5", *SHORT_SOUND, "-map", "0:v", "-map", "1:a")
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

ODD: dict[str, tuple[str, ...]] = {
    # AVI has no late start: writers put in empty chunks, which FFmpeg steps over.
    **{f"late.{kind}": (*_LATE, *_CODECS[kind]) for kind in _CODECS if kind != "avi"},
    **{f"short.{kind}": (*_SHORT, *codecs) for kind, codecs in _CODECS.items()},
    **{
        f"pause.{kind}": (*_PAUSE, *_CODECS[kind])
        for kind in ("flv", "mkv", "mov", "mp4", "webm", "wmv")
    },
    **{f"vfr.{kind}": (*_VFR, *_CODECS[kind]) for kind in ("mkv", "mov", "mp4", "webm", "wmv")},
}
"""Whole files with what damage looks like: sound that starts late, ends early or pauses."""

_REMUXES: dict[str, tuple[str, ...]] = {
    "copy": (),
    "from-2": ("-ss", "2.3"),
    "to-7": ("-t", "7.1"),
    "no-tags": ("-map_metadata", "-1", "-fflags", "+bitexact"),
}
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
    return _make(ffmpeg, folder, FORMATS)


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
    for path in [path for path in paths if path.suffix in {".mkv", ".webm"}]:
        bare = path.with_stem(path.stem + "-bare")
        bare.write_bytes(path.read_bytes().replace(b"DURATION", b"XURATION"))
        paths.append(bare)
    return paths


def make_remuxes(ffmpeg: FFmpeg, formats: Path, folder: Path) -> list[Path]:
    """Whole files put into other containers, cut by edit lists, and stripped of their tags."""
    wanted = {
        f"{source.replace('.', '-')}-{kind}.{target}": ("-i", str(formats / source))
        for source, targets in _TARGETS.items()
        for target in targets
        for kind in _REMUXES
    }
    arguments = {}
    for name, source in wanted.items():
        kind = next(kind for kind in _REMUXES if Path(name).stem.endswith(kind))
        before = _REMUXES[kind] if kind == "from-2" else ()
        after = () if kind == "from-2" else _REMUXES[kind]
        arguments[name] = (*before, *source, "-map", "0", "-c", "copy", *after)
    return _make(ffmpeg, folder, arguments)


def with_tails(paths: list[Path], folder: Path) -> Iterator[Path]:
    """The same files with something behind their end that is no part of them."""
    folder.mkdir(parents=True, exist_ok=True)
    tails = {"zeros": bytes(3000), "tag": b"TAG" + b"x" * 125, "text": b"leftover\n" * 200}
    for path in paths:
        for kind, tail in tails.items():
            longer = folder / f"{path.stem}-{kind}{path.suffix}"
            longer.write_bytes(path.read_bytes() + tail)
            yield longer
