"""Damaged copies of a media file, the same ones for the same number."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Literal, NamedTuple

_HEAD = 4096
_EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)


class Mutant(NamedTuple):
    """``kind``: the name of what was done to it."""

    kind: str
    data: bytes


Mutator = Callable[[bytes, random.Random], bytes]


def cut(data: bytes, dice: random.Random) -> bytes:
    """The download broke off."""
    return data[: int(len(data) * dice.uniform(0.05, 0.97))]


def hole(data: bytes, dice: random.Random) -> bytes:
    """Blocks that were never fetched: zeros."""
    start, end = _part(data, dice)
    return data[:start] + bytes(end - start) + data[end:]


def junk(data: bytes, dice: random.Random) -> bytes:
    """A bad sector."""
    start, end = _part(data, dice)
    return data[:start] + dice.randbytes(end - start) + data[end:]


def gone(data: bytes, dice: random.Random) -> bytes:
    """Bytes that a broken copy left out."""
    start, end = _part(data, dice)
    return data[:start] + data[end:]


def _part(data: bytes, dice: random.Random) -> tuple[int, int]:
    size = int(len(data) * dice.uniform(0.03, 0.4))
    start = dice.randrange(min(_HEAD, len(data) // 10), len(data) - size)
    return start, start + size


def doubled(data: bytes, dice: random.Random) -> bytes:
    start, end = _part(data, dice)
    return data[:end] + data[start:]


def swapped(data: bytes, dice: random.Random) -> bytes:
    a, b, c = sorted(dice.randrange(len(data)) for _ in range(3))
    return data[:a] + data[b:c] + data[a:b] + data[c:]


def flips(data: bytes, dice: random.Random) -> bytes:
    """Single bits, anywhere."""
    return _flipped(data, dice, len(data), dice.choice((1, 4, 16, 64, 256)))


def head_flips(data: bytes, dice: random.Random) -> bytes:
    """Single bits, where formats have their headers."""
    return _flipped(data, dice, min(_HEAD, len(data)), dice.choice((1, 2, 4, 16)))


def tail_flips(data: bytes, dice: random.Random) -> bytes:
    """Single bits at the end, where some formats have their index."""
    return _flipped(data[::-1], dice, min(_HEAD, len(data)), dice.choice((1, 2, 4, 16)))[::-1]


def _flipped(data: bytes, dice: random.Random, within: int, count: int) -> bytes:
    changed = bytearray(data)
    for _ in range(count):
        changed[dice.randrange(within)] ^= 1 << dice.randrange(8)
    return bytes(changed)


def extremes(data: bytes, dice: random.Random) -> bytes:
    """The largest and smallest numbers, where formats have sizes, counts and lengths."""
    changed = bytearray(data)
    for _ in range(dice.choice((1, 1, 2, 4))):
        size = dice.choice((1, 2, 4, 8))
        within = min(_HEAD, len(data))
        start = dice.randrange(within) + dice.choice((0, 0, len(data) - within))
        number = dice.choice(_EXTREMES) & ((1 << 8 * size) - 1)
        endian: Literal["big", "little"] = dice.choice(("big", "little"))
        changed[start : start + size] = number.to_bytes(size, endian)
    return bytes(changed)


def no_head(data: bytes, dice: random.Random) -> bytes:
    return data[dice.randrange(1, _HEAD) :]


def zero_head(data: bytes, dice: random.Random) -> bytes:
    size = dice.randrange(1, _HEAD)
    return bytes(size) + data[size:]


def inserted(data: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(len(data))
    return data[:at] + dice.randbytes(dice.randrange(1, 5000)) + data[at:]


def snippet(data: bytes, dice: random.Random) -> bytes:
    return data[: dice.randrange(1, 2000)]


LOSSES: tuple[Mutator, ...] = (cut, hole, junk, gone)
"""Damage that takes sound away, as disks and downloads do it."""
ALL: tuple[Mutator, ...] = (
    *(*LOSSES, doubled, swapped, flips, head_flips, tail_flips, extremes),
    *(no_head, zero_head, inserted, snippet),
)


_KNOWN_CUTS = (0.25, 0.5, 0.75, 0.94)
_KNOWN_HOLES = (0.2, 0.5, 0.8)
_HOLE = 0.1
_PIECE = 4096
KNOWN_LOSSES = len(_KNOWN_CUTS) + 4 * len(_KNOWN_HOLES)


def known_loss(data: bytes, number: int) -> Mutant:
    """The loss of that number, 0 to :data:`KNOWN_LOSSES`: the same places in every file."""
    if number < len(_KNOWN_CUTS):
        return Mutant("known cut", data[: int(len(data) * _KNOWN_CUTS[number])])
    place, kind = divmod(number - len(_KNOWN_CUTS), 4)
    start = int(len(data) * _KNOWN_HOLES[place])
    end = start + int(len(data) * _HOLE)
    if kind == 3:
        return Mutant("known pieces", _without_pieces(data, start, end))
    filling = (bytes(end - start), random.Random(number).randbytes(end - start), b"")[kind]
    return Mutant(
        ("known hole", "known junk", "known gone")[kind], data[:start] + filling + data[end:]
    )


def _without_pieces(data: bytes, start: int, end: int) -> bytes:
    """The pieces around these places were never fetched, as of a torrent: zeros."""
    start, end = start // _PIECE * _PIECE, -(-end // _PIECE) * _PIECE
    return data[:start] + bytes(min(end, len(data)) - start) + data[end:]


_CLUSTER = b"\x1f\x43\xb6\x75"


def without_first_cluster(data: bytes) -> bytes:
    """A Matroska file that lacks the first stretch of its sound and its pictures."""
    first = data.index(_CLUSTER)
    return data[:first] + data[data.index(_CLUSTER, first + 4) :]


def mutant(data: bytes, number: int, mutators: tuple[Mutator, ...] = ALL) -> Mutant:
    """The mutant of that number; every fourth of ``ALL`` is damaged a second time."""
    dice = random.Random(number)
    mutator = dice.choice(mutators)
    kind, changed = mutator.__name__, mutator(data, dice)
    if mutators is ALL and number % 4 == 0 and len(changed) > 4 * _HEAD:
        again = dice.choice(mutators)
        kind, changed = f"{kind} + {again.__name__}", again(changed, dice)
    return Mutant(kind, changed)
