"""The one place from which provisioning starts other programs, and the lock they work under."""

from __future__ import annotations

import contextlib
import os
import queue
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from orchestrator.contract.locks import LockHeld, ProcessLock, describe_holder
from orchestrator.contract.secrets import masked, secret_values

TICK_SECONDS = 0.2
"""How often a caller of :func:`run` gets to look at its command's progress."""

_TAIL_LINES = 400
_WATCHED = Path(__file__).with_name("watched.py")

Report = Callable[[str], None]


def no_report(_line: str) -> None:
    """A :data:`Report` for callers that want none."""


@dataclass(frozen=True, slots=True)
class Completed:
    """How a command ended: its exit status and the last lines of its output, secrets removed."""

    status: int
    lines: tuple[str, ...]

    def last_lines(self, count: int = 12) -> str:
        """The last ``count`` lines that hold something, for an error message."""
        return "\n".join([line for line in self.lines if line.strip()][-count:])


class BuildLock(ProcessLock):
    """A lock that a started command holds too, so it is free only when both have ended."""

    def fileno(self) -> int:
        return self._descriptor


@contextlib.contextmanager
def build_lock(path: Path, what: str, report: Report) -> Iterator[BuildLock]:
    """Hold the lock at ``path``, after waiting for whoever else is making ``what``.

    Raises:
        OSError: the lock cannot be made, or the file system cannot lock.
    """
    lock = BuildLock(path)
    try:
        lock.__enter__()
    except LockHeld as held:
        report(f"waiting: {describe_holder(held.holder)} is making {what}")
        lock = BuildLock(path, wait=True)
        lock.__enter__()
    try:
        yield lock
    finally:
        lock.__exit__(None, None, None)


def run(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    cwd: Path,
    lock: BuildLock | None = None,
    on_line: Report = no_report,
    on_tick: Callable[[], None] | None = None,
) -> Completed:
    """Run a command to its end; it is ended with all its children when this process dies.

    Secrets of its environment are hidden in all that it prints.

    Args:
        lock: kept held until the command has ended, even when this process is killed.
        on_line: called in this thread with each line the command prints.
        on_tick: called in this thread about every :data:`TICK_SECONDS` while nothing is printed.

    Raises:
        OSError: Python itself could not be started.
    """
    kept = () if lock is None or sys.platform == "win32" else (lock.fileno(),)
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", str(_WATCHED), *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=dict(environment),
        cwd=cwd,
        pass_fds=kept,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    reader = threading.Thread(
        target=_read, args=(process.stdout, lines, secret_values(environment)), daemon=True
    )
    reader.start()
    tail: deque[str] = deque(maxlen=_TAIL_LINES)
    try:
        while True:
            try:
                line = lines.get(timeout=TICK_SECONDS)
            except queue.Empty:
                if on_tick is not None:
                    on_tick()
                continue
            if line is None:
                break
            tail.append(line)
            on_line(line)
        status = process.wait()
    finally:
        process.stdin.close()
        process.wait()
        reader.join()
        process.stdout.close()
    return Completed(status, tuple(tail))


def _read(stream: IO[bytes], lines: queue.SimpleQueue[str | None], secrets: Sequence[str]) -> None:
    for raw in stream:
        lines.put(masked(raw.decode("utf-8", "replace").rstrip(), secrets))
    lines.put(None)


_OF_ANOTHER_PYTHON = (
    "PYTHONPATH",
    "PYTHONHOME",
    "PYTHONDONTWRITEBYTECODE",
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "UV_PROJECT_ENVIRONMENT",
)


def clean_environment(base: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without what would make a child use another Python's packages.

    ``PYTHONDONTWRITEBYTECODE`` goes too: without bytecode each start of a large environment pays
    for it again (14.4 s instead of 5.4 s for pyannote.audio).
    """
    variables = os.environ if base is None else base
    return {name: value for name, value in variables.items() if name not in _OF_ANOTHER_PYTHON}
