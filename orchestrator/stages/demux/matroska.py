"""What the head of a Matroska or WebM file says: who wrote it, and what its clock starts with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

_EBML, _SEGMENT, _INFO, _CLUSTER = 0x1A45DFA3, 0x18538067, 0x1549A966, 0x1F43B675
_SEEK_HEAD, _CUES = 0x114D9B74, 0x1C53BB6B
_SCALE, _MUXER, _TIMESTAMP = 0x2AD7B1, 0x4D80, 0xE7
_SEEK_ID, _SEEK_POSITION = 0x53AB, 0x53AC
_BEFORE_CLUSTERS = frozenset(
    {
        *(_SEEK_HEAD, 0x1654AE6B, 0x1254C367),  # Tracks, Tags
        *(0x1941A469, 0x1043A770, _CUES),  # Attachments, Chapters
        *(0xEC, 0xBF),  # Void, CRC-32
    }
)
_MOST_ELEMENTS = 100
_DEFAULT_SCALE = 1_000_000
_TAIL = 1 << 20
"""Bytes from the end in which an index is looked for; that of a long film has some 100 kB."""


class Head(NamedTuple):
    """``muxer``: the library that wrote the file (``MuxingApp``); empty: it does not say.

    ``start``: seconds on the file's clock at its first cluster; None where the elements before it
    do not join on to each other, as after damage, or the index is not where it is said to be, as
    when a part is missing.
    """

    muxer: str
    start: float | None


class _Element(NamedTuple):
    """``size`` is None where the writer did not know it."""

    kind: int
    start: int
    size: int | None


def matroska_head(file: BinaryIO) -> Head:
    """Read the elements up to the first cluster, whatever comes after."""
    muxer, scale = "", _DEFAULT_SCALE
    top = list(_elements(file, 0, 2))
    if [one.kind for one in top] != [_EBML, _SEGMENT]:
        return Head(muxer, None)
    cues_at = None
    for element in _elements(file, top[1].start, _MOST_ELEMENTS):
        if element.kind == _SEEK_HEAD:
            cues_at = _position_of(file, element, _CUES)
        elif element.kind == _INFO:
            for child in _elements(file, element.start, _MOST_ELEMENTS, element.size):
                if child.kind == _MUXER:
                    muxer = _content(file, child).decode("utf-8", "replace")
                elif child.kind == _SCALE:
                    scale = int.from_bytes(_content(file, child), "big")
        elif element.kind == _CLUSTER:
            torn = cues_at is not None and _has_moved(
                file, _CUES, top[1].start + cues_at, behind=element.start
            )
            return Head(muxer, None if torn else _cluster_start(file, element, scale))
        elif element.kind not in _BEFORE_CLUSTERS:
            break
    return Head(muxer, None)


def _position_of(file: BinaryIO, seek_head: _Element, kind: int) -> int | None:
    """Where a ``SeekHead`` says that the first element of a kind is, from the segment's start."""
    for seek in _elements(file, seek_head.start, _MOST_ELEMENTS, seek_head.size):
        said = {
            child.kind: int.from_bytes(_content(file, child), "big")
            for child in _elements(file, seek.start, _MOST_ELEMENTS, seek.size)
        }
        if said.get(_SEEK_ID) == kind:
            return said.get(_SEEK_POSITION)
    return None


def _has_moved(file: BinaryIO, kind: int, at: int, *, behind: int) -> bool:
    """Whether that element is not there, and was not cut off with the end of the file either."""
    name, end = kind.to_bytes(4, "big"), file.seek(0, 2)
    if at + len(name) <= end:
        file.seek(at)
        return file.read(len(name)) != name
    file.seek(max(behind, end - _TAIL))
    return name in file.read(_TAIL)


def _cluster_start(file: BinaryIO, cluster: _Element, scale: int) -> float | None:
    for child in _elements(file, cluster.start, 3):
        if child.kind == _TIMESTAMP:
            return int.from_bytes(_content(file, child), "big") * scale / 1e9
    return None


def _elements(file: BinaryIO, at: int, most: int, size: int | None = None) -> Iterator[_Element]:
    """Elements that follow each other from ``at`` on; one without a size is the last."""
    end = None if size is None else at + size
    for _ in range(most):
        file.seek(at)
        head = file.read(12)
        kind_bytes = 9 - head[0].bit_length() if head else 9
        if kind_bytes > 4 or kind_bytes >= len(head) or (end is not None and at >= end):
            return
        size_bytes = 9 - head[kind_bytes].bit_length()
        raw = head[kind_bytes : kind_bytes + size_bytes]
        if size_bytes > 8 or len(raw) < size_bytes:
            return
        length = int.from_bytes(raw, "big") & ((1 << 7 * size_bytes) - 1)
        known = length != (1 << 7 * size_bytes) - 1
        start = at + kind_bytes + size_bytes
        kind = int.from_bytes(head[:kind_bytes], "big")
        yield _Element(kind, start, length if known else None)
        if not known:
            return
        at = start + length


def _content(file: BinaryIO, element: _Element) -> bytes:
    file.seek(element.start)
    return file.read(min(element.size or 0, 255))
