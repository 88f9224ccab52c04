"""Which track of a container is decoded, what is stated of it, and what is read beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import av
from av.stream import Discard

from orchestrator.contract.errors import fail
from orchestrator.contract.media import AudioTrack, choose_audio
from orchestrator.contract.mediafile import no_audio_track
from orchestrator.contract.tracks import audio_track

from .claims import Stated

_INTERLEAVED = frozenset({"matroska", "flv", "asf"})
"""Formats without an index of all samples that are read from end to end for the sound alone."""
_CHECKED = frozenset({"tta"})
"""Codecs whose decoders take damage for sound unless they are told to compare checksums."""


def formats_of(container: Any) -> frozenset[str]:
    """FFmpeg's names of the container format."""
    return frozenset(container.format.name.split(","))


def clock_of(container: Any) -> float:
    """What the clock of the file shows at its start, in seconds."""
    return float((container.start_time or 0) / av.time_base)


def length_of(container: Any) -> float | None:
    """Seconds that the container says it is long."""
    return container.duration / av.time_base if container.duration else None


def choose_track(path: Path, container: Any, language: str | None) -> tuple[Any, AudioTrack]:
    """The stream that carries the dialogue, ready to be decoded.

    Raises: Failure ``no_audio_track``, ``codec_unknown``.
    """
    only = 1 if "flv" in formats_of(container) else None  # more are damage
    tracks = [
        audio_track(
            stream.index,
            stream.codec_context.name if stream.codec_context else "unknown",
            stream.metadata,
            [flag.name for flag in stream.disposition],
            channels=stream.codec_context.channels if stream.codec_context else 0,
        )
        for stream in container.streams.audio[:only]
    ]
    track = choose_audio(tracks, [language] if language else [])
    if track is None:
        raise no_audio_track(path)
    stream = container.streams[track.index]
    if stream.codec_context is None:
        raise fail(
            "codec_unknown",
            f"{path}: no decoder is known for audio track {track.index}.",
            "It is encrypted or in a rare format: convert the file, or exclude it.",
        )
    if track.codec in _CHECKED:
        stream.codec_context.options = {"err_detect": "crccheck+explode"}
    return stream, track


def stated_of(container: Any, stream: Any, begins: float | None = None) -> Stated:
    """What FFmpeg reports of the track and its container.

    ``begins``: media time of the first sound, where it is later than what FFmpeg had looked at
    (5 s); times that it has of the track then are those of the container.
    """
    base, clock = float(stream.time_base), clock_of(container)
    known = begins is None and stream.start_time is not None
    first = stream.start_time * base - clock if known else begins or 0.0
    tag = next((name for name in stream.metadata if _is_duration(name)), "")
    return Stated(
        formats=formats_of(container),
        track=[one.index for one in container.streams.audio].index(stream.index),
        first=max(0.0, first),
        stream=stream.duration * base if stream.duration and begins is None else None,
        tag=stream.metadata.get(tag),
        container=length_of(container),
        rate=stream.codec_context.sample_rate if len(container.streams) == 1 else 0,
        clock=clock,
        counted="DURATION" in stream.metadata.get(tag.replace("DURATION", "_STATISTICS_TAGS"), ""),
    )


def _is_duration(name: str) -> bool:
    """``DURATION``, or ``DURATION-eng`` as older writers of statistics have it."""
    return name.partition("-")[0] == "DURATION"


class Companions(NamedTuple):
    """Streams that are read along with the sound, since they come by anyway.

    ``pictures`` can tell a pause from a loss, ``cues`` what it is that a file is as long as.
    """

    pictures: Any | None
    cues: tuple[Any, ...]


def companions_of(container: Any, stream: Any) -> Companions:
    """Those of ``stream``; all others of the container are stepped over from now on."""
    if formats_of(container).isdisjoint(_INTERLEAVED):
        found = Companions(None, ())
    else:
        pictures = [one for one in container.streams.video if not _is_cover(one)]
        found = Companions(next(iter(pictures), None), tuple(container.streams.subtitles))
    wanted = {one.index for one in (stream, found.pictures, *found.cues) if one is not None}
    for other in container.streams:
        if other.index not in wanted:
            other.discard = Discard.all
    return found


def _is_cover(stream: Any) -> bool:
    return "attached_pic" in [flag.name for flag in stream.disposition]
