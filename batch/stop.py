"""Stopping: the first signal drains with a deadline, the second stops at once."""

from __future__ import annotations

from collections.abc import Callable

import trio

from batch.events import Draining, Event
from orchestrator.contract.errors import ErrorInfo, ExitCode
from orchestrator.launcher import Orders
from orchestrator.signals import watch_deadline, watch_signals


class Stop:
    """Why and how a run stops early. ``requested`` is set with the first reason."""

    def __init__(self, orders: Orders, drain_seconds: float, emit: Callable[[Event], None]) -> None:
        self.requested = trio.Event()
        self.exit_code: ExitCode | None = None
        self.error: ErrorInfo | None = None
        self._orders = orders
        self._drain_seconds = drain_seconds
        self._emit = emit

    def drain(self, reason: str, exit_code: ExitCode, error: ErrorInfo | None = None) -> None:
        """Start no new file; let those in progress end their stage."""
        if self.exit_code is not None:
            return
        self.exit_code, self.error = exit_code, error
        self._orders.drain()
        self.requested.set()
        self._emit(Draining(reason, self._drain_seconds))

    async def watch_deadline(self) -> None:
        """Cancel what is still running when the time to drain is over."""
        await watch_deadline(self._orders, self._drain_seconds)

    async def watch_signals(self, everything: trio.CancelScope) -> None:
        """Take signals until cancelled; the second one cancels ``everything``."""
        await watch_signals(
            self._orders, everything, lambda number, code: self.drain(number.name, code)
        )
