"""How long a file says its audio is, and whether that can be relied on."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from orchestrator.contract.mediafile import LONGEST_SECONDS

from . import headers

_STATES = frozenset(
    {"aiff", "ape", "au", "dsf", "matroska", "mxf", "nut", "rm", "tta", "wtv", "wv"}
)
"""Formats whose stated length FFmpeg passes on. In others, but for those whose header is read here,
it is what FFmpeg makes of the time stamps at the end, or of the size and a bit rate."""
_STAMPED = frozenset({"mpegts", "mpeg", "ogg"})
_IN_HEADER = {
    "asf": headers.asf_seconds,
    "flac": headers.flac_seconds,
    "flv": headers.flv_seconds,
    "mp3": headers.mp3_seconds,
    "wav": headers.wav_seconds,
}
_OF_THE_FILE = frozenset({"asf", "flv"})
_TAG_SLACK = 1.0
_LATEST_START = 0.25


class Claim(NamedTuple):
    """Media time of the first and the last sound by what the file says.

    Attributes:
        last: None where the file says nothing that is worth comparing with.
        verified: what is decoded can be compared with it; if not, audio that was lost at the end
            cannot be told from audio that never was.
        own: it is said of this track; if not, of the file, so other tracks may be longer.
        indexed: the file lists all its samples; time that it gives to none is meant to have none.
    """

    first: float
    last: float | None
    verified: bool
    own: bool
    indexed: bool = False


@dataclass(frozen=True, slots=True)
class Stated:
    """What FFmpeg reports of a track and its container. Times in seconds, None: nothing.

    Attributes:
        formats: FFmpeg's names of the container format.
        track: which audio track it is, counted from 0.
        first: media time at which the track starts.
        stream: length of the track.
        tag: Matroska's ``DURATION`` of the track, as text.
        container: length of the whole file.
        rate: samples per second of the track, if it is the only one.
        clock: what the clock of the file shows at its start.
    """

    formats: Set[str]
    track: int
    first: float
    stream: float | None
    tag: str | None
    container: float | None
    rate: int = 0
    clock: float = 0.0


def claim(file: BinaryIO, stated: Stated) -> Claim:
    """What the file claims; its headers are read where FFmpeg's numbers may be estimates."""
    found = _claim(file, stated)
    if found.last is not None and found.last > LONGEST_SECONDS:
        return found._replace(last=None, verified=False)
    return found


def _claim(file: BinaryIO, stated: Stated) -> Claim:
    first = stated.first
    for name in stated.formats & _IN_HEADER.keys():
        seconds = _IN_HEADER[name](file)
        own = name not in _OF_THE_FILE
        last = None if seconds is None else first + seconds if own else seconds
        return Claim(first, last, last is not None, own)
    if "avi" in stated.formats:
        seconds = headers.avi_seconds(file, stated.track)
        return Claim(first, None if seconds is None else first + seconds, seconds is not None, True)
    if "mov" in stated.formats:
        boxes = headers.mp4_boxes(file)
        if boxes.fragmented:
            last = boxes.seconds or _end(stated)
            return Claim(first, last, boxes.seconds is not None, boxes.seconds is None)
        last = _end(stated)
        return Claim(first, last, last is not None, True, indexed=True)
    last = _end(stated)
    own = stated.stream is not None or _clock(stated.tag) is not None
    if not stated.formats.isdisjoint(_STATES):
        return Claim(first, last, last is not None, own)
    if stated.formats.isdisjoint(_STAMPED):
        return Claim(first, None, False, own)
    if "ogg" in stated.formats and stated.rate:
        samples = headers.ogg_samples(file)
        if samples is not None and stated.clock < _LATEST_START:
            return Claim(first, samples / stated.rate, True, True)
    return Claim(first, last, False, own)


def _end(stated: Stated) -> float | None:
    """The stream's own duration is believed first, then Matroska's ``DURATION`` tag (which most
    writers count from the start of the file), then the container's duration. A tag that reaches
    past the container is left over from a longer file."""
    if stated.stream is not None:
        return stated.first + stated.stream
    tag = _clock(stated.tag)
    if tag is not None and (stated.container is None or tag <= stated.container + _TAG_SLACK):
        return tag
    return stated.container


def _clock(text: str | None) -> float | None:
    """Seconds of ``HH:MM:SS.fraction``; None for anything else."""
    try:
        hours, minutes, seconds = (text or "").split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except ValueError:
        return None
