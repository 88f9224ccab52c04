"""Libraries of hostile names, and a look at everything that is in a folder."""

from __future__ import annotations

import io
import os
import random
import stat
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.end_to_end.conftest import OLD

_PARTIAL = (b".tmp", b".temp", b".part", b".partial", b".crdownload", b".incomplete")
_SYSTEM = (b"lost+found", b"@eaDir", b"#recycle", b"#snapshot")
_LONGEST_PATH = 4095
_ROOM_TO_PUBLISH = 41 - len("film.wav")
"""How much longer the name of a temporary file is, with which publishing begins."""

World = dict[bytes, tuple[int, int, bytes]]
"""Path to mode, mtime in ns and content (of a link where it points, of a folder nothing)."""


@dataclass(frozen=True)
class Film:
    """A media file of the library, or a folder that is too deep to be listed.

    ``end`` is what must become of it: ``done``, the code of an error, the reason of a skip, or
    nothing where it is not looked at.
    """

    path: bytes
    end: str

    @property
    def text(self) -> str:
        return os.fsdecode(self.path)

    @property
    def fails(self) -> bool:
        return self.end not in ("", "done", "partial")

    @property
    def outputs(self) -> tuple[bytes, ...]:
        if self.end != "done":
            return ()
        stem = self.path.rpartition(b".")[0]
        return (stem + b".en.srt", stem + b".en.vtt")


def world(folder: Path) -> World:
    """Everything below ``folder``, by bytes and relative to open folders: no name is too odd."""
    found: World = {}
    root = os.fsencode(folder)
    for parent, folders, files, handle in os.fwalk(root):
        for name in (*folders, *files):
            status = os.stat(name, dir_fd=handle, follow_symlinks=False)
            content = b""
            if stat.S_ISLNK(status.st_mode):
                content = os.readlink(name, dir_fd=handle)
            elif name in files:
                descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK, dir_fd=handle)
                with open(descriptor, "rb") as stream:
                    content = stream.read()
            is_file = name in files
            path = os.path.relpath(os.path.join(parent, name), root)
            found[path] = (status.st_mode, status.st_mtime_ns if is_file else 0, content)
    return found


def put(library: Path, stems: Sequence[bytes]) -> list[Film]:
    """A media file for each stem; each fourth name is that of a folder instead."""
    films = []
    root = os.fsencode(library)
    for number, stem in enumerate(stems):
        if number % 4 == 3:
            folder = os.path.join(root, b"folders", stem)
            os.makedirs(folder, exist_ok=True)
            hidden = stem.startswith(b".") or stem in _SYSTEM
            films.append(Film(os.path.join(folder, b"film.wav"), "" if hidden else "done"))
        else:
            films.append(Film(os.path.join(root, stem + b".wav"), _end_of(stem)))
        _write_wav(films[-1].path)
    return films


def _end_of(stem: bytes) -> str:
    if stem.startswith(b"."):
        return ""
    if stem.endswith(_PARTIAL):
        return "partial"
    return "done" if len(stem) + len(b".en.srt") <= 255 else "name_too_long"


def _write_wav(path: bytes) -> None:
    with open(path, "xb") as stream:
        stream.write(_wav(path))
    os.utime(path, (OLD, OLD))


def _wav(path: bytes) -> bytes:
    """A tenth of a second of noise; no two paths have the same."""
    content = io.BytesIO()
    with wave.open(content, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(random.Random(path).randbytes(1600))
    return content.getvalue()


def put_deep(library: Path, lengths: Sequence[int]) -> list[Film]:
    """Media files whose absolute paths have these lengths in bytes, below folders of their own."""
    films = []
    for length in lengths:
        path, unlisted = os.fsencode(library), b""
        handle = os.open(path, os.O_RDONLY)
        while (left := length - len(path) - len(b"//film.wav")) > 0:
            name = b"%d" % length + b"d" * (min(left, 200) - len(b"%d" % length))
            os.mkdir(name, dir_fd=handle)
            inside = os.open(name, os.O_RDONLY, dir_fd=handle)
            os.close(handle)
            handle, path = inside, path + b"/" + name
            unlisted = unlisted or (path if len(path) > _LONGEST_PATH else b"")
        descriptor = os.open(b"film.wav", os.O_CREAT | os.O_WRONLY, dir_fd=handle)
        os.close(handle)
        path += b"/film.wav"
        with open(descriptor, "wb") as stream:
            stream.write(_wav(path))
            stream.flush()
            os.utime(stream.fileno(), (OLD, OLD))
        fits = len(path) <= _LONGEST_PATH - _ROOM_TO_PUBLISH
        end = "done" if fits else "name_too_long"
        films.append(Film(unlisted, "unreadable_folder") if unlisted else Film(path, end))
    return films
