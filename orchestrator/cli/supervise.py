"""Run one job to its end, or until signals stop it: the first drains it, the second kills it."""

from __future__ import annotations

import signal
from collections.abc import Callable

import trio

from orchestrator.contract.errors import ExitCode
from orchestrator.contract.messages import Message
from orchestrator.launcher import JobCommand, Orders, run_job_process
from orchestrator.signals import watch_deadline, watch_signals


async def supervise(
    command: JobCommand, handle: Callable[[Message], Message | None], drain_seconds: float
) -> ExitCode:
    """Run the job; what it leaves says how it went. Not ``OK``: signals have stopped it.

    After the first it may end the stage that it is at, for ``drain_seconds``.

    Raises:
        OSError: its process could not be started.
    """
    stop = Stop(Orders(), drain_seconds)
    with trio.CancelScope() as everything:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stop.watch_signals, everything)
            nursery.start_soon(stop.watch_deadline)
            await run_job_process(command, handle, stop.orders)
            nursery.cancel_scope.cancel()
    return stop.exit_code


class Stop:
    """Why the job stops early, and until when it may do so by itself."""

    def __init__(self, orders: Orders, drain_seconds: float) -> None:
        self.orders = orders
        self.exit_code = ExitCode.OK
        self._drain_seconds = drain_seconds

    async def watch_signals(self, everything: trio.CancelScope) -> None:
        """Take signals until cancelled; the second one cancels ``everything``."""
        await watch_signals(self.orders, everything, self._drain)

    async def watch_deadline(self) -> None:
        """Cancel the job when the time to drain is over."""
        await watch_deadline(self.orders, self._drain_seconds)

    def _drain(self, _number: signal.Signals, code: ExitCode) -> None:
        self.exit_code = code
        self.orders.drain()
