"""Lines that a thread writes: all of them, in order, and nobody waits for the disk."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from batch import background
from batch.background import BackgroundFile


class Disk:
    """Stands in for the file: hangs until told otherwise, is full, or takes a little at a time."""

    def __init__(self, room: int = 1_000_000, *, hangs: bool = False) -> None:
        self.written = b""
        self.room = room
        self.answers = threading.Event()
        if not hangs:
            self.answers.set()

    def write(self, data: bytes) -> int:
        self.answers.wait(30)
        if not self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        taken = data[: self.room]
        self.room -= len(taken)
        self.written += taken
        return len(taken)

    def close(self) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))


def on(disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BackgroundFile:
    monkeypatch.setattr(Path, "open", lambda *_args, **_options: disk)
    return BackgroundFile(tmp_path / "log")


def test_all_lines_are_there_in_order(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("before\n")
    file = BackgroundFile(path)

    def write() -> None:
        for number in range(1000):
            file.write(str(number))

    writers = [threading.Thread(target=write) for _ in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    file.write("\udcff é")
    file.close()
    before, *lines, last = path.read_text("utf-8").splitlines()
    assert (before, last) == ("before", "\\udcff é")
    assert sorted(lines, key=int) == [str(number) for number in range(1000) for _ in range(3)]


def test_nobody_waits_for_a_disk_that_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(hangs=True)
    file = on(disk, tmp_path, monkeypatch)
    for number in range(1000):
        file.write(str(number))
    disk.answers.set()
    file.close()
    assert disk.written == b"".join(b"%d\n" % number for number in range(1000))


def test_at_the_end_it_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "PATIENCE_SECONDS", 0.0)
    disk = Disk(hangs=True)
    file = on(disk, tmp_path, monkeypatch)
    file.write("never")
    file.close()
    assert disk.written == b""
    disk.answers.set()


def test_a_full_disk_tears_one_line_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "TOGETHER_SECONDS", 0.0)
    disk = Disk(room=3)
    file = on(disk, tmp_path, monkeypatch)
    full = threading.Event()
    write = disk.write

    def seen(data: bytes) -> int:
        try:
            return write(data)
        except OSError:
            full.set()
            raise

    monkeypatch.setattr(disk, "write", seen)
    file.write("12345")
    assert full.wait(30)
    disk.room = 100
    file.write("whole")
    file.close()
    assert disk.written == b"123\nwhole\n"


def test_a_file_that_cannot_be_opened_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        BackgroundFile(tmp_path / "no" / "log")
