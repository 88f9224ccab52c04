"""What an attempt finds around it, the same in a fresh process and in one that has served others.

A resident process serves one file after another. What a stage or its libraries change of the
process must not reach the next attempt: the current folder, the folder of temporary files, the
environment variables, the handlers of signals.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

_TEMPORARY = ("TMPDIR", "TEMP", "TMP")
_VARIABLES: MutableMapping[Any, Any] = os.environ if sys.platform == "win32" else os.environb
"""Not decoded where that can be, for speed."""

_SIGNALS = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGALRM", "SIGCHLD", "SIGPIPE", "SIGUSR1")
    if hasattr(signal, name)
)


@contextlib.contextmanager
def surroundings(scratch: Path) -> Iterator[None]:
    """Work in ``scratch``, with temporary files there; afterwards all is as it was.

    Raises:
        OSError: ``scratch`` cannot be entered.
    """
    folder, handlers, threads = os.getcwd(), _handlers(), set(threading.enumerate())
    variables = {name: os.environ.get(name) for name in _TEMPORARY}
    os.environ.update(dict.fromkeys(_TEMPORARY, str(scratch)))
    _forget_temporary_folder()
    os.chdir(scratch)
    try:
        yield
    finally:
        os.chdir(folder)
        for name, value in variables.items():
            _set_variable(name, value)
        _forget_temporary_folder()
        for number, handler in handlers.items():
            if signal.getsignal(number) is not handler:
                signal.signal(number, handler)
        left = [thread.name for thread in threading.enumerate() if thread not in threads]
        if left:
            print(f"threads still running after the attempt: {', '.join(left)}", file=sys.stderr)


@contextlib.contextmanager
def variables_kept() -> Iterator[None]:
    """Undo changes of environment variables.

    For the run of a stage alone: what libraries set when they are imported they set only once, and
    expect to find again.
    """
    before = dict(_VARIABLES)
    try:
        yield
    finally:
        now = dict(_VARIABLES)
        for name in now.keys() - before.keys():
            del _VARIABLES[name]
        for name, value in before.items():
            if now.get(name) != value:
                _VARIABLES[name] = value


@contextlib.contextmanager
def prints_to(log: Path) -> Iterator[None]:
    """Send what is printed, by Python or by a C library, to the end of ``log``.

    Raises:
        OSError: the log cannot be opened.
    """
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    before = [(number, os.dup(number)) for number in (1, 2)]
    try:
        _flush()
        for number, _ in before:
            os.dup2(descriptor, number)
        yield
    finally:
        _flush()
        for number, kept in before:
            os.dup2(kept, number)
            os.close(kept)
        os.close(descriptor)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # a full disk; a stream that was closed
            stream.flush()


def _handlers() -> dict[signal.Signals, Any]:
    """The handlers that can be put back: those of C code are unknown to Python."""
    found = {number: signal.getsignal(number) for number in _SIGNALS}
    return {number: handler for number, handler in found.items() if handler is not None}


def _set_variable(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    elif os.environ.get(name) != value:
        os.environ[name] = value


def _forget_temporary_folder() -> None:
    """Let ``tempfile`` look at the environment again, if anybody has imported it."""
    tempfile = sys.modules.get("tempfile")
    if tempfile is not None:
        tempfile.tempdir = None  # type: ignore[attr-defined]
