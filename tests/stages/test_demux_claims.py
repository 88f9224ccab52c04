"""How long a file says its sound is: by its own headers, where FFmpeg's numbers are estimates."""

from __future__ import annotations

import io
import struct
from dataclasses import replace
from typing import Any

import pytest

from orchestrator.stages.demux import headers
from orchestrator.stages.demux.claims import Claim, Stated, claim


def stated(*formats: str, **known: Any) -> Stated:
    nothing: dict[str, Any] = {"stream": None, "tag": None, "container": None}
    return Stated(frozenset(formats), **{"track": 0, "first": 0.0, **nothing, **known})


def test_the_own_length_of_a_track_comes_first() -> None:
    found = claim(io.BytesIO(), stated("rm", first=3.5, stream=10.0, container=60.0))
    assert found == Claim(3.5, 13.5, True, True)
    assert claim(io.BytesIO(), stated("wtv", container=60.0)) == Claim(0.0, 60.0, True, False)


def test_what_is_estimated_is_not_relied_on() -> None:
    guess = {"stream": 10.0, "container": 10.0}
    assert claim(io.BytesIO(), stated("aac", **guess)) == Claim(0.0, None, False, True)
    assert claim(io.BytesIO(), stated("mpegts", **guess)) == Claim(0.0, 10.0, False, True)
    assert claim(io.BytesIO(), stated("mp3", **guess)) == Claim(0.0, None, False, True)
    assert claim(io.BytesIO(), stated("avi", **guess)) == Claim(0.0, None, False, True)
    assert claim(io.BytesIO(), stated("nut", **guess)) == Claim(0.0, None, False, True)


def test_a_header_that_claims_weeks_is_not_believed() -> None:
    assert claim(io.BytesIO(), stated("mov", stream=4_294_967.0)).last is None
    assert not claim(io.BytesIO(), stated("mov", stream=4_294_967.0)).verified


def test_the_headers_own_number_is_taken() -> None:
    guess = {"stream": 4.0, "container": 4.0}
    file = io.BytesIO(avi(("vids", 1, 25, 500), ("auds", 32, 1225, 1150)))
    assert claim(file, stated("avi", **guess)).last == pytest.approx(30.04, abs=0.01)
    assert claim(io.BytesIO(flv(12.5)), stated("flv", **guess)) == Claim(0.0, 12.5, True, False)


def test_an_ogg_file_that_says_it_is_whole() -> None:
    page = b"junk" + b"OggS\0" + bytes([4]) + struct.pack("<q", 96_000) + bytes(20)
    opus = stated("ogg", stream=1.0, rate=48_000)
    assert claim(io.BytesIO(page), opus) == Claim(0.0, 2.0, True, True)
    assert claim(io.BytesIO(page), replace(opus, clock=7.0)) == Claim(0.0, None, False, True)
    assert claim(io.BytesIO(page), replace(opus, rate=0)) == Claim(0.0, 1.0, False, True)
    open_end = page.replace(bytes([4]), bytes([0]), 1)
    assert headers.ogg_samples(io.BytesIO(open_end)) is None
    assert headers.ogg_samples(io.BytesIO(b"OggS")) is None


def test_an_mp4_file_in_fragments_states_its_length_in_a_segment_index() -> None:
    index = struct.pack(">IIIIIHH", 0, 1, 1000, 0, 0, 0, 2) + 2 * struct.pack(">III", 9, 4000, 0)
    moof = box(b"moof", b"")
    with_index = io.BytesIO(box(b"ftyp", b"isom") + box(b"sidx", index) + moof)
    guess = {"stream": 3.0, "container": 3.0}
    assert claim(with_index, stated("mov", **guess)) == Claim(0.0, 8.0, True, False)
    assert claim(io.BytesIO(moof), stated("mov", **guess)) == Claim(0.0, 3.0, False, True)
    whole = with_index.getvalue() + bytes(10)
    assert headers.mp4_boxes(io.BytesIO(whole + box(b"mfra", b""))) == (True, 8.0)
    assert headers.mp4_boxes(io.BytesIO(whole + box(b"sidx", index))) == (True, None)
    torn = io.BytesIO(box(b"sidx", b"\0\0\0\0\0") + moof)
    assert headers.mp4_boxes(torn) == (True, None)
    large = struct.pack(">I4sQ", 1, b"free", 24) + bytes(8)
    assert headers.mp4_boxes(io.BytesIO(large + moof)) == (True, None)
    for plain in (box(b"moov", b""), b"", struct.pack(">I4s", 99, b"mdat")):
        assert headers.mp4_boxes(io.BytesIO(plain)) == (False, None)
    assert claim(io.BytesIO(), stated("mov", **guess)) == Claim(0.0, 3.0, True, True, indexed=True)


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", len(content) + 8, kind) + content


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack("<4sI", kind, len(content)) + content


