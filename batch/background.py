"""Lines that a thread of their own writes: whoever has them waits for no disk and no reader."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Literal

TOGETHER_SECONDS = 0.1
"""What comes within this time is written at once, so that many lines cost few calls."""

AT_ONCE = 256
"""At most so many lines are written at once: progress is seen while a long queue gets shorter."""

PATIENCE_SECONDS = 10.0
"""How long nothing of the last lines is taken, before a disk or reader that hangs is left alone."""


class BackgroundLines:
    """Has ``write`` called with what was put, in order; it may block, and raises nothing.

    ``end`` is called when everything has been written, in that thread as well.
    """

    def __init__(
        self, write: Callable[[bytes], None], name: str, end: Callable[[], None] = lambda: None
    ) -> None:
        self._write = write
        self._end = end
        self._lines: SimpleQueue[bytes | None] = SimpleQueue()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._write_all, name=name, daemon=True)
        self._thread.start()
        self.written = 0
        """Bytes that ``write`` has returned from."""

    def put(self, lines: bytes) -> None:
        """Have lines written, which come with their ends."""
        self._lines.put(lines)

    def close(self) -> bool:
        """Have everything written that was put before, and end. False: some of it is left."""
        self._closing.set()
        self._lines.put(None)
        before = -1
        while self._thread.is_alive() and self.written != before:
            before = self.written
            self._thread.join(PATIENCE_SECONDS)
        return not self._thread.is_alive()

    def _write_all(self) -> None:
        ended = False
        while not ended:
            lines = [self._lines.get()]
            if self._lines.qsize() < AT_ONCE:
                self._closing.wait(TOGETHER_SECONDS)
            lines += [self._lines.get() for _ in range(min(self._lines.qsize(), AT_ONCE - 1))]
            ended = None in lines
            text = b"".join(line for line in lines if line is not None)
            self._write(text)
            self.written += len(text)
        self._end()


class BackgroundFile:
    """Appends lines to a file. A disk that is full or gone loses lines, and nothing else."""

    def __init__(self, path: Path, mode: Literal["ab", "wb"] = "ab") -> None:
        """Raises: OSError (the file cannot be opened)."""
        self._file = path.open(mode, buffering=0)
        self._torn = False
        self._lines = BackgroundLines(self._append, path.name, self._close)

    def write(self, line: str) -> None:
        """Have a line written, without its end; what is no UTF-8 stands there escaped."""
        self._lines.put(line.encode("utf-8", "backslashreplace") + b"\n")

    def close(self) -> None:
        """Have everything written that was said before, and end."""
        self._lines.close()

    def _append(self, text: bytes) -> None:
        text = b"\n" + text if self._torn else text
        self._torn = True
        with contextlib.suppress(OSError):
            while text:
                text = text[self._file.write(text) :]
            self._torn = False

    def _close(self) -> None:
        with contextlib.suppress(OSError):
            self._file.close()
