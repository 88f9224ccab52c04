"""What a Matroska file claims: its two writers count differently, and its clock may start late."""

from __future__ import annotations

import io
import struct
from typing import Any

import pytest

from orchestrator.stages.demux.claims import Claim, Stated, claim
from orchestrator.stages.demux.matroska import Head, matroska_head

LAVF, LIBMATROSKA = "Lavf63.1", "libebml v1 + libmatroska v1"


def element(kind: str, content: bytes, *, size: bytes | None = None) -> bytes:
    length = size or (0x10000000 | len(content)).to_bytes(4, "big")
    return bytes.fromhex(kind) + length + content


def matroska(
    muxer: str = "", start: int = 0, *, scale: int = 1_000_000, between: bytes = b""
) -> bytes:
    """The beginning of a file. ``start``: of the first cluster, in units of ``scale`` ns."""
    info = element("2ad7b1", scale.to_bytes(4, "big")) + element("4d80", muxer.encode())
    cluster = element("e7", start.to_bytes(4, "big")) + element("a3", b"sound")
    unknown = b"\x01" + b"\xff" * 7
    parts = element("ec", bytes(20)) + element("1549a966", info) + between
    segment = parts + element("1f43b675", cluster, size=unknown)
    return element("1a45dfa3", b"\x42\x86\x81\x01") + element("18538067", segment, size=unknown)


def test_the_head_of_a_file() -> None:
    assert matroska_head(io.BytesIO(matroska(LAVF, 3500))) == Head(LAVF, 3.5)
    assert matroska_head(io.BytesIO(matroska("me", 35, scale=100_000_000))) == Head("me", 3.5)
    tags = element("1254c367", bytes(9))
    assert matroska_head(io.BytesIO(matroska("me", 1, between=tags))) == Head("me", 0.001)


@pytest.mark.parametrize("between", [bytes(300), b"\x01\x02\x03", b"\xa3\x81\x00", b"\x1c\x53"])
def test_damage_before_the_first_cluster_hides_where_the_clock_starts(between: bytes) -> None:
    assert matroska_head(io.BytesIO(matroska(LAVF, 3500, between=between))) == Head(LAVF, None)


def indexed(missing: int, *, cues: str = "1c53bb6b") -> io.BytesIO:
    """A file that lacks ``missing`` bytes between its head and its index."""

    def built(position: int) -> bytes:
        seek = element("53ab", bytes.fromhex("1c53bb6b")) + element(
            "53ac", struct.pack(">I", position)
        )
        void = element("ec", bytes(20))
        return matroska(LAVF, 3500, between=void + element("114d9b74", element("4dbb", seek)))

    segment = built(0).index(bytes.fromhex("18538067")) + 12
    return io.BytesIO(built(len(built(0)) - segment + missing) + element(cues, bytes(50)))


def test_an_index_that_has_moved_shows_that_a_part_is_missing() -> None:
    assert matroska_head(indexed(0)) == Head(LAVF, 3.5)
    assert matroska_head(indexed(5)) == Head(LAVF, None)
    assert matroska_head(indexed(0, cues="1254c367")) == Head(LAVF, None)
    assert matroska_head(indexed(1000)) == Head(LAVF, None)
    assert matroska_head(indexed(1000, cues="1254c367")) == Head(LAVF, 3.5)  # it was cut off


def test_what_is_no_head() -> None:
    whole = matroska(LAVF, 3500)
    for content in (b"", bytes(50), whole[4:], whole[:-30], whole[:12]):
        assert matroska_head(io.BytesIO(content)).start is None
    cluster = element("1f43b675", element("a3", b"sound"))
    no_time = element("1a45dfa3", b"") + element("18538067", cluster)
    assert matroska_head(io.BytesIO(no_time)) == Head("", None)


@pytest.mark.parametrize(
    ("muxer", "start", "known", "last", "verified", "own"),
    [
        ("", 0, {"tag": "00:00:44.5", "container": 60.0}, 44.5, True, True),
        ("", 0, {"tag": "00:01:44.5", "container": 60.0}, 60.0, True, False),
        ("", 0, {"tag": "soon", "container": 60.0}, 60.0, True, False),
        ("", 0, {"tag": "00:00:44.5"}, 44.5, True, True),
        ("", 0, {}, None, False, False),
        # The clock starts late.
        (LAVF, 3600, {"tag": "01:00:44.5", "container": 3660.0}, 44.5, True, True),
        (LAVF, 3600, {"container": 3660.0}, 60.0, True, False),
        (LAVF, 3600, {"container": 60.0}, None, False, False),
        (LIBMATROSKA, 3600, {"container": 60.0}, 60.0, True, False),
        (LIBMATROSKA, 20, {"container": 60.0}, 60.0, True, False),
        ("who knows", 20, {"container": 60.0}, 40.0, False, False),
        ("who knows", 3600, {"container": 60.0}, 60.0, False, False),
        # Statistics are of the track alone; libavformat copies those of another file.
        (LIBMATROSKA, 0, {"tag": "00:00:41", "counted": True, "container": 60.0}, 44.5, True, True),
        (LIBMATROSKA, 0, {"tag": "00:00:41", "counted": True}, 44.5, True, True),
        (LIBMATROSKA, 0, {"tag": "00:09:41", "counted": True, "container": 60.0}, 60, True, False),
        (LAVF, 0, {"tag": "00:00:44.5", "counted": True, "container": 60.0}, 44.5, True, True),
    ],
)
def test_where_the_file_says_the_track_ends(
    muxer: str, start: int, known: dict[str, Any], last: float | None, verified: bool, own: bool
) -> None:
    file = io.BytesIO(matroska(muxer, start * 1000))
    assert claim(file, stated(**known)) == Claim(3.5, last, verified, own)


def test_damage_that_makes_the_clock_look_late_is_no_late_start() -> None:
    damaged = io.BytesIO(matroska(LAVF, 3500, between=bytes(300)))
    assert claim(damaged, stated(container=60.0, clock=20.0)).last == 60.0


def test_sound_that_is_longer_than_what_is_left_of_the_file_began_earlier() -> None:
    known = {"tag": "00:00:59", "counted": True, "container": 60.0}
    file = io.BytesIO(matroska(LIBMATROSKA))
    assert claim(file, stated(**known)) == Claim(1.0, 60.0, True, True)


def stated(**known: Any) -> Stated:
    nothing: dict[str, Any] = {"stream": None, "tag": None, "container": None}
    return Stated(frozenset({"matroska", "webm"}), **{"track": 0, "first": 3.5, **nothing, **known})
