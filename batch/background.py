"""Lines that a thread of their own writes: whoever has them does not wait for the disk."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from queue import SimpleQueue
from typing import Literal

TOGETHER_SECONDS = 0.1
"""What comes within this time is written at once, so that many lines cost few calls."""

PATIENCE_SECONDS = 10.0
"""How long the last lines may take at the end, before a disk that hangs is left alone."""


class BackgroundFile:
    """Appends lines to a file. A disk that is full or gone loses lines, and nothing else."""

    def __init__(self, path: Path, mode: Literal["ab", "wb"] = "ab") -> None:
        """Raises: OSError (the file cannot be opened)."""
        self._file = path.open(mode, buffering=0)
        self._lines: SimpleQueue[bytes | None] = SimpleQueue()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._write_all, name=path.name, daemon=True)
        self._thread.start()

    def write(self, line: str) -> None:
        """Have a line written, without its end; what is no UTF-8 stands there escaped."""
        self._lines.put(line.encode("utf-8", "backslashreplace") + b"\n")

    def close(self) -> None:
        """Have everything written that was said before, and end."""
        self._closing.set()
        self._lines.put(None)
        self._thread.join(PATIENCE_SECONDS)

    def _write_all(self) -> None:
        torn, ended = False, False
        while not ended:
            lines = [self._lines.get()]
            self._closing.wait(TOGETHER_SECONDS)
            lines += [self._lines.get() for _ in range(self._lines.qsize())]
            ended = None in lines
            text = b"".join(line for line in lines if line is not None)
            torn = not self._written(b"\n" + text if torn else text)
        with contextlib.suppress(OSError):
            self._file.close()

    def _written(self, text: bytes) -> bool:
        """Whether the whole of it was written."""
        try:
            while text:
                text = text[self._file.write(text) :]
        except OSError:
            return False
        return True
