"""Plain samples: how many a file says it has, and which of its zeros are a hole."""

from __future__ import annotations

import io
import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import pytest

from orchestrator.stages.demux import waves
from orchestrator.stages.demux.blanks import Blanks
from orchestrator.stages.demux.claims import Claim, Stated, claim

PCM, ADPCM = 1, 2
SOX, ARECORD, FFMPEG, UNTOLD = 0x7FFFF000, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFF - 36


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack("<4sI", kind, len(content)) + content


def wav(
    size: int,
    *,
    tag: int = PCM,
    per_second: int = 96_000,
    long_size: int | None = None,
    samples: int | None = None,
    before: bytes = b"",
) -> io.BytesIO:
    parts = b"WAVE" + before
    if long_size is not None:
        parts += chunk(b"ds64", struct.pack("<QQ", 0, long_size))
    parts += chunk(b"fmt ", struct.pack("<HHIIHH", tag, 1, 48_000, per_second, 2, 16))
    if samples is not None:
        parts += chunk(b"fact", struct.pack("<I", samples))
    return io.BytesIO(chunk(b"RIFF", parts + struct.pack("<4sI", b"data", size)))


def test_the_length_of_a_wav_file() -> None:
    assert waves.wav_seconds(wav(960_000)) == 10.0
    assert waves.wav_seconds(wav(0xFFFFFFFF, long_size=960_000)) == 10.0
    assert waves.wav_seconds(wav(960_000, before=chunk(b"JUNK", bytes(200_000)))) == 10.0
    assert waves.wav_seconds(wav(960_000, before=chunk(b"LIST", b"odd") + b"\0")) == 10.0
    assert waves.wav_seconds(wav(960_000, per_second=0)) is None
    for nothing in (b"", bytes(2000), b"RIFF\0\0\0\0WAVEfmt "):
        assert waves.wav_seconds(io.BytesIO(nothing)) is None


@pytest.mark.parametrize("size", [0, SOX, ARECORD, ARECORD - 36, FFMPEG, UNTOLD])
def test_what_a_program_leaves_that_writes_into_a_pipe_is_no_length(size: int) -> None:
    assert waves.wav_seconds(wav(size)) is None


def test_a_compressed_wav_file_has_its_number_of_samples() -> None:
    assert waves.wav_seconds(wav(96_000, tag=ADPCM, samples=480_000, per_second=0)) == 10.0
    assert waves.wav_seconds(wav(96_000, tag=ADPCM, samples=480_000, per_second=9_600)) == 10.0
    assert waves.wav_seconds(wav(96_000, tag=ADPCM, samples=480_000, per_second=3_200)) is None
    assert waves.wav_seconds(wav(960_000, samples=5)) == 10.0  # PCM counts its bytes


def w64(size: int, *, per_second: int = 96_000) -> io.BytesIO:
    name = bytes.fromhex("f3acd3118cd100c04f8edb8a")
    form = struct.pack("<HHIIHH", 1, 1, 48_000, per_second, 2, 16)
    head = bytes(40) + b"fmt " + name + struct.pack("<Q", 24 + len(form)) + form
    return io.BytesIO(head + b"data" + name + struct.pack("<Q", size))


def test_the_length_of_a_w64_file() -> None:
    assert waves.w64_seconds(w64(960_024)) == 10.0
    assert waves.w64_seconds(w64(960_024, per_second=0)) is None
    for unknown in (0, 23, 24, 1 << 63):
        assert waves.w64_seconds(w64(unknown)) is None
    assert waves.w64_seconds(io.BytesIO(bytes(500))) is None
    stated = Stated(frozenset({"w64"}), 0, 0.0, stream=4.0, tag=None, container=4.0)
    assert claim(w64(960_024), stated) == Claim(0.0, 10.0, True, True)


def aiff(size: int) -> bytes:
    common = struct.pack(">4sI", b"COMM", 18) + bytes(18)
    return b"FORM" + bytes(4) + b"AIFF" + common + struct.pack(">4sI", b"SSND", size)


def caf(size: int, *, per_packet: int = 2, rate: float = 48_000.0, frames: int = 0) -> io.BytesIO:
    form = struct.pack(">d4s5I", rate, b"lpcm", 0, per_packet, 1, 1, 16)
    packets = struct.pack(">4sqqq", b"pakt", 16, 100, frames) if frames else b""
    data = struct.pack(">4sq", b"data", size)
    return io.BytesIO(b"caff" + bytes(4) + struct.pack(">4sq", b"desc", 32) + form + packets + data)


