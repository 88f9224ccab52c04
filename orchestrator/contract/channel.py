"""Messages on file descriptors: reserving them, writing them, reading them in one thread."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator

from orchestrator.contract.messages import (
    MAX_LINE_BYTES,
    Message,
    UnknownVersion,
    decode,
    encode,
)

LAST_WORDS_SECONDS = 3.0
"""What a process said before it ended is read within this time, if a fork of it holds its pipe."""

# Its end of the pipe is closed (EINVAL on Windows), or ours is.
_NOBODY_LISTENS = (errno.EPIPE, errno.EINVAL, errno.EBADF)


def reserve_stdio() -> tuple[int, int]:
    """Move stdin and stdout aside for messages; returns their new descriptors (input, output).

    Afterwards a stray ``print`` (from Python or from a C library) goes to stderr, which is the log,
    and a stray read gets end of file. Call it before any other code runs.
    """
    incoming, outgoing = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return incoming, outgoing


class Sender:
    """Writes messages to a descriptor from any thread. A reader that is gone is not an error."""

    def __init__(self, descriptor: int, run_id: str) -> None:
        self._descriptor = descriptor
        self._run_id = run_id
        self._lock = threading.Lock()

    def send(self, message: Message) -> None:
        """Write it, and wait while the pipe is full.

        Raises:
            OSError: somebody listens and did not get it; to wait for the answer is in vain.
        """
        data = memoryview(encode(message, self._run_id))
        with self._lock:
            try:
                while data:
                    data = data[os.write(self._descriptor, data) :]
            except OSError as error:
                if error.errno not in _NOBODY_LISTENS:
                    raise


class LineSplitter:
    """Cuts a byte stream into lines; one beyond :data:`MAX_LINE_BYTES` is given in pieces."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The complete lines, without newlines. Empty ``data`` is end of file: the last line."""
        if not data:
            rest, self._rest = self._rest, b""
            return [rest] if rest else []
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > MAX_LINE_BYTES:
            lines.append(self._rest)
            self._rest = b""
        return lines


def read_lines(descriptor: int) -> Iterator[bytes]:
    """Lines until end of file, by ``os.read``.

    A daemon thread that sits in buffered stdin aborts the interpreter at exit; in a bare
    ``os.read`` it does not.
    """
    splitter = LineSplitter()
    while True:
        try:
            data = os.read(descriptor, 65536)
        except OSError:
            data = b""
        yield from splitter.feed(data)
        if not data:
            return


def start_reader(
    descriptor: int,
    on_message: Callable[[Message], None],
    on_end: Callable[[], None],
    on_text: Callable[[bytes], object] = lambda line: None,
) -> threading.Thread:
    """Read messages in a daemon thread until end of file, then call ``on_end``.

    A message of an unknown version ends the conversation like an end of file: nothing that such a
    peer says can be relied on. ``on_text`` gets the line, for the log.
    """

    def read() -> None:
        try:
            for line in read_lines(descriptor):
                try:
                    message = decode(line)
                except UnknownVersion:
                    on_text(line)
                    return
                if message is None:
                    on_text(line)
                else:
                    on_message(message)
        finally:
            on_end()

    thread = threading.Thread(target=read, name=f"messages-{descriptor}", daemon=True)
    thread.start()
    return thread
