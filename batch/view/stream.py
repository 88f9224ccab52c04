"""Writing lines to a stream that may go away while the run goes on."""

from __future__ import annotations

import contextlib
import errno
import sys
from types import TracebackType
from typing import Self, TextIO


class LineStream:
    """Writes whole lines. Once that fails (closed pipe, full disk) it falls silent.

    A night's work must not end because somebody closed the ``less`` that was showing it. Any other
    reason than that is told on standard error.
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
        except (BrokenPipeError, ValueError):  # ValueError: the stream was closed
            self._stream = None
        except OSError as error:
            self._stream = None
            if error.errno != errno.EINVAL:  # so Windows calls a broken pipe
                with contextlib.suppress(OSError, ValueError):
                    print(
                        f"nothing more can be printed: {error.strerror or error}. The run goes"
                        " on; its batch.log and summary.json tell the rest.",
                        file=sys.stderr,
                    )


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