def test_the_length_of_a_caf_file() -> None:
    assert waves.caf_seconds(caf(960_004)) == 10.0
    assert waves.caf_seconds(caf(-1, per_packet=0, frames=480_000)) == 10.0
    for unknown in (caf(-1), caf(4), caf(960_004, rate=0.0), caf(960_004, per_packet=0)):
        assert waves.caf_seconds(unknown) is None
    assert waves.caf_seconds(io.BytesIO(caf(960_004).getvalue()[:30])) is None
    stated = Stated(frozenset({"caf"}), 0, 0.0, stream=4.0, tag=None, container=4.0)
    assert claim(caf(960_004), stated) == Claim(0.0, 10.0, True, True)


def au(size: int) -> bytes:
    return b".snd" + struct.pack(">II", 24, size)


@pytest.mark.parametrize(
    ("kind", "head", "unknown"),
    [("aiff", aiff, 0x7F000008), ("au", au, 0xFFFFFFFF)],
)
def test_a_header_without_the_size_of_the_sound(
    kind: str, head: Callable[[int], bytes], unknown: int
) -> None:
    stated = Stated(frozenset({kind}), 0, 0.0, stream=10.0, tag=None, container=10.0)
    assert claim(io.BytesIO(head(960_000)), stated) == Claim(0.0, 10.0, True, True)
    for content in (head(unknown), head(0), head(1)[:-4], b""):
        assert claim(io.BytesIO(content), stated) == Claim(0.0, None, False, True)


@dataclass
class Packet:
    data: bytes
    pos: int | None
    duration: int = 4096
    time_base: Fraction = Fraction(1, 96_000)

    @property
    def size(self) -> int:
        return len(self.data)

    def __bytes__(self) -> bytes:
        return self.data


HEADER = 44


def at(time: float | None) -> Callable[[Packet], float | None]:
    """Every packet is of that time."""
    return lambda _: time


def packets(sound: bytes) -> Iterator[tuple[Packet, float]]:
    for at in range(0, len(sound), 4096):
        yield Packet(sound[at : at + 4096], HEADER + at), at / 96_000


def heard(sound: bytes, codec: str = "pcm_s16le", kind: str = "wav") -> Blanks:
    blanks = Blanks(codec, frozenset({kind}))
    for packet, time in packets(sound):
        assert not blanks.damaged(packet, at(time))
    return blanks


def noise(size: int) -> bytearray:
    return bytearray(random.Random(size).randbytes(size)).replace(b"\0", b"\1")


def test_zeros_that_are_whole_blocks_of_the_disk_are_a_hole() -> None:
    sound = noise(960_000)
    sound[40 * 4096 - HEADER : 56 * 4096 - HEADER] = bytes(16 * 4096)
    blanks = heard(bytes(sound))
    assert blanks.holes == [pytest.approx((40 * 4096 / 96_000, 55 * 4096 / 96_000))]
    assert not blanks.open_end
    assert heard(bytes(sound), kind="avi").holes == []


def test_silence_is_no_hole() -> None:
    sound = noise(960_000)
    for start, end in ((0, 50_000 - HEADER), (100_000, 180_224 - HEADER), (184_320, 300_000)):
        sound[start:end] = bytes(end - start)
    assert heard(bytes(sound)).holes == []


def test_a_second_of_zeros_at_the_end_may_be_what_was_never_downloaded() -> None:
    sound = noise(960_000)
    sound[-150_000:] = bytes(150_000)
    assert heard(bytes(sound)).open_end
    sound[-10:] = b"sound goes"
    assert not heard(bytes(sound)).open_end


def test_compressed_sound_is_never_zeros() -> None:
    blanks = Blanks("aac", frozenset({"wav"}))
    for data, damaged in ((bytes(100), True), (bytes(15), False), (b"\1" + bytes(100), False)):
        assert blanks.damaged(Packet(data, 0), at(1.0)) is damaged


def test_packets_without_a_place_are_left_alone() -> None:
    blanks = Blanks("pcm_s16le", frozenset({"wav"}))
    assert not blanks.damaged(Packet(bytes(9000), None), at(1.0))
    assert not blanks.damaged(Packet(bytes(9000), 5), at(None))
    assert not blanks.open_end
