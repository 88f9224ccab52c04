from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from batch.places import (
    ROOM_BYTES,
    ROOM_FILES,
    Place,
    Sight,
    fullest,
    has_room_again,
    is_whole,
    look,
    trouble,
)
from orchestrator.contract.job import Published

LIBRARY = Place("the library", "/films", written=False)
OUTPUT = Place("the output folder", "/subtitles", written=True)
SEEN = Sight("", (1, 2), frozenset({"a", "b"}))
EMPTY = Sight("", (1, 2))


@pytest.mark.parametrize(
    ("place", "first", "now", "words"),
    [
        (LIBRARY, SEEN, SEEN, ""),
        (LIBRARY, SEEN, Sight("Stale file handle"), "Stale file handle"),
        (LIBRARY, SEEN, Sight("", (1, 2)), "not mounted"),
        (LIBRARY, SEEN, Sight("", (7, 1), frozenset({"other"})), "not mounted"),
        (LIBRARY, SEEN, Sight("", (7, 1), frozenset({"b"})), ""),
        (OUTPUT, EMPTY, EMPTY, ""),
        (OUTPUT, EMPTY, replace(EMPTY, names=frozenset({"new"})), ""),
        (OUTPUT, EMPTY, Sight("", (7, 1)), "not mounted"),
        (OUTPUT, SEEN, replace(SEEN, read_only=True), "can only be read"),
        (LIBRARY, SEEN, replace(SEEN, read_only=True), ""),
        (OUTPUT, replace(SEEN, read_only=True), replace(SEEN, read_only=True), ""),
    ],
)
def test_what_has_become_of_a_place(place: Place, first: Sight, now: Sight, words: str) -> None:
    found = trouble(place, first, now)
    assert words in found
    assert bool(words) == bool(found)


def test_a_look_finds_what_was_there_before_also_in_a_large_folder(tmp_path: Path) -> None:
    for number in range(100):
        (tmp_path / f"{number:03}").touch()
    (tmp_path / ".batch-subtitles-0123.tmp").touch()
    first = look(str(tmp_path))
    status = tmp_path.stat()
    assert (first.error, first.identity) == ("", (status.st_dev, status.st_ino))
    assert 0 < len(first.names) < 100
    assert look(str(tmp_path), {"099", "gone"}).names == {"099"}
    assert look(str(tmp_path), {"gone"}).names.isdisjoint({"gone"})
    assert first.free_bytes > 0


def test_a_folder_with_nothing_but_our_temporary_files_is_empty(tmp_path: Path) -> None:
    (tmp_path / ".batch-subtitles-0123.tmp").touch()
    assert look(str(tmp_path)).names == frozenset()


def test_a_look_at_nothing_is_an_error_in_words(tmp_path: Path) -> None:
    assert look(str(tmp_path / "missing")).error == "No such file or directory"


def test_without_statvfs_a_disk_is_never_full_or_read_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "statvfs")
    sight = look(str(tmp_path))
    assert (sight.error, sight.read_only) == ("", False)


def test_the_fullest_disk_is_one_that_is_written_to() -> None:
    sights = {
        "/films": Sight("", free_bytes=0),
        "/subtitles": Sight("", free_bytes=50, free_files=ROOM_FILES),
        "/batch": Sight("", free_bytes=90, free_files=ROOM_FILES),
    }
    work = Place("the work folder", "/batch", written=True)
    assert fullest([LIBRARY, OUTPUT, work], sights) == "/subtitles"
    sights["/batch"] = replace(sights["/batch"], free_files=0)
    assert fullest([LIBRARY, OUTPUT, work], sights) == "/batch", "no more files, though much room"
    assert fullest([LIBRARY], sights) == ""


def test_room_is_noticeably_more_than_there_was() -> None:
    full = Sight("", free_bytes=1000, free_files=5)
    assert not has_room_again(full, replace(full, free_bytes=ROOM_BYTES))
    assert has_room_again(full, replace(full, free_bytes=1000 + ROOM_BYTES))
    assert has_room_again(full, replace(full, free_files=5 + ROOM_FILES))


def test_what_was_published_is_whole_with_its_size(tmp_path: Path) -> None:
    path = tmp_path / "a.srt"
    assert not is_whole(Published(str(path), 3, 0, ""))
    path.write_text("abc")
    assert is_whole(Published(str(path), 3, 0, ""))
    assert not is_whole(Published(str(path), 4, 0, ""))
