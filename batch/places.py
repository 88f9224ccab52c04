"""What one look at a folder tells of its disk, and whether that disk is lost. Pure but for `look`.

A disk that is gone rarely says so: an unmounted share is an empty folder, one that was mounted
again has other numbers, and a file system that had errors is suddenly read-only.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from orchestrator.contract.atomic import TEMPORARY_MARK
from orchestrator.contract.job import Published

ROOM_BYTES = 16 << 20
ROOM_FILES = 64
"""A disk that was full has room again when so much more of it is free."""

_NAMES = 32


@dataclass(frozen=True, slots=True)
class Place:
    """A folder that a run lives off. ``what`` in words: ``the library``."""

    what: str
    path: str
    written: bool


@dataclass(frozen=True, slots=True)
class Sight:
    """What a look saw: ``error`` in words, or device and inode of the folder, the names of some of
    what is in it, whether it can only be read, and what is free of its disk."""

    error: str = ""
    identity: tuple[int, int] = (0, 0)
    names: frozenset[str] = frozenset()
    read_only: bool = False
    free_bytes: int = 0
    free_files: int = 0


def look(path: str, known: Collection[str] = ()) -> Sight:
    """Look at a folder; ``known`` are names to look for first. It may hang as long as the disk."""
    try:
        status = os.stat(path)
        names = frozenset(name for name in known if os.path.lexists(os.path.join(path, name)))
        if not names:
            names = frozenset(_some_names(path))
        if not hasattr(os, "statvfs"):
            return Sight("", (status.st_dev, status.st_ino), names, free_bytes=1, free_files=1)
        disk = os.statvfs(path)
    except OSError as error:
        return Sight(error.strerror or str(error))
    return Sight(
        "",
        (status.st_dev, status.st_ino),
        names,
        bool(disk.f_flag & os.ST_RDONLY),
        disk.f_bavail * disk.f_frsize,
        # Some file systems have no such limit, and say 0 of 0.
        disk.f_favail if disk.f_files else ROOM_FILES,
    )


def is_whole(published: Published) -> bool:
    """Whether what was published is there with its size. It may hang as long as the disk."""
    try:
        return os.stat(published.path).st_size == published.size
    except OSError:
        return False


def _some_names(path: str) -> list[str]:
    with os.scandir(path) as entries:
        lasting = (one.name for one in entries if not one.name.startswith(TEMPORARY_MARK))
        return list(islice(lasting, _NAMES))


def trouble(place: Place, first: Sight, now: Sight) -> str:
    """What has become of a place since it was first seen, in words; empty: it is all right.

    One that holds something that it held before is the same, whatever its numbers: a share that is
    mounted again has others.
    """
    if now.error:
        return now.error
    same = not first.names.isdisjoint(now.names) if first.names else now.identity == first.identity
    if not same:
        return "it is empty or another folder now: its disk is not mounted"
    if place.written and now.read_only and not first.read_only:
        return "it can only be read now: its disk had errors, or was mounted read-only"
    return ""


def fullest(places: Sequence[Place], sights: Mapping[str, Sight]) -> str:
    """The path of the written place whose disk has least room."""
    written = [place.path for place in places if place.written and not sights[place.path].error]
    if not written:
        return ""
    return min(
        written,
        key=lambda path: (sights[path].free_files >= ROOM_FILES, sights[path].free_bytes),
    )


def has_room_again(full: Sight, now: Sight) -> bool:
    """Whether a disk that was ``full`` has noticeably more room."""
    return (
        now.free_bytes >= full.free_bytes + ROOM_BYTES
        or now.free_files >= full.free_files + ROOM_FILES
    )
