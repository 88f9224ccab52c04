"""How long a file says its audio is, and whether that can be relied on."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from orchestrator.contract.mediafile import LONGEST_SECONDS

from . import headers, waves
from .matroska import matroska_head

_STATES = frozenset({"aiff", "ape", "au", "dsf", "mpc", "mpc8", "mxf", "rm", "tta", "wtv", "wv"})
"""Formats whose stated length FFmpeg passes on. In others, but for those whose header is read here,
it is what FFmpeg makes of the time stamps at the end, or of the size and a bit rate."""
_STAMPED = frozenset({"mpegts", "mpeg", "ogg"})
_IN_HEADER = {
    "asf": headers.asf_seconds,
    "caf": waves.caf_seconds,
    "flac": headers.flac_seconds,
    "flv": headers.flv_seconds,
    "mp3": headers.mp3_seconds,
    "w64": waves.w64_seconds,
    "wav": waves.wav_seconds,
}
_MAY_LACK_SIZE = {"aiff": waves.aiff_states_size, "au": waves.au_states_size}
_OF_THE_FILE = frozenset({"asf", "flv"})
_TAG_SLACK = 1.0
_LATEST_START = 0.25
"""Seconds on the clock from which on it matters whether a file counts its length from zero or from
its start."""


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
        counted: the tag is one of the statistics of mkvmerge, so the length of the track.
    """

    formats: Set[str]
    track: int
    first: float
    stream: float | None
    tag: str | None
    container: float | None
    rate: int = 0
    clock: float = 0.0
    counted: bool = False


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
        if name == "asf" and seconds is not None and _is_late_asf(file, stated, seconds):
            return Claim(first, seconds - stated.clock, False, own)
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
    if "matroska" in stated.formats:
        return _matroska_claim(file, stated)
    last = _end(stated)
    own = stated.stream is not None
    if not all(_MAY_LACK_SIZE[name](file) for name in stated.formats & _MAY_LACK_SIZE.keys()):
        return Claim(first, None, False, own)
    if not stated.formats.isdisjoint(_STATES):
        return Claim(first, last, last is not None, own)
    if stated.formats.isdisjoint(_STAMPED):
        return Claim(first, None, False, own)
    if "ogg" in stated.formats and stated.clock >= _LATEST_START:
        return Claim(first, None, False, own)  # recorded from the middle of a broadcast
    if "ogg" in stated.formats and stated.rate:
        samples = headers.ogg_samples(file)
        if samples is not None:
            return Claim(first, samples / stated.rate, True, True)
    return Claim(first, last if own else None, False, own)


def _is_late_asf(file: BinaryIO, stated: Stated, seconds: float) -> bool:
    """Whether a clock starts late that libavformat counts the length of the file from zero of.

    Others count from the start, so it is not certain; and where the first part of the file is
    missing, the clock only looks late.
    """
    return _LATEST_START <= stated.clock < seconds and headers.asf_begins_whole(file)


def _matroska_claim(file: BinaryIO, stated: Stated) -> Claim:
    """The ``DURATION`` tag of the track is believed first, then the duration of the file.

    libavformat counts both from zero on the file's clock. libmatroska counts the duration of the
    file from its start, and mkvmerge the tag from the start of the track. Who else writes Matroska
    may do either, so of a file whose clock starts late it is not known. A tag that reaches past the
    file's duration is left over from a longer file.
    """
    head = matroska_head(file)
    start = head.start or 0.0  # unknown after damage, and then it is the damage that looks late
    from_zero = head.muxer.startswith("Lavf")
    known = from_zero or head.muxer.startswith("libebml") or start < _LATEST_START

    def in_media(seconds: float) -> float:
        late = from_zero or (not known and seconds > start)
        return seconds - start if late else seconds

    whole = in_media(stated.container) if stated.container is not None else 0.0
    tag = _clock(stated.tag)
    if tag is not None and stated.counted and not from_zero:
        if not whole or stated.first + tag <= whole + _TAG_SLACK:
            return Claim(stated.first, stated.first + tag, known, True)
        if tag <= whole + _TAG_SLACK:  # what comes first now was not the first sound
            return Claim(max(0.0, whole - tag), whole, known, True)
    elif tag is not None and 0 < in_media(tag) <= (whole or in_media(tag)) + _TAG_SLACK:
        return Claim(stated.first, in_media(tag), known, True)
    return Claim(stated.first, whole if whole > 0 else None, known and whole > 0, False)


def _end(stated: Stated) -> float | None:
    """The stream's own duration is believed first, then the container's."""
    return stated.container if stated.stream is None else stated.first + stated.stream


def _clock(text: str | None) -> float | None:
    """Seconds of ``HH:MM:SS.fraction``; None for anything else."""
    try:
        hours, minutes, seconds = (text or "").split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except ValueError:
        return None
