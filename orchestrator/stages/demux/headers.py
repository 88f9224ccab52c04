"""What the header of a file says about the length of its audio, where FFmpeg would estimate it.

Cut the end off an AVI, FLV or MP3 file, and FFmpeg reports the length of what is left. The header
still has the number that the writer put there.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

_HEAD = 1 << 16
"""Bytes in which the headers read here lie; only cover art is larger, and it is skipped."""


class Chunk(NamedTuple):
    """``size`` is the one stated; the bytes there may be fewer."""

    kind: bytes
    start: int
    size: int


def avi_seconds(file: BinaryIO, track: int) -> float | None:
    """Length of the ``track``-th audio track of an AVI file (``strh``: length x scale / rate)."""
    head = _read(file, 0, _HEAD)
    found = [
        head[chunk.start : chunk.start + chunk.size]
        for chunk in _riff(head, 12, len(head))
        if chunk.kind == b"strh" and head[chunk.start : chunk.start + 4] == b"auds"
    ]
    if track >= len(found) or len(found[track]) < 36:
        return None
    scale, rate, _, length = struct.unpack_from("<4I", found[track], 20)
    return length * scale / rate if rate and length else None


def _riff(data: bytes, start: int, end: int) -> Iterator[Chunk]:
    """All chunks from ``start`` on; those of header lists in their place."""
    while start + 8 <= end:
        kind, size = struct.unpack_from("<4sI", data, start)
        yield Chunk(kind, start + 8, size)
        header_list = kind == b"LIST" and data[start + 8 : start + 12] in (b"hdrl", b"strl")
        start += 12 if header_list else 8 + size + size % 2


_MPEG1, _LAYER3 = 3, 1
_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}


def mp3_seconds(file: BinaryIO) -> float | None:
    """Length of an MP3 file with a Xing, Info or VBRI header (its number of frames)."""
    at = _behind_id3(file)
    head = _read(file, at, 4096)
    sync = next((n for n in range(len(head) - 4) if _frame_rate(head[n : n + 4])), None)
    if sync is None:
        return None
    rate = _frame_rate(head[sync : sync + 4])
    samples = 1152 if head[sync + 1] >> 3 & 3 == _MPEG1 else 576
    for name, flags_at, frames_at in ((b"Xing", 4, 8), (b"Info", 4, 8), (b"VBRI", None, 14)):
        tag = head.find(name, sync, sync + 200)
        if tag < 0 or tag + frames_at + 4 > len(head):
            continue
        if flags_at is not None and not head[tag + flags_at + 3] & 1:
            return None
        (frames,) = struct.unpack_from(">I", head, tag + frames_at)
        return float(frames * samples / rate) if frames else None
    return None


def _frame_rate(header: bytes) -> int:
    """Sampling rate of the Layer III frame that begins here; 0: none does."""
    if header[0] != 0xFF or header[1] & 0xE0 != 0xE0 or header[1] >> 1 & 3 != _LAYER3:
        return 0
    rates, index = _RATES.get(header[1] >> 3 & 3, ()), header[2] >> 2 & 3
    return rates[index] if index < len(rates) and header[2] >> 4 != 15 else 0


def flac_seconds(file: BinaryIO) -> float | None:
    """Length of a FLAC file (``STREAMINFO``: number of samples, 36 bits, / rate, 20 bits)."""
    head = _read(file, _behind_id3(file), 26)
    if head[:4] != b"fLaC" or len(head) < 26:
        return None
    packed = int.from_bytes(head[18:26], "big")
    rate, samples = packed >> 44, packed & ((1 << 36) - 1)
    return samples / rate if rate and samples else None


def _behind_id3(file: BinaryIO) -> int:
    """Where the content begins that follows an ID3v2 tag (its size has 7 bits to the byte)."""
    head = _read(file, 0, 10)
    if head[:3] != b"ID3" or len(head) < 10:
        return 0
    size = 0
    for byte in head[6:10]:
        size = size << 7 | byte & 0x7F
    return 10 + size


def flv_seconds(file: BinaryIO) -> float | None:
    """Length of an FLV file (``onMetaData``: the number ``duration``); live recordings have 0."""
    head = _read(file, 0, _HEAD)
    at = head.find(b"\x00\x08duration\x00")
    if at < 0 or at + 19 > len(head):
        return None
    (seconds,) = struct.unpack_from(">d", head, at + 11)
    return float(seconds) if 0 < seconds < 1e9 else None


_ASF_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_ASF_BROADCAST = 1
_ASF_DATA = bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c")
_ASF_PACKET = 0x82


def asf_seconds(file: BinaryIO) -> float | None:
    """Length of an ASF (WMA, WMV) file (``File Properties``: play duration less preroll)."""
    head = _read(file, 0, _HEAD)
    at = head.find(_ASF_FILE_PROPERTIES)
    if at < 0 or at + 92 > len(head):
        return None
    ticks, _, preroll, flags = struct.unpack_from("<QQQI", head, at + 64)
    seconds = ticks / 1e7 - preroll / 1e3
    return seconds if seconds > 0 and not flags & _ASF_BROADCAST else None


def asf_begins_whole(file: BinaryIO) -> bool:
    """Whether a packet of an ASF file lies where its first one should."""
    head = _read(file, 0, _HEAD)
    at = head.find(_ASF_DATA)
    return at >= 0 and head[at + 50 : at + 51] == bytes([_ASF_PACKET])


_EOS = 4
_OGG_PAGE = 27 + 255 + 255 * 255


def ogg_samples(file: BinaryIO) -> int | None:
    """Samples of an Ogg file with one track, where its last page says that it is the last."""
    tail = _read(file, max(0, file.seek(0, 2) - _OGG_PAGE), _OGG_PAGE)
    page = tail.rfind(b"OggS\x00")
    if page < 0 or page + 14 > len(tail) or not tail[page + 5] & _EOS:
        return None
    (samples,) = struct.unpack_from("<q", tail, page + 6)
    return samples if samples > 0 else None


class Boxes(NamedTuple):
    """``fragmented``: the samples are listed in fragments all over the file, not in one index.

    ``seconds``: the length that a segment index (``sidx``) states of all fragments of the file.
    """

    fragmented: bool
    seconds: float | None


def mp4_boxes(file: BinaryIO) -> Boxes:
    """How an MP4 or MOV file is indexed."""
    at, seconds, size_of_file = 0, None, file.seek(0, 2)
    for _ in range(64):
        head = _read(file, at, 16)
        if len(head) < 8:
            break
        size, kind = struct.unpack_from(">I4s", head)
        if size == 1 and len(head) == 16:
            (size,) = struct.unpack_from(">Q", head, 8)
        if kind == b"moof":
            return Boxes(True, seconds)
        if kind == b"sidx" and seconds is None:
            index = _segment_index(_read(file, at + 8, min(size, 1 << 20)))
            # Segments that were joined have an index each, and so another one follows here.
            if index is not None and _read(file, at + size + index.size + 4, 4) in _BEHIND_ALL:
                seconds = index.seconds
        if size < 8 or at + size > size_of_file:
            break
        at += size
    return Boxes(False, None)


_BEHIND_ALL = (b"", b"mfra")


class _SegmentIndex(NamedTuple):
    """``size``: bytes from the end of the index to that of the last segment in it."""

    seconds: float
    size: int


def _segment_index(box: bytes) -> _SegmentIndex | None:
    try:
        scale, form = struct.unpack_from(">I", box, 8)[0], ">I" if box[0] == 0 else ">Q"
        at = 12 + struct.calcsize(form)
        (size,) = struct.unpack_from(form, box, at)
        at += struct.calcsize(form)
        (count,) = struct.unpack_from(">H", box, at + 2)
        parts = [struct.unpack_from(">II", box, at + 4 + 12 * n) for n in range(count)]
    except (struct.error, IndexError):
        return None
    ticks = sum(duration for _, duration in parts)
    size += sum(length & 0x7FFFFFFF for length, _ in parts)
    return _SegmentIndex(ticks / scale, size) if scale and ticks else None


def _read(file: BinaryIO, start: int, size: int) -> bytes:
    file.seek(start)
    return file.read(size)
