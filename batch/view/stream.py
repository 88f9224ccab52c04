"""Writing lines to a stream that may go away, or not be read, while the run goes on."""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Self, TextIO

from rich.console import Console

from batch.background import TOGETHER_SECONDS, BackgroundLines
from batch.events import LoadSampled, StageProgress

PASSING = (StageProgress, LoadSampled)
PASSING_BYTES = 1 << 20
"""With so much unread, what only says how far things are is left out."""

MOST_BYTES = 64 << 20
"""With so much unread nothing more is taken: the events of some 40,000 files as JSON."""


class LineStream:
    """Hands whole lines to a thread that writes them. Use it as a context manager.

    A night's work must not wait because somebody left the ``less`` open that shows it, nor end
    because it was closed: a closed pipe is no news, any other reason to fall silent is told on
    standard error. At the end, a reader that takes nothing is left alone.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.encoding = stream.encoding or "utf-8"
        self._lines: BackgroundLines | None = None
        self._put = 0
        self._silent = self._left_behind = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._lines is not None and (not self._lines.close() or self._left_behind):
            complaint = BackgroundLines(_complain, "complaint")  # the same reader may hang there
            complaint.put(b"not all was printed: nobody read it. The log of the run has the rest")
            complaint.close()

    def line(self, text: str, *, passing: bool = False) -> None:
        """Have a line written; one that is ``passing`` may be left out. Not for several threads."""
        self._write(text + "\n", PASSING_BYTES if passing else MOST_BYTES)

    @contextmanager
    def followed_by(self, console: Console) -> Iterator[None]:
        """What is printed on ``console``, which shows the same stream, comes after the lines."""
        if self._lines is None:
            yield
            return
        with console.capture() as printed:
            yield
        self._write(printed.get(), MOST_BYTES)

    def _write(self, text: str, most: int) -> None:
        if self._silent or self._left_behind:
            return
        if self._lines is None:
            self._lines = BackgroundLines(self._print, "output")
        if self._put - self._lines.written < most:
            data = text.replace("\n", os.linesep).encode(self.encoding, "backslashreplace")
            self._lines.put(data)
            self._put += len(data)
        elif most == MOST_BYTES:
            self._left_behind = True  # a gap would not be seen

    def _print(self, text: bytes) -> None:
        if self._silent:
            return
        try:
            _write_all(self.stream, text)
        except (BrokenPipeError, ValueError):  # ValueError: the stream was closed
            self._silent = True
        except OSError as error:
            self._silent = True
            if error.errno != errno.EINVAL:  # so Windows calls a broken pipe
                why = f"nothing more can be printed: {error.strerror or error}."
                _complain(f"{why} The run goes on; its log has the rest".encode())


def _complain(words: bytes) -> None:
    with suppress(OSError, ValueError):
        _write_all(sys.stderr, words + os.linesep.encode())


def _write_all(stream: TextIO, data: bytes) -> None:
    """Past its buffer: whoever hangs there has a lock that Python wants when it ends."""
    raw: Any = getattr(stream.buffer, "raw", stream.buffer)
    while data:
        taken = raw.write(data)
        if taken is None:  # it does not wait, as another program that shares it wants it
            time.sleep(TOGETHER_SECONDS)
        else:
            data = data[taken:]


class LineView:
    """What the views that write lines have in common: there is nothing to restore."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None
