"""Stop a process after any one of its system calls, do something meanwhile, and let it go on."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.faults.traced import Point

CALLS = (
    *("openat", "newfstatat", "fstat", "statfs", "read", "lseek", "fadvise64", "getdents64"),
    *("write", "fsync", "ftruncate", "close", "rename", "renameat2", "link", "unlink", "mkdir"),
)
"""What a job asks the system about files, and tells it: between any two of them others may act."""

PATIENCE_SECONDS = 30.0

_CALL = re.compile(r"^(?P<thread>\d+)\s+(?P<name>\w+)\((?P<arguments>.*)")


@dataclass(frozen=True, slots=True)
class Ended:
    """The exit status, what it printed, and how often it was stopped."""

    code: int
    out: str
    stops: int


def points_after(
    begin: str, argv: Sequence[str], environ: Mapping[str, str], folder: Path
) -> list[Point]:
    """The calls of a run's main thread after the first one that has ``begin`` in its arguments."""
    log = folder / "calls"
    _run(["-s", "300", "-e", f"trace={','.join(CALLS)}"], log, argv, environ, folder, lambda: None)
    counts: dict[str, int] = {}
    found: list[Point] = []
    main = ""
    with log.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            match = _CALL.match(line)
            if match is None or (main and match["thread"] != main):
                continue
            main = match["thread"]
            name = match["name"]
            counts[name] = counts.get(name, 0) + 1
            if found or begin in match["arguments"]:
                found.append(Point(name, counts[name]))
    return found


def stopped_after(
    point: Point,
    act: Callable[[], None],
    argv: Sequence[str],
    environ: Mapping[str, str],
    folder: Path,
) -> Ended:
    """Run it, and ``act`` once while it is stopped: that call has ended, and no other has begun."""
    options = ["-e", f"trace={point.name}"]
    options += ["-e", f"inject={point.name}:signal=STOP:when={point.number}"]
    return _run(options, folder / "hits", argv, environ, folder, act)


def _run(
    options: Sequence[str],
    log: Path,
    argv: Sequence[str],
    environ: Mapping[str, str],
    folder: Path,
    act: Callable[[], None],
) -> Ended:
    """``-D`` makes strace the grandchild, so that the stops of the process are told to us."""
    with (folder / "out").open("w+b") as out:
        process = subprocess.Popen(
            ["strace", "-D", "-f", "-qq", "-b", "execve", "-o", str(log), *options, *argv],
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=subprocess.DEVNULL,
            env=dict(environ),
            cwd=folder,
        )
        assert process.stdin is not None
        stops = 0
        # A process that waits for ever is ended, and its exit status says so.
        patience = threading.Timer(PATIENCE_SECONDS, process.kill)
        patience.start()
        while os.WIFSTOPPED(status := os.waitpid(process.pid, os.WUNTRACED)[1]):
            stops += 1
            if stops == 1:
                act()
            os.kill(process.pid, signal.SIGCONT)
        patience.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        process.stdin.close()
        out.seek(0)
        return Ended(process.returncode, out.read().decode("utf-8", "replace"), stops)
