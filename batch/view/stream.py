"""Writing lines to a stream that may go away while the run goes on."""

from __future__ import annotations

from types import TracebackType
from typing import Self, TextIO


class LineStream:
    """Writes whole lines. Once the reader is gone (closed pipe, full disk) it falls silent.

    A night's work must not end because somebody closed the ``less`` that was showing it.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream: TextIO | None = stream
        self.encoding = stream.encoding or "utf-8"

    def write(self, line: str) -> None:
        if self._stream is None:
            return
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except (OSError, ValueError):  # ValueError: the stream was closed
            self._stream = None


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
