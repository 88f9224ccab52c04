"""Start a child process with a pipe to its stdin and one from its stdout.

Trio starts processes in a thread. On Linux that costs 0.3 ms and lets nothing else go on meanwhile:
from ``vfork`` until the child runs its program Python's lock is held, in whatever thread. So where
the system tells of a child's end by a descriptor, it is started in the thread that asks.

On Windows a child is started suspended and waits for :func:`orchestrator.containment.contained`, so
that nothing it starts escapes. It has a process group of its own, or a Ctrl-C in the console would
stop it where the run means to let it end its stage. Not run there yet.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import trio

if sys.platform == "win32":
    _CREATE_SUSPENDED = 0x4
    _APART: dict[str, Any] = {
        "creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | _CREATE_SUSPENDED
    }
else:
    _APART: dict[str, Any] = {"start_new_session": True}


class Child(Protocol):
    """What is needed of a :class:`trio.Process`."""

    pid: int

    @property
    def stdin(self) -> trio.abc.SendStream | None: ...
    @property
    def stdout(self) -> trio.abc.ReceiveStream | None: ...
    @property
    def returncode(self) -> int | None: ...
    async def wait(self) -> int: ...
    def kill(self) -> None: ...


class Log:
    """The end of a file, for what a process prints. One that nobody holds any more closes itself.

    Opening it may wait for the disk.
    """

    def __init__(self, path: Path) -> None:
        """Raises: OSError (it cannot be opened)."""
        self._descriptor = -1
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)

    def __del__(self) -> None:
        self.close()

    def fileno(self) -> int:
        return self._descriptor

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


async def start_child(
    argv: Sequence[str], log: Log, environ: Mapping[str, str], folder: Path | None = None
) -> Child:
    """Start it in a session of its own (see above for Windows); what it prints goes to ``log``.

    That is closed here, and was opened by whoever may wait for a disk: this one may not.

    Raises:
        OSError: the process could not be started.
    """
    with closing(log):
        if sys.platform == "linux" and _ends_are_told():
            return _LinuxChild(argv, log, environ, folder)
        return await trio.lowlevel.open_process(
            list(argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log.fileno(),
            cwd=folder,
            env=environ,
            **_APART,
        )


if sys.platform == "linux":

    @cache
    def _ends_are_told() -> bool:
        """Whether this kernel, and this build of Python, know descriptors of processes."""
        try:
            os.close(os.pidfd_open(os.getpid()))
        except (AttributeError, OSError):
            return False
        return True

    class _LinuxChild:
        def __init__(
            self,
            argv: Sequence[str],
            log: Log,
            environ: Mapping[str, str],
            folder: Path | None,
        ) -> None:
            # Streams that nobody holds any more close themselves, here after an error.
            reading, saying = os.pipe()
            try:
                self.stdin = trio.lowlevel.FdStream(saying)
                listening, writing = os.pipe()
                try:
                    self.stdout = trio.lowlevel.FdStream(listening)
                    self._process = subprocess.Popen(
                        argv,
                        stdin=reading,
                        stdout=writing,
                        stderr=log.fileno(),
                        cwd=folder,
                        env=environ,
                        start_new_session=True,
                    )
                finally:
                    os.close(writing)
            finally:
                os.close(reading)
            self.pid = self._process.pid

        @property
        def returncode(self) -> int | None:
            return self._process.poll()

        async def wait(self) -> int:
            if self._process.poll() is None:
                end = os.pidfd_open(self.pid)
                try:
                    await trio.lowlevel.wait_readable(end)
                finally:
                    os.close(end)
            return self._process.wait()

        def kill(self) -> None:
            self._process.kill()
