"""Run a program under strace: see its changing system calls, or hurt it at one of them."""

from __future__ import annotations

import collections
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

MUTATING = (
    "write",
    "pwrite64",
    "writev",
    "fsync",
    "fdatasync",
    "ftruncate",
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
_CALL = re.compile(r"^(?P<thread>\d+)\s+(?P<name>\w+)\(")


@dataclass(frozen=True, slots=True)
class Point:
    """The ``number``-th call of ``name`` in any one thread, counted from 1."""

    name: str
    number: int


@dataclass(frozen=True, slots=True)
class Traced:
    """How a traced program ended, and what it printed. ``hit``: the fault took place."""

    code: int
    out: str
    hit: bool


def available() -> bool:
    """Whether strace is here and allowed to trace."""
    if shutil.which("strace") is None:
        return False
    return subprocess.run(["strace", "-o", os.devnull, "true"], check=False).returncode == 0


def points(argv: Sequence[str], environ: Mapping[str, str], folder: Path) -> list[Point]:
    """Every point of an undisturbed run: of each call as many as its busiest thread has."""
    log = folder / "calls"
    _strace(["-o", str(log), "-e", f"trace={_calls()}"], argv, environ, folder)
    counts: collections.Counter[tuple[str, str]] = collections.Counter()
    with log.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if match := _CALL.match(line):
                counts[match["thread"], match["name"]] += 1
    most: dict[str, int] = {}
    for (_, name), count in counts.items():
        most[name] = max(most.get(name, 0), count)
    return [Point(name, number) for name in sorted(most) for number in range(1, most[name] + 1)]


def killed_at(
    point: Point, argv: Sequence[str], environ: Mapping[str, str], folder: Path
) -> Traced:
    """Run it and kill it before that call takes place in the first thread to get there.

    Children are not traced: those of a coordinator run at full speed, and are not hurt.
    """
    return _injected(f"inject={point.name}:signal=KILL:when={point.number}", argv, environ, folder)


def failing_at(
    point: Point, error: str, argv: Sequence[str], environ: Mapping[str, str], folder: Path
) -> Traced:
    """Run it with that call failing with ``error`` (a name), in each thread that gets there."""
    return _injected(
        f"inject={point.name}:error={error}:when={point.number}", argv, environ, folder
    )


def _injected(
    expression: str, argv: Sequence[str], environ: Mapping[str, str], folder: Path
) -> Traced:
    log = folder / "hits"
    name = expression.removeprefix("inject=").partition(":")[0]
    ended = _strace(
        ["-o", str(log), "-e", f"trace={name}", "-e", expression], argv, environ, folder
    )
    text = log.read_text(encoding="utf-8", errors="replace")
    return Traced(
        ended.returncode, ended.stdout, "(INJECTED)" in text or "killed by SIGKILL" in text
    )


def _strace(
    options: Sequence[str], argv: Sequence[str], environ: Mapping[str, str], folder: Path
) -> subprocess.CompletedProcess[str]:
    """Standard input stays open until the end, as it does under a supervisor."""
    reader, writer = os.pipe()
    try:
        return subprocess.run(
            ["strace", "-f", "-b", "execve", "-qq", "-s", "0", *options, *argv],
            stdin=reader,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=dict(environ),
            cwd=folder,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
    finally:
        os.close(reader)
        os.close(writer)


def _calls() -> str:
    return ",".join(MUTATING)
