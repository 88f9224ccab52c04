"""A process that outlives a run for a moment, to end what the run left behind.

Children notice that we died by the end of a pipe. One that is stopped, or that a library started in
a session of its own, does not; and nobody is left to look for it. So a run starts a guardian. It
waits for the end of a pipe as well, and then kills whatever carries the run's mark in its
environment. It has a session of its own and is deaf to signals, or the hand that stops the run
would stop it, too.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from orchestrator.contract.processes import RUN_VARIABLE, sweep

_ALL_IS_WELL = b"."
_EXIT_SECONDS = 10.0


@contextlib.contextmanager
def guarded(run_id: str) -> Iterator[None]:
    """Have a guardian while the block runs. Raises: OSError (it cannot be started)."""
    if sys.platform == "win32":
        yield  # the job objects of our children end with us
        return
    entry = Path(__file__).with_name("__main__.py")
    guardian = subprocess.Popen(
        [sys.executable, "-I", "-S", str(entry), "guard", run_id],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,
    )
    assert guardian.stdin is not None
    try:
        yield
    finally:
        # What cannot be told ends with the pipe as well, and finds nothing left of the run.
        with contextlib.suppress(OSError):
            guardian.stdin.write(_ALL_IS_WELL)
        with contextlib.suppress(OSError):
            guardian.stdin.close()
        try:
            guardian.wait(_EXIT_SECONDS)
        except subprocess.TimeoutExpired:  # it was stopped
            guardian.kill()
            guardian.wait()


def guard(run_id: str) -> None:
    """What the guardian does: wait, and clean up unless the run says that it has done so itself."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if os.read(0, 1) != _ALL_IS_WELL:
        sweep({RUN_VARIABLE: run_id})
