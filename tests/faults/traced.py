"""strace around a process: see its changing system calls, or hurt it at one of them."""

from __future__ import annotations

import collections
import contextlib
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MUTATING = (
    "write",
    "pwrite64",
    "writev",
    "fsync",
    "fdatasync",
    "ftruncate",
    "fallocate",
    "rename",
    "renameat",
    "renameat2",
    "link",
    "linkat",
    "unlink",
    "unlinkat",
    "mkdir",
    "mkdirat",
    "rmdir",
    "symlink",
    "symlinkat",
    "utimensat",
    "fchmod",
    "chmod",
    "copy_file_range",
    "sendfile",
)
"""Calls that change something another process can see.

``openat`` with ``O_CREAT`` is not among them: strace cannot count these apart from the thousands
that only read. A kill at the call after it finds the same state.
"""

PATIENCE_SECONDS = 120.0
KILL = "signal=KILL"
_CALL = re.compile(r"^(?P<thread>\d+)\s+(?P<name>\w+)\(")
_LOOK_SECONDS = 0.001


@dataclass(frozen=True, slots=True)
class Point:
    """The ``number``-th call of ``name`` in any one thread, counted from 1."""

    name: str
    number: int

    def __str__(self) -> str:
        return f"{self.name} {self.number}"


def available() -> bool:
    """Whether strace is here and allowed to trace."""
    if shutil.which("strace") is None:
        return False
    return subprocess.run(["strace", "-o", os.devnull, "true"], check=False).returncode == 0


def watching(log: Path) -> list[str]:
    """The command line that writes a process's changing calls to ``log``.

    Its children are not traced: they run at full speed, and are not hurt.
    """
    return [*_strace(log), "-e", f"trace={','.join(MUTATING)}"]


def hurting(log: Path, point: Point, fault: str) -> list[str]:
    """The command line that hurts a process at that point; ``log`` tells :func:`was_hit`.

    ``fault``: :data:`KILL`, which comes before the call takes place, in the first thread to get
    there; or ``error=NAME``, with which the call fails in each thread that gets there.
    """
    injected = f"inject={point.name}:{fault}:when={point.number}"
    return [*_strace(log), "-e", f"trace={point.name}", "-e", injected]


def _strace(log: Path) -> list[str]:
    return ["strace", "-f", "-b", "execve", "-s", "0", "-o", str(log)]


@contextlib.contextmanager
def attached(pid: int, command: list[str]) -> Iterator[None]:
    """Within the block, that command line of strace is attached to a process that is stopped."""
    told = Path(f"{command[command.index('-o') + 1]}.err")
    with told.open("wb") as stream:
        process = subprocess.Popen([*command, "-p", str(pid)], stderr=stream)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while b"attached" not in told.read_bytes():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"strace does not attach: {told.read_text()}")
        time.sleep(_LOOK_SECONDS)
    yield
    process.wait(PATIENCE_SECONDS)


def points_in(log: Path) -> list[Point]:
    """Every point of an undisturbed process: of each call as many as its busiest thread has."""
    counts: collections.Counter[tuple[str, str]] = collections.Counter()
    with log.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if match := _CALL.match(line):
                counts[match["thread"], match["name"]] += 1
    most: dict[str, int] = {}
    for (_, name), count in counts.items():
        most[name] = max(most.get(name, 0), count)
    return [Point(name, number) for name in sorted(most) for number in range(1, most[name] + 1)]


def was_hit(log: Path) -> bool:
    """Whether the fault took place."""
    if not log.exists():
        return False
    text = log.read_text(encoding="utf-8", errors="replace")
    return "(INJECTED)" in text or "killed by SIGKILL" in text
