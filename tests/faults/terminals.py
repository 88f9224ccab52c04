"""Run the command in a terminal of its own, and take what it prints there."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios

import yaml

from tests.end_to_end.conftest import Batch

_SIZE = struct.pack("HHHH", 40, 120, 0, 0)


def run_in_terminal(batch: Batch, *arguments: str) -> tuple[int, str]:
    """The exit code, and all that a terminal of 40 lines of 120 cells was sent."""
    batch.config.write_text(yaml.safe_dump(batch.settings))
    argv = [sys.executable, "-m", "batch", str(batch.library), *arguments]
    argv += ["--work-dir", str(batch.work.root), "--config", str(batch.config)]
    screen, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, _SIZE)
    process = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=terminal,
        stderr=terminal,
        env={**batch.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "40"},
        cwd=batch.folder,
    )
    os.close(terminal)
    pieces = []
    with contextlib.suppress(OSError):  # how a terminal says that nobody writes to it any more
        while piece := os.read(screen, 65536):
            pieces.append(piece)
    os.close(screen)
    return process.wait(), b"".join(pieces).decode("utf-8", "surrogateescape")
