"""Runs one command and ends it when standard input ends: ``PYTHON -I -S watched.py COMMAND...``.

An installer that outlives a killed parent would go on writing into a folder that the next run is
cleaning. Here the parent holds the other end of standard input, so its death, however sudden, is
the end of the whole command. Where this process is killed as well, the command holds the lock that
was handed on, and keeps the next run out. Standard library only: it starts before anything is
installed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from types import FrameType

_STOPS = [signal.SIGINT, signal.SIGTERM]
if sys.platform != "win32":
    _STOPS.append(signal.SIGHUP)  # the terminal was closed


def main(command: list[str]) -> int:
    """Run ``command`` in a session of its own, so that all it starts can be ended with it."""
    child: subprocess.Popen[bytes] | None = None
    stopped = False

    def stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal stopped
        first, stopped = not stopped, True
        if first and child is not None:  # else it is being started, and would be lost
            raise KeyboardInterrupt

    for number in _STOPS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
            signal.signal(number, stop)
    try:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            start_new_session=sys.platform != "win32",
            close_fds=sys.platform == "win32",  # the lock is the only one that may be inherited
        )
        if stopped:
            raise KeyboardInterrupt
        threading.Thread(target=_end_with_parent, args=(child,), daemon=True).start()
        return child.wait()
    except KeyboardInterrupt:
        return 130
    finally:
        if child is not None:
            end_tree(child)


def end_tree(child: subprocess.Popen[bytes]) -> None:
    """Kill the command and all that it started, and wait for it."""
    if sys.platform == "win32":
        if child.poll() is None:
            subprocess.run(
                ["taskkill", "/T", "/F", "/PID", str(child.pid)], check=False, capture_output=True
            )
    else:
        # After the leader has ended its group may still have members, and keeps its number.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _end_with_parent(child: subprocess.Popen[bytes]) -> None:
    # os.read: a thread inside buffered standard input aborts the interpreter at its exit.
    while os.read(0, 4096):
        pass
    end_tree(child)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
