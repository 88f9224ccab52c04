"""What is said to a child process: in order, and written at once where its pipe takes it."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import trio

from orchestrator.contract.messages import Message, encode


class Outbox:
    """Anybody may speak at any moment; what is said before the child is there waits for it.

    A child that is gone is told nothing. One whose pipe fails is told to end, by the end of that
    pipe: it would wait for ever for what it cannot be told.
    """

    def __init__(self) -> None:
        self._said: deque[Message] = deque()
        self._rest = b""
        self._over = False
        self._writing = False
        self._pipe: trio.abc.SendStream | None = None
        self._run_id = ""
        self._nursery: trio.Nursery | None = None

    def say(self, message: Message) -> None:
        """Send the message after those before it. No checkpoint, and no waiting."""
        if not self._over:
            self._said.append(message)
            self._send()

    def close(self) -> None:
        """Nothing more is said: the pipe ends after what was."""
        self._over = True
        self._send()

    @contextmanager
    def connected(
        self, pipe: trio.abc.SendStream, run_id: str, nursery: trio.Nursery
    ) -> Iterator[None]:
        """The child is there, and listens. What its pipe does not take at once, a task writes."""
        self._pipe, self._run_id, self._nursery = pipe, run_id, nursery
        self._send()
        try:
            yield
        finally:
            self._pipe = None
            self._forget()

    def _send(self) -> None:
        if self._pipe is None or self._nursery is None or self._writing:
            return
        if not self._written_at_once(self._pipe):
            self._writing = True
            self._nursery.start_soon(self._write, self._pipe)

    def _next(self) -> bytes:
        if not self._rest and self._said:
            self._rest = encode(self._said.popleft(), self._run_id)
        return self._rest

    def _written_at_once(self, pipe: trio.abc.SendStream) -> bool:
        """Write what the pipe takes; whether that was all."""
        if sys.platform == "win32" or not isinstance(pipe, trio.lowlevel.FdStream):
            return False
        while data := self._next():
            try:
                self._rest = data[os.write(pipe.fileno(), data) :]
            except BlockingIOError:
                return False
            except OSError:
                self._forget()
        if self._over:
            pipe.close()
        return True

    async def _write(self, pipe: trio.abc.SendStream) -> None:
        while data := self._next():
            try:
                await pipe.send_all(data)
                self._rest = b""
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                self._forget()
        self._writing = False
        if self._over:
            await pipe.aclose()

    def _forget(self) -> None:
        self._over = True
        self._said.clear()
        self._rest = b""
