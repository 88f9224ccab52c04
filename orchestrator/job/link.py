"""The job's side of the line to whoever supervises it, or to nobody when it runs by hand."""

from __future__ import annotations

import queue
import time

from orchestrator.contract.channel import Sender, start_reader
from orchestrator.contract.messages import Cancel, Drain, Grant, Message, Request
from orchestrator.contract.processes import end_family
from orchestrator.contract.records import Record

EXIT_ORPHANED = 3


class FromStage(Record):
    """Something the process of an attempt said; None: its pipe has ended."""

    attempt: str
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

    def ask(self, request: Request, threads: int) -> Grant | None:
        """Ask for leave to run an attempt; None when told to stop while waiting for it.

        Nobody to ask: the attempt may have ``threads`` CPU threads.
        """
        if self._sender is None:
            return Grant(request.stage, request.attempt, threads)
        self.send(request)
        while True:
            item = self.inbox.get()
            if isinstance(item, Grant) and item.attempt == request.attempt:
                return item
            if isinstance(item, Message):
                self.note(item)
            if self.cancelled or self.draining:
                return None

    def pause(self, seconds: float) -> bool:
        """Wait; False: told to stop meanwhile."""
        end = time.monotonic() + seconds
        while not self.stopping:
            try:
                item = self.inbox.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                return True
            if isinstance(item, Message):
                self.note(item)
        return False


def supervised(incoming: int, outgoing: int, run_id: str) -> Link:
    """A link on the descriptors that ``reserve_stdio`` returned.

    When the supervisor is gone, the job ends, and all that it started.
    """
    link = Link(Sender(outgoing, run_id))
    start_reader(incoming, link.inbox.put, on_end=lambda: end_family(EXIT_ORPHANED))
    return link
