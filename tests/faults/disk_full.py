"""A disk that is full: a small tmpfs under the library or under the work folder, swept in steps."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.night import Kept, Night


@dataclass
class Sweep:
    """``sizes`` that were tried, how many of them were too small, and what was wrong."""

    sizes: int = 0
    too_small: int = 0
    wrong: list[str] = field(default_factory=list)


def mountable() -> bool:
    """Whether a tmpfs can be mounted here: as root, in a sandbox that allows it."""
    with contextlib.suppress(OSError, subprocess.CalledProcessError), _Small(None, "size=64k"):
        return True
    return False


class _Small:
    """A tmpfs with ``limit`` (size=… or nr_inodes=…) over a folder; what was there is copied in."""

    def __init__(self, folder: Path | None, limit: str) -> None:
        self.folder = folder or Path(tempfile.mkdtemp())
        self._limit = limit

    def __enter__(self) -> _Small:
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", self._limit, "tmpfs", str(self.folder)],
            check=True,
            capture_output=True,
        )
        return self

    def grow(self) -> None:
        """Make room, as a person does who deletes something."""
        options = "remount,size=256m,nr_inodes=100000"
        subprocess.run(["mount", "-o", options, str(self.folder)], check=True, capture_output=True)

    def __exit__(self, *_: object) -> None:
        subprocess.run(["umount", "-l", str(self.folder)], check=True, capture_output=True)


def sweep(night: Night, start: Kept, where: Path, limits: Sequence[str]) -> Sweep:
    """A night on a disk of each limit: nothing torn, no success claimed, and it goes on with room.

    ``where`` is the library or a folder of the work folder.
    """
    tally = Sweep()
    for limit in limits:
        night.restore(start)
        with _mounted(night, where, limit) as disk:
            outcome = night.batch.json("--resume")
            tally.sizes += 1
            wrong = night.wrong_after_the_fault(outcome.out)
            library = night.library()
            wrong += [f"published empty: {name}" for name, data in library.items() if not data]
            if outcome.code == 0 and library != night.expected:
                wrong.append("it claimed success")
            if outcome.code != 0:
                tally.too_small += 1
                said = (outcome.out + outcome.err).casefold()
                if "full" not in said and "no space" not in said:
                    wrong.append(f"the cause is not told: {outcome.errors} {outcome.err[-200:]}")
            disk.grow()
            wrong += night.wrong_after_the_next_night(outcome.out)
        tally.wrong += [f"{where.name} with {limit}: {one}" for one in wrong]
    return tally


@contextlib.contextmanager
def _mounted(night: Night, where: Path, limit: str) -> Iterator[_Small]:
    aside = night.folder / "aside"
    subprocess.run(["cp", "-a", f"{where}/.", str(aside)], check=True)
    with _Small(where, limit) as disk:
        copied = subprocess.run(["cp", "-a", f"{aside}/.", str(where)], check=False)
        try:
            if copied.returncode != 0:
                disk.grow()
                subprocess.run(["cp", "-a", f"{aside}/.", str(where)], check=True)
            yield disk
        finally:
            subprocess.run(["rm", "-rf", str(aside)], check=True)