def avi(*tracks: tuple[str, int, int, int]) -> bytes:
    lists = b"".join(
        chunk(b"LIST", b"strl" + chunk(b"strh", kind.encode() + bytes(16) + numbers))
        for kind, scale, rate, length in tracks
        for numbers in [struct.pack("<4I", scale, rate, 0, length) + bytes(20)]
    )
    return chunk(b"RIFF", b"AVI " + chunk(b"LIST", b"hdrl" + chunk(b"avih", b"xyz\0") + lists))


def flv(seconds: float) -> bytes:
    return b"FLV\1" + b"\x00\x08duration\x00" + struct.pack(">d", seconds)


def test_headers_that_state_nothing() -> None:
    nothing = io.BytesIO(bytes(2000))
    for read in headers.mp3_seconds, headers.flac_seconds, headers.flv_seconds:
        assert read(nothing) is None
        assert read(io.BytesIO()) is None
    assert headers.asf_seconds(nothing) is None
    assert headers.avi_seconds(io.BytesIO(avi(("auds", 1, 0, 5))), 0) is None
    assert headers.avi_seconds(io.BytesIO(avi(("auds", 1, 1, 5))), 1) is None
    assert headers.flv_seconds(io.BytesIO(flv(0.0))) is None


def test_the_length_of_a_windows_media_file() -> None:
    def properties(flags: int) -> io.BytesIO:
        guid = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
        return io.BytesIO(guid + bytes(48) + struct.pack("<QQQI", 131_000_000, 0, 3100, flags))

    assert headers.asf_seconds(properties(2)) == pytest.approx(10.0)
    assert headers.asf_seconds(properties(1)) is None
    assert claim(properties(2), stated("asf")) == Claim(0.0, 10.0, True, False)
    data = bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c") + bytes(34)
    for first, last, verified in ((b"\x82", 7.5, False), (b"\0", 10.0, True), (b"", 10.0, True)):
        file = io.BytesIO(properties(2).getvalue() + data + first)
        found = claim(file, stated("asf", clock=2.5))
        assert found._replace(last=None) == Claim(0.0, None, verified, False)
        assert found.last == pytest.approx(last)


def test_the_length_of_an_mp3_file() -> None:
    frame = b"\xff\xfb\x90\x64" + bytes(32)
    tag = b"ID3\4\0\0\0\0\0\5hello"
    counted = frame + b"Xing" + struct.pack(">II", 1, 1000)
    seconds = 1000 * 1152 / 44_100
    assert headers.mp3_seconds(io.BytesIO(tag + counted)) == pytest.approx(seconds)
    old = frame + b"VBRI" + bytes(10) + struct.pack(">I", 1000)
    assert headers.mp3_seconds(io.BytesIO(old)) == pytest.approx(seconds)
    half = b"\xff\xf3\x90\x64" + bytes(17) + b"Info" + struct.pack(">II", 1, 1000)
    assert headers.mp3_seconds(io.BytesIO(half)) == pytest.approx(1000 * 576 / 22_050)
    uncounted = frame + b"Xing" + struct.pack(">II", 2, 1000)
    assert headers.mp3_seconds(io.BytesIO(uncounted)) is None
    assert headers.mp3_seconds(io.BytesIO(frame + bytes(400))) is None


def test_the_length_of_a_flac_file() -> None:
    def info(samples: int) -> io.BytesIO:
        packed = (48_000 << 44 | samples).to_bytes(8, "big")
        return io.BytesIO(b"fLaC\0\0\0\x22" + bytes(10) + packed)

    assert headers.flac_seconds(info(96_000)) == 2.0
    assert headers.flac_seconds(info(0)) is None
