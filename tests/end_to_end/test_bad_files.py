"""One bad file is one bad file."""

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import OLD, Batch

pytestmark = pytest.mark.real


def no_audio(path: Path) -> None:
    """A picture in an AVI container: one video stream, nothing to hear."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return name + len(data).to_bytes(4, "little") + data + b"\0" * (len(data) % 2)

    def numbers(*values: int) -> bytes:
        return b"".join(value.to_bytes(4, "little") for value in values)

    width = height = 8
    frame = bytes(width * height * 3)
    main = chunk(b"avih", numbers(40_000, 0, 0, 16, 1, 0, 1, len(frame), width, height, 0, 0, 0, 0))
    header = b"vidsDIB " + numbers(0, 0, 0, 1, 25, 0, 1, len(frame), 0, 0, 0, 0)
    picture = numbers(40, width, height) + b"\1\0\x18\0" + numbers(0, len(frame), 0, 0, 0, 0)
    stream = b"strl" + chunk(b"strh", header) + chunk(b"strf", picture)
    headers = b"hdrl" + main + chunk(b"LIST", stream)
    movie = b"movi" + chunk(b"00db", frame)
    path.write_bytes(chunk(b"RIFF", b"AVI " + chunk(b"LIST", headers) + chunk(b"LIST", movie)))


MAKERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "empty.mkv": ("empty_file", Path.touch),
    "text.mkv": ("not_media", lambda path: path.write_text("just words\n" * 50)),
    "noise.mp4": ("not_media", lambda path: path.write_bytes(random.Random(1).randbytes(9999))),
    "no audio.avi": ("no_audio_track", no_audio),
    "broken link.mkv": ("broken_symlink", lambda path: path.symlink_to("nowhere.mkv")),
    "pipe.mkv": ("not_a_regular_file", os.mkfifo),
    "playlist.mkv": (
        "not_media",
        lambda path: path.write_text("ffconcat version 1.0\nfile good.wav\n"),
    ),
}


def test_bad_files_are_reported_and_the_good_one_is_done(batch: Batch) -> None:
    batch.add("good.wav")
    for name, (_, make) in MAKERS.items():
        path = batch.library / name
        make(path)
        os.utime(path, (OLD, OLD), follow_symlinks=False)
    (batch.library / "folder.mp4").mkdir()

    outcome = batch.json()

    assert outcome.code == 5
    assert outcome.errors == {name: code for name, (code, _) in MAKERS.items()}
    assert outcome.finished["good.wav"] == "done"
    assert all(one["error"]["hint"] for one in outcome.of("file_finished") if one["error"])
    assert "good.en.srt" in batch.names()


@pytest.mark.skipif(os.name == "nt" or os.getuid() == 0, reason="root may read everything")
def test_an_unreadable_file(batch: Batch) -> None:
    batch.add("good.wav", "secret.wav")
    (batch.library / "secret.wav").chmod(0)
    outcome = batch.json()
    assert outcome.code == 5
    assert outcome.errors == {"secret.wav": "permission_denied"}


def test_what_failed_for_good_is_tried_again_when_asked(batch: Batch) -> None:
    batch.add("bad.wav")
    batch.fault("fails")
    assert batch.json().errors == {"bad.wav": "bad_media"}
    assert batch.names() == ["bad.wav"]

    again = batch.json()

    assert again.code == 5, "it still has no subtitles"
    assert [one["earlier"] for one in again.of("file_finished")] == [True]
    assert batch.attempts("fake") == 1
    assert batch.json("--retry-failed").errors == {"bad.wav": "bad_media"}
    assert batch.attempts("fake") == 2


ODD_NAMES = (
    b"two words [1080p] (2019) 'it''s'.wav",
    b"[foo] {bar} $(touch x) %s \\.wav",
    "žluťoučký 映画 🎬.wav".encode(),
    b"line\nbreak\ttab.wav",
    b"-rf --help.wav",
    b"not utf-8 \xff\xfe.wav",
)


def test_any_name_will_do(batch: Batch) -> None:
    for name in ODD_NAMES:
        batch.add(os.fsdecode(name))
    outcome = batch.run("--max-workers", "3")
    assert outcome.code == 0
    expected = [
        name.replace(b".wav", end)
        for name in ODD_NAMES
        for end in (b".wav", b".en.srt", b".en.vtt")
    ]
    assert sorted(os.listdir(os.fsencode(batch.library))) == sorted(expected)
    assert batch.json().skipped == dict.fromkeys(map(os.fsdecode, ODD_NAMES), "already_done")


def test_a_name_too_long_for_its_subtitle(batch: Batch) -> None:
    name = "n" * 250 + ".wav"
    batch.add(name)
    assert batch.json().errors == {name: "name_too_long"}
