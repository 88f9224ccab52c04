"""What files of plain samples say about their length: WAV, W64, AIFF, AU and CAF.

All of them state how many bytes of sound they hold. A program that writes into a pipe cannot know
that, and leaves a number that is none.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

_MOST_CHUNKS = 256
_PLACEHOLDERS = (range(0x7F00_0000, 0x8000_0001), range(0xFFFF_0000, 0x1_0000_0000))
"""Sizes that stand for an unknown one: SoX writes 0x7F000000 (AIFF) and 0x7FFFF000 (WAV), arecord
2 GiB, FFmpeg and players 0xFFFFFFFF, some of them less a header. Of a file that really ends there
the end is not verified."""
_BY_BYTES = frozenset({1, 3, 6, 7, 0xFFFE})
"""Formats of WAV of which each second has the same number of bytes: PCM, float, A-law, mu-law."""
_DISAGREE = 0.02


class _Chunk(NamedTuple):
    """``size`` is the one stated; the bytes there may be fewer."""

    kind: bytes
    start: int
    size: int


def wav_seconds(file: BinaryIO) -> float | None:
    """Length of a WAV file: size of ``data`` (in RF64 that of ``ds64``) / bytes per second.

    A compressed one has its number of samples as well (``fact``). Writers get one or the other
    wrong, so where they differ neither is believed.
    """
    form: tuple[Any, ...] = ()
    long_size = samples = 0
    for chunk in _chunks(file, 12, "<4sI", 2):
        if chunk.kind == b"fmt ":
            form = _unpack(file, chunk.start, "<HHIIHH")
        elif chunk.kind == b"ds64":
            (long_size,) = _unpack(file, chunk.start + 8, "<Q") or (0,)
        elif chunk.kind == b"fact":
            (samples,) = _unpack(file, chunk.start, "<I") or (0,)
        elif chunk.kind == b"data" and form:
            if not long_size and _is_placeholder(chunk.size):
                return None
            size = long_size or chunk.size
            tag, _, rate, per_second, *_ = form
            by_bytes = size / per_second if per_second else None
            by_samples = samples / rate if samples and rate and tag not in _BY_BYTES else None
            return _agreed(by_bytes, by_samples)
    return None


def _agreed(one: float | None, other: float | None) -> float | None:
    if one is None or other is None:
        return one if other is None else other
    return min(one, other) if abs(one - other) <= _DISAGREE * max(one, other) else None


_W64_FORMAT, _W64_DATA = (
    kind + bytes.fromhex("f3acd3118cd100c04f8edb8a") for kind in (b"fmt ", b"data")
)
_W64_HEAD = 24
_NO_SIZE = 1 << 62


def w64_seconds(file: BinaryIO) -> float | None:
    """Length of a Sony Wave64 file; its chunks have long names and count their own heads."""
    per_second = 0
    for chunk in _chunks(file, 40, "<16sQ", 8, head=_W64_HEAD):
        if chunk.kind == _W64_FORMAT:
            (per_second,) = _unpack(file, chunk.start + 8, "<I") or (0,)
        elif chunk.kind == _W64_DATA:
            size = chunk.size
            return size / per_second if per_second and 0 < size < _NO_SIZE else None
    return None


def aiff_states_size(file: BinaryIO) -> bool:
    """Whether the header of an AIFF file has the size of the sound (``SSND``)."""
    found = (one for one in _chunks(file, 12, ">4sI", 2) if one.kind == b"SSND")
    return any(not _is_placeholder(one.size) for one in found)


_CAF_EDIT_COUNT = 4


def caf_seconds(file: BinaryIO) -> float | None:
    """Length of a CAF file: of its packets' bytes, or where these differ the number of its frames.

    ``data`` is preceded by a number of 4 bytes, and of size -1 where that is not known.
    """
    rate, per_packet, frames_per_packet, frames = 0.0, 0, 0, 0
    for chunk in _chunks(file, 8, ">4sq", 1):
        if chunk.kind == b"desc":
            form = _unpack(file, chunk.start, ">d8x2I") or (0.0, 0, 0)
            rate, per_packet, frames_per_packet = form
        elif chunk.kind == b"data" and per_packet:
            frames = max(0, chunk.size - _CAF_EDIT_COUNT) // per_packet * frames_per_packet
        elif chunk.kind == b"pakt" and not per_packet:
            (frames,) = _unpack(file, chunk.start + 8, ">q") or (0,)
    return frames / rate if frames > 0 and rate > 0 else None


def au_states_size(file: BinaryIO) -> bool:
    """Whether the header of an AU file has the size of the sound; FFmpeg estimates it if not."""
    (size,) = _unpack(file, 8, ">I") or (0,)
    return not _is_placeholder(size)


def _is_placeholder(size: int) -> bool:
    return size == 0 or any(size in sizes for sizes in _PLACEHOLDERS)


def _chunks(file: BinaryIO, at: int, form: str, align: int, *, head: int = 0) -> Iterator[_Chunk]:
    """Chunks that follow each other from ``at`` on.

    Args:
        form: of the name and the size of a chunk.
        align: bytes that a chunk begins at a multiple of.
        head: bytes of itself that the size of a chunk counts.
    """
    for _ in range(_MOST_CHUNKS):
        named = _unpack(file, at, form)
        if not named:
            return
        kind, size = named
        start = at + struct.calcsize(form)
        yield _Chunk(kind, start, size - head)
        if size < head:
            return
        end = start + size - head
        at = end + -end % align


def _unpack(file: BinaryIO, at: int, form: str) -> tuple[Any, ...]:
    """What is there; nothing where the file is shorter."""
    file.seek(at)
    data = file.read(struct.calcsize(form))
    return struct.unpack(form, data) if len(data) == struct.calcsize(form) else ()
