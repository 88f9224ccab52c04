"""What ``clean`` may free: artefacts and finished jobs, by age and by size, oldest first."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from orchestrator.contract.locks import LockHeld, ProcessLock
from orchestrator.contract.paths import WorkFolder
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
    """Remove what nobody is using and may be removed; returns how many and how many bytes."""
    count = size = 0
    for one in chosen:
        try:
            with ProcessLock(one.lock):
                shutil.rmtree(one.path)
        except (LockHeld, OSError):
            continue
        count += 1
        size += one.size
    return count, size


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
    return Kept(folder, size, used or time.time(), lock)
