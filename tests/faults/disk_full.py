"""A disk that is full: a small tmpfs under one folder of a night, swept in steps.

How much a night needs there is measured first, in bytes and in inodes; then every limit from what
is there already up to more than that is tried.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.end_to_end.conftest import Outcome
from tests.faults.night import Kept, Night

_PAGE = 4096
_ROOM = "size=256m,nr_inodes=100000"
_MARGIN = 1.25
"""Of what is there at the end: in between it may have been more."""


@dataclass
class Sweep:
    """``limits`` that were tried, how many of them were ``too_small``, and what was wrong."""

    limits: int = 0
    too_small: int = 0
    wrong: list[str] = field(default_factory=list)

    def add(self, other: Sweep) -> None:
        self.limits += other.limits
        self.too_small += other.too_small
        self.wrong += other.wrong


def mountable() -> bool:
    """Whether a tmpfs can be mounted here: as root, in a sandbox that allows it."""
    with (
        contextlib.suppress(OSError, subprocess.CalledProcessError),
        tempfile.TemporaryDirectory() as folder,
        _Small(Path(folder), "size=64k"),
    ):
        return True
    return False


class _Small:
    """A tmpfs with ``limit`` (size=… or nr_inodes=…) over a folder."""

    def __init__(self, folder: Path, limit: str) -> None:
        self.folder = folder
        self._limit = limit

    def __enter__(self) -> _Small:
        _run("mount", "-t", "tmpfs", "-o", self._limit, "tmpfs", str(self.folder))
        return self

    def used(self) -> tuple[int, int]:
        """Pages and inodes that are taken."""
        status = os.statvfs(self.folder)
        return status.f_blocks - status.f_bfree, status.f_files - status.f_ffree

    def grow(self) -> None:
        """Make room, as a person does who deletes something."""
        _run("mount", "-o", f"remount,{_ROOM}", str(self.folder))

    def __exit__(self, *_: object) -> None:
        _run("umount", "-l", str(self.folder))


PLACES = ("library", "output folder", "work folder", "temporary folder")


def place(night: Night, name: str) -> Path:
    """The folder of that name that a disk can be full under; made and set if need be.

    The output folder lies in the library, so that the night looks into it as well.
    """
    if name == "library":
        return night.batch.library
    if name == "work folder":
        return night.batch.work.root
    if name == "output folder":
        folder = night.batch.library / "subtitles"
        night.batch.configure(output_dir=str(folder))
    else:
        folder = night.folder / "temporary"
        night.batch.environ["TMPDIR"] = str(folder)
    folder.mkdir()
    return folder


def limits_of(night: Night, start: Kept, where: Path) -> list[str]:
    """Limits from what is there before a night to more than there is after it, page by page and
    inode by inode."""
    night.restore(start)
    night.undisturbed()  # checks the installation: on a disk this small that would end the night
    night.restore(start)
    with _mounted(where, _ROOM) as disk:
        assert disk is not None
        before = disk.used()
        night.undisturbed()
        after = disk.used()
    pages, inodes = (
        range(max(1, least), round(most * _MARGIN) + 2)
        for least, most in zip(before, after, strict=True)
    )
    sizes = [f"size={count * _PAGE // 1024}k" for count in pages]
    return [*sizes, *(f"nr_inodes={count}" for count in inodes)]


def sweep(night: Night, start: Kept, where: Path, limits: Sequence[str]) -> Sweep:
    """A night on a disk of each limit: nothing torn, no success claimed, and it goes on with room.

    A limit that is too small for what is there before the night is left out.
    """
    tally = Sweep()
    for limit in limits:
        night.restore(start)
        with _mounted(where, limit) as disk:
            if disk is None:
                continue
            outcome = night.batch.json("--resume")
            tally.limits += 1
            tally.too_small += outcome.code != 0
            wrong = night.wrong_after_the_fault(outcome.out)
            wrong += wrong_on_a_full_disk(outcome, night.library(), night.expected)
            disk.grow()
            wrong += night.wrong_after_the_next_night(outcome.out)
        tally.wrong += [f"{where.name} with {limit}: {one}" for one in wrong]
    return tally


def wrong_on_a_full_disk(
    outcome: Outcome, library: Mapping[str, bytes], expected: Mapping[str, bytes]
) -> list[str]:
    """What is wrong with how a night ended there, and with what it left."""
    wrong = [f"published empty: {name}" for name, data in library.items() if not data]
    if outcome.code == 0 and library != expected:
        wrong.append("it claimed success")
    said = (outcome.out + outcome.err).casefold()
    if outcome.code != 0 and "full" not in said and "no space" not in said:
        wrong.append(f"the cause is not told: {outcome.errors} {outcome.err[-200:]}")
    return wrong


@contextlib.contextmanager
def _mounted(where: Path, limit: str) -> Iterator[_Small | None]:
    """The disk with what was in the folder before; None if that does not fit."""
    with tempfile.TemporaryDirectory(dir=where.parent) as aside:
        _run("cp", "-a", f"{where}/.", aside)
        with _Small(where, limit) as disk:
            copied = subprocess.run(
                ["cp", "-a", f"{aside}/.", str(where)], capture_output=True, check=False
            )
            yield disk if copied.returncode == 0 else None


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True)
