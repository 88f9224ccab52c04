"""Look into a media file: tracks, length and fingerprint. Nothing is decoded.

It answers inline (``data["media"]`` is a ``ProbeResult`` as JSON) and stays resident, so a file
that crashes FFmpeg takes down this process and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import av

from orchestrator.contract.errors import Failure, describe_os_error
from orchestrator.contract.exchange import StageOutcome, StageRequest
from orchestrator.contract.keys import fingerprint
from orchestrator.contract.media import ProbeResult
from orchestrator.contract.mediafile import (
    LONGEST_SECONDS,
    MediaFile,
    no_audio_track,
    not_media,
)
from orchestrator.contract.report import Report
from orchestrator.contract.tracks import audio_track, made_by_us, subtitle_track
from orchestrator.stagekit.opening import open_media

_UNREADABLE = (av.FFmpegError, OSError, ValueError, OverflowError)
"""What PyAV raises over damaged content. A disk that fails is told by ``MediaFile.check``."""


def load(settings: Mapping[str, Any]) -> str:
    """The names of the decoders that may be used: those for sound.

    With them FFmpeg does not decode pictures to find out things that nobody asks for, which takes
    up to 11 ms a file.
    """
    names = []
    for name in av.codecs_available:
        try:
            codec = av.Codec(name, "r")
        except ValueError:  # there is an encoder only
            continue
        if codec.type == "audio":
            names.append(name)
    return ",".join(sorted(names))


def run(request: StageRequest, model: str, report: Report) -> StageOutcome:
    path = Path(request.media)
    try:
        result = probe(path, model)
    except Failure as failure:
        result = ProbeResult(fingerprint="", error=failure.info)
    return StageOutcome(data={"media": result.to_json()})


def probe(path: Path, decoders: str) -> ProbeResult:
    """Raises: Failure when not even a fingerprint can be had."""
    limits = {"codec_whitelist": decoders}
    if path.suffix.casefold() == ".wav":
        # FFmpeg searches plain samples for hidden DTS for 4 ms; demux lets it.
        limits["max_probe_packets"] = "1"
    with MediaFile(path) as file:
        try:
            mark = fingerprint(path)
        except OSError as error:
            raise Failure(describe_os_error(error, f"{path}: cannot be read")) from error
        try:
            with open_media(file, limits) as container:
                return describe(path, mark, container)
        except _UNREADABLE:
            file.check()
            return ProbeResult(fingerprint=mark, error=not_media(path).info)


def describe(path: Path, mark: str, container: Any) -> ProbeResult:
    audio, subtitles = [], []
    for stream in container.streams:
        if stream.type not in ("audio", "subtitle"):
            continue
        codec = stream.codec_context
        name = codec.codec.canonical_name if codec is not None else "unknown"
        flags = [flag.name for flag in stream.disposition]
        if stream.type == "subtitle":
            subtitles.append(subtitle_track(stream.index, name, stream.metadata, flags))
            continue
        audio.append(
            audio_track(
                stream.index,
                name,
                stream.metadata,
                flags,
                channels=codec.channels if codec is not None else 0,
                sample_rate=codec.sample_rate if codec is not None else 0,
            )
        )
    duration = container.duration / av.time_base if container.duration else None
    return ProbeResult(
        fingerprint=mark,
        duration=duration if duration is not None and 0 < duration <= LONGEST_SECONDS else None,
        container=container.format.name,
        audio=tuple(audio),
        subtitles=tuple(subtitles),
        error=None if audio else no_audio_track(path).info,
        ours=made_by_us(container.metadata, subtitles),
    )
