"""What the packets of each stream come to: their number, their content and their times.

Containers frame the same content in different ways: H.264 and HEVC come with start codes in a
transport stream and with lengths in MP4 and Matroska, AAC with a header or without. Where two
containers differ in that, the units inside are compared instead of the packets.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

START_CODES = "start codes"
LENGTHS = "lengths"
ADTS = "adts"
PLAIN = "plain"

_START_CODE = re.compile(rb"\x00\x00\x01")
_UNITS = frozenset({"h264", "hevc"})
_NO_TEXT = b"\0\0"
"""Begins the packets by which MP4 fills the time between two subtitles."""
_REPORT_BYTES = 4 << 20


class Tally:
    """What the packets of one stream came to so far. Times are seconds on the container's clock.

    It is called for every packet of a film, of which there are a million: times are counted in
    units of the stream until somebody asks.
    """

    def __init__(self, unit: float = 0.001, *, spans: bool = False) -> None:
        """``unit`` is the stream's, in seconds; ``spans`` are kept of subtitles only."""
        self.count = 0
        self._unit = unit
        self._first: int | None = None
        self._last: int | None = None
        self._end = 0
        self._spans: list[tuple[int, int]] | None = [] if spans else None
        self._hash = hashlib.sha256()
        self.update = self._hash.update

    def add(self, pts: int | None, duration: int | None) -> None:
        """Count a packet, shown at ``pts`` for ``duration``, both in units of the stream."""
        self.count += 1
        if pts is None:
            return
        if self._first is None or self._last is None:
            self._first = self._last = pts
        elif pts < self._first:
            self._first = pts
        elif pts > self._last:
            self._last = pts
        end = pts + (duration or 0)
        self._end = max(self._end, end)
        if self._spans is not None:
            self._spans.append((pts, end))

    @property
    def first(self) -> float | None:
        """When the earliest packet is shown."""
        return None if self._first is None else self._first * self._unit

    @property
    def last(self) -> float | None:
        """When the latest packet is shown."""
        return None if self._last is None else self._last * self._unit

    @property
    def end(self) -> float:
        """When everything has been shown."""
        return self._end * self._unit

    @property
    def spans(self) -> list[tuple[float, float]]:
        """Start and end of every packet."""
        return [(start * self._unit, end * self._unit) for start, end in self._spans or ()]

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()


def framing(stream: Any) -> str:
    """How the content of a stream is framed in its container."""
    codec = _codec(stream)
    if codec in _UNITS:
        extradata = stream.codec_context.extradata or b""
        return LENGTHS if extradata[:1] == b"\x01" else START_CODES
    if codec == "aac" and not stream.codec_context.extradata:
        return ADTS
    return PLAIN


def tally(
    container: Any,
    unframed: Collection[int],
    progress: Callable[[int], None],
) -> Mapping[int, Tally]:
    """Read all packets; of the streams ``unframed`` the units inside are taken.

    ``progress`` is called with the bytes read so far, and may raise.

    Raises:
        av.FFmpegError: a packet cannot be read.
    """
    streams = container.streams
    tallies = {
        one.index: Tally(float(one.time_base), spans=one.type == "subtitle") for one in streams
    }
    unwrap = {index: _unwrapping(streams[index]) for index in unframed}
    texts = {one.index for one in streams if _codec(one) == "mov_text"}
    read = reported = 0
    for packet in container.demux():
        size, index = packet.size, packet.stream_index
        if size == 0 or (index in texts and bytes(packet)[:2] == _NO_TEXT):
            continue
        one = tallies[index]
        if index in unwrap:
            for part in unwrap[index](bytes(packet)):
                one.update(part)
        else:
            one.update(packet)
        one.add(packet.pts, packet.duration)
        read += size
        if read - reported >= _REPORT_BYTES:
            progress(read)
            reported = read
    return tallies


def _codec(stream: Any) -> str:
    codec = stream.codec_context
    return "" if codec is None else str(codec.codec.canonical_name)


def _unwrapping(stream: Any) -> Callable[[bytes], Iterator[bytes]]:
    form = framing(stream)
    if form == START_CODES:
        return _between_start_codes
    if form == ADTS:
        return _without_adts
    if form == LENGTHS:
        place = 4 if _codec(stream) == "h264" else 21
        size = (stream.codec_context.extradata[place] & 3) + 1
        return lambda content: _by_length(content, size)
    return lambda content: iter((content,))


def _between_start_codes(content: bytes) -> Iterator[bytes]:
    for unit in _START_CODE.split(content)[1:]:
        yield unit.rstrip(b"\0")


def _by_length(content: bytes, size: int) -> Iterator[bytes]:
    place = 0
    while place + size <= len(content):
        length = int.from_bytes(content[place : place + size], "big")
        place += size
        yield content[place : place + length].rstrip(b"\0")
        place += length


def _without_adts(content: bytes) -> Iterator[bytes]:
    if content[:1] == b"\xff" and len(content) > 7:
        yield content[7 if content[1] & 1 else 9 :]
    else:
        yield content
