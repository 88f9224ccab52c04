"""Locks between processes that the operating system frees when their holder dies.

The lock is on an open descriptor (``flock``, ``msvcrt`` on Windows), so a stale one cannot be left
behind, whatever process has its holder's number since. What the file says about its holder (host,
process, its start, boot) is for people and for error messages only.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sys
import time
from pathlib import Path
from types import TracebackType

from orchestrator.contract.clock import utc_now
from orchestrator.contract.processes import boot_id, host_name, start_ticks

TYPE_CHECKING = False  # as typing's, whose import would cost a job 3 ms
if TYPE_CHECKING:
    from typing import Any


_HELD = frozenset({errno.EAGAIN, errno.EACCES, errno.EDEADLK})
"""What the system says of a lock that somebody has; the last two are Windows' words for it."""


class LockHeld(Exception):
    """Somebody else holds the lock; ``holder`` is what they wrote about themselves, if anything."""

    def __init__(self, path: Path, holder: dict[str, Any]) -> None:
        super().__init__(f"{path} is held by {describe_holder(holder)}")
        self.path = path
        self.holder = holder


def describe_holder(holder: dict[str, Any]) -> str:
    """``process 4711 on nas since 2026-01-31T22:00:00Z``, or as much of it as is known.

    What it is for comes first, where it says so: ``run-pipeline, process 4711 on ...``.
    """
    if "pid" not in holder:
        return "another process"
    purpose = f"{holder['purpose']}, " if holder.get("purpose") else ""
    since = holder.get("since", "?")
    return f"{purpose}process {holder['pid']} on {holder.get('host', '?')} since {since}"


class ProcessLock:
    """An exclusive lock on a file; use it as a context manager.

    ``purpose`` is for those who find it held.

    Raises on entering:
        LockHeld: not free, and ``wait`` is False.
        OSError: the file cannot be made or opened, or the file system cannot lock.
    """

    def __init__(self, path: Path, *, wait: bool = False, purpose: str = "") -> None:
        self._path = path
        self._wait = wait
        self._purpose = purpose
        self._descriptor = -1

    def __enter__(self) -> ProcessLock:
        self._descriptor = self._locked()
        with contextlib.suppress(OSError):  # a full disk is no reason to call the lock held
            os.ftruncate(self._descriptor, 0)
            os.lseek(self._descriptor, 1, os.SEEK_SET)  # byte 0 is the one that Windows locks
            os.write(self._descriptor, json.dumps(self._about()).encode("ascii"))
        return self

    def _about(self) -> dict[str, Any]:
        about = _about_self()
        return {**about, "purpose": self._purpose} if self._purpose else about

    def _locked(self) -> int:
        """A descriptor that has the lock of the file that is at the path now.

        Whoever held it may have removed the file with its folder: a lock on what is left of that
        would keep nobody else out.
        """
        while True:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                _take(descriptor, wait=self._wait)
            except OSError as error:
                os.close(descriptor)
                if error.errno not in _HELD:
                    raise
                raise LockHeld(self._path, read_holder(self._path)) from error
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), os.stat(self._path)):
                    return descriptor
            os.close(descriptor)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError):  # a dead disk; it is free all the same
            os.close(self._descriptor)


def read_holder(path: Path) -> dict[str, Any]:
    """What the last holder wrote about itself; empty when that cannot be read."""
    with contextlib.suppress(OSError, ValueError), path.open("rb", buffering=0) as file:
        file.seek(1)  # Windows lets nobody read the byte that is locked
        holder = json.loads(file.read())
        if isinstance(holder, dict):
            return holder
    return {}


def _about_self() -> dict[str, Any]:
    return {
        "pid": os.getpid(),
        "start": start_ticks(os.getpid()),
        "boot": boot_id(),
        "host": host_name(),
        "since": utc_now(),
    }


if sys.platform == "win32":
    import msvcrt

    def _take(descriptor: int, *, wait: bool) -> None:
        os.lseek(descriptor, 0, os.SEEK_SET)
        while True:
            try:
                msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
                return
            except OSError as error:
                if not wait or error.errno not in _HELD:
                    raise
                time.sleep(0.2)

else:
    import fcntl

    def _take(descriptor: int, *, wait: bool) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
