"""What ``clean`` may free: artefacts and finished jobs, by age and by size, oldest first."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from orchestrator.contract.locks import LockHeld, ProcessLock
from orchestrator.contract.paths import JobFolder, WorkFolder
from orchestrator.job.leftovers import clear_up
from orchestrator.jobs import all_jobs


@dataclass(frozen=True, slots=True)
class Kept:
    """Something that could be freed: its size in bytes, and when it was last used (epoch)."""

    path: Path
    size: int
    used: float
    lock: Path


def choose(kept: Iterable[Kept], now: float, max_age: float, max_bytes: int | None) -> list[Kept]:
    """What to free, oldest first: all older than ``max_age`` seconds, then the oldest until the
    rest is at most ``max_bytes``."""
    oldest_first = sorted(kept, key=lambda one: (one.used, str(one.path)))
    rest = sum(one.size for one in oldest_first)
    chosen = []
    for one in oldest_first:
        too_old = now - one.used > max_age
        too_much = max_bytes is not None and rest > max_bytes
        if not too_old and not too_much:
            break
        chosen.append(one)
        rest -= one.size
    return chosen


def freeable(work: WorkFolder) -> Iterator[Kept]:
    """The artefacts of each media, and each job's folder."""
    if work.artefacts.is_dir():
        for folder in work.artefacts.iterdir():
            if folder.is_dir():
                yield _measured(folder, folder / "lock")
    for job in all_jobs(work):
        yield _measured(job.root, job.lock)


def free(chosen: Iterable[Kept]) -> tuple[int, int]:
    """Remove what nobody is using and may be removed; returns how many and how many bytes.

    A job that has left something in the library stays until that can be removed: nothing else
    knows it for ours.
    """
    count = size = 0
    for one in chosen:
        try:
            freed = _remove(one)
        except (LockHeld, OSError):
            continue
        if freed:
            count += 1
            size += one.size
    return count, size


def _remove(one: Kept) -> bool:
    """Remove it, its lock last; False: it has to stay. Raises: LockHeld, OSError."""
    with ExitStack() as locked:
        locked.enter_context(ProcessLock(one.lock))
        if not clear_up(JobFolder(one.path)):  # artefacts have no manifest there: nothing to do
            return False
        for path in list(one.path.iterdir()):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path != one.lock:
                path.unlink()
        if sys.platform == "win32":
            locked.close()  # an open file cannot be removed, whether we or others have it open
        one.lock.unlink()
        one.path.rmdir()
    return True


def _measured(folder: Path, lock: Path) -> Kept:
    size, used = 0, 0.0
    for path in folder.rglob("*"):
        try:
            status = path.stat()
        except OSError:
            continue
        if path.is_file():
            size += status.st_size
            used = max(used, status.st_mtime)
    if not used:  # an empty folder, of somebody who was killed while making it
        used = time.time()
        with suppress(OSError):
            used = folder.stat().st_mtime
    return Kept(folder, size, used, lock)
