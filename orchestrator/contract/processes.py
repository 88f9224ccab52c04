"""What identifies a process beyond its number, and who looks after those that lost their parent."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

TYPE_CHECKING = False  # as typing's, whose import would cost a job 3 ms
if TYPE_CHECKING:
    from typing import NoReturn

RUN_VARIABLE = "BATCH_SUBTITLES_RUN_ID"
JOB_VARIABLE = "BATCH_SUBTITLES_JOB"
"""Every process of a job, or of a worker, carries these two in its environment."""

_PR_SET_CHILD_SUBREAPER = 36
_SWEEP_SECONDS = 3.0


def host_name() -> str:
    """The name of this machine, for people."""
    # platform.node() would say the same, at 2.5 ms for its import.
    return os.environ.get("COMPUTERNAME", "?") if sys.platform == "win32" else os.uname().nodename


def boot_id() -> str:
    """What tells this run of the system from others; empty where it does not say."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_bytes().decode().strip()
    return ""


def start_ticks(pid: int) -> int | None:
    """When the process began, in clock ticks since boot; None where the system does not say.

    A process number is used again, a number with its start is not.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    return int(stat.rpartition(b")")[2].split()[19])  # after the name, which may hold anything


def become_subreaper() -> bool:
    """Let what our children leave behind become our children; False where the system cannot.

    A grandchild that made a session of its own stays below us when its parent dies, and so can be
    found and ended. Linux only.
    """
    if sys.platform != "linux":
        return False
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    return bool(library.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


def adopted() -> tuple[int, ...]:
    """The children that we adopted as a subreaper, dead ones that nobody has waited for among them.

    With them come our own that the main thread started, or a thread that has ended. Linux only.
    """
    # What loses its parent becomes a child of the reaper's first thread, which is the main one.
    try:
        with open(f"/proc/self/task/{os.getpid()}/children", "rb", buffering=0) as children:
            return tuple(map(int, children.read().split()))
    except OSError:
        return ()


class Strays:
    """Buries children that we adopted as a subreaper and nobody else waits for.

    A child of our own is waited for by who started it, at once; one that has been dead for
    ``patience`` seconds is not.
    """

    def __init__(self, patience: float = 10.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._patience = patience
        self._clock = clock
        self._dead_since: dict[int, float] = {}

    def bury(self) -> int:
        """Wait for those that are due; how many there were. Call it now and then."""
        now = self._clock()
        dead = [pid for pid in adopted() if _is_dead(pid)]
        self._dead_since = {pid: self._dead_since.get(pid, now) for pid in dead}
        due = [pid for pid, since in self._dead_since.items() if now - since >= self._patience]
        for pid in due:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        return len(due)


def _is_dead(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    return stat.rpartition(b")")[2].split()[0] == b"Z"


def end_family(status: int) -> NoReturn:
    """End this process and all that belongs to its job, whether or not that listens.

    For when the other end of its pipe is dead. Where the system shows the variables of processes
    (Linux) what carries the same marks is ended first: a stage may be the last that is left of its
    job, and what it started may have made sessions of their own. The leader of a session then ends
    its process group; a stage that a person runs by hand has no marks, and spares their shell.
    """
    if sys.platform != "win32":
        marks = {name: os.environ.get(name, "") for name in (RUN_VARIABLE, JOB_VARIABLE)}
        if all(marks.values()):
            sweep(marks)
        if os.getpgrp() == os.getpid():
            os.killpg(0, signal.SIGKILL)
    os._exit(status)


def sweep(marks: Mapping[str, str]) -> None:
    """Kill every other process that has these variables, and look again until there is none.

    Nothing happens where the system does not show the variables of processes.
    """
    give_up = time.monotonic() + _SWEEP_SECONDS
    while _kill_marked(marks) and time.monotonic() < give_up:
        time.sleep(0.005)


def _kill_marked(marks: Mapping[str, str]) -> int:
    """Kill every other process with these variables; how many there were."""
    wanted = {f"{name}={value}".encode(errors="surrogateescape") for name, value in marks.items()}
    killed = 0
    with contextlib.suppress(OSError):
        for name in os.listdir("/proc"):
            if not name.isdigit() or int(name) == os.getpid():
                continue
            with contextlib.suppress(OSError):  # it has ended, or is somebody else's
                variables = Path(f"/proc/{name}/environ").read_bytes().split(b"\0")
                if wanted.issubset(variables):
                    os.kill(int(name), signal.SIGKILL)
                    killed += 1
    return killed
