"""The job's side of the line to whoever supervises it, or to nobody when it runs by hand."""

from __future__ import annotations

import os
import queue
import signal
import sys
from dataclasses import dataclass
from typing import Any

from orchestrator.contract.channel import Sender, start_reader
from orchestrator.contract.messages import Cancel, Drain, Grant, Message, Request

EXIT_ORPHANED = 3


@dataclass(frozen=True, slots=True)
class FromStage:
    """Something the stage process said; None: its pipe has ended."""

    message: Message | None


class Link:
    """Sends upward, and puts everything that arrives (from above and from the stage) in one queue.

    The job is sequential: it waits on :attr:`inbox` alone.
    """

    def __init__(self, sender: Sender | None) -> None:
        self._sender = sender
        self.inbox: queue.Queue[Message | FromStage] = queue.Queue()
        self.draining = False
        self.cancelled = False

    def send(self, message: Message) -> None:
        if self._sender is not None:
            self._sender.send(message)

    def note(self, message: Message) -> None:
        """Remember what an order from above means for the rest of the job."""
        self.cancelled = self.cancelled or isinstance(message, Cancel)
        self.draining = self.draining or isinstance(message, Drain)

    @property
    def stopping(self) -> bool:
        """Whether no further stage may be started."""
        while not self.inbox.empty():
            item = self.inbox.get_nowait()
            if isinstance(item, Message):
                self.note(item)
        return self.cancelled or self.draining

    def grant(self, stage: str, attempt: str, need: dict[str, Any], threads: int) -> int | None:
        """CPU threads this attempt may use; None when told to stop while waiting for leave."""
        if self._sender is None:
            return threads
        self.send(Request(stage, attempt, need))
        while True:
            item = self.inbox.get()
            if isinstance(item, Grant) and item.attempt == attempt:
                return item.threads
            if isinstance(item, Message):
                self.note(item)
            if self.cancelled or self.draining:
                return None


def supervised(incoming: int, outgoing: int, run_id: str) -> Link:
    """A link on the descriptors that ``reserve_stdio`` returned."""
    link = Link(Sender(outgoing, run_id))
    start_reader(incoming, link.inbox.put, on_end=end_with_supervisor)
    return link


def end_with_supervisor() -> None:
    """The supervisor is gone: end the whole session of this job, grandchildren included."""
    if sys.platform != "win32" and os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(EXIT_ORPHANED)
