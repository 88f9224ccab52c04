"""Stopping by signals: the first drains with a deadline, the second stops at once."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable

import trio

from orchestrator.contract.errors import ExitCode
from orchestrator.launcher import Orders

_STOP = [signal.SIGINT, signal.SIGTERM]
if sys.platform != "win32":
    _STOP.append(signal.SIGHUP)  # the terminal was closed


def stop_signals() -> list[signal.Signals]:
    """Those to take for it: all that were not ignored when this process was started.

    So is SIGHUP under ``nohup``, and SIGINT in the background of a shell without job control.
    """
    return [one for one in _STOP if signal.getsignal(one) is not signal.SIG_IGN]


async def watch_signals(
    orders: Orders,
    everything: trio.CancelScope,
    drain: Callable[[signal.Signals, ExitCode], None],
) -> None:
    """Take signals until cancelled: the first calls ``drain``; one while draining is the end."""
    heard = stop_signals()
    if not heard:
        return
    with trio.open_signal_receiver(*heard) as signals:
        async for number in signals:
            if orders.draining.is_set():
                everything.cancel()
                return
            code = ExitCode.INTERRUPTED if number == signal.SIGINT else ExitCode.TERMINATED
            drain(signal.Signals(number), code)


async def watch_deadline(orders: Orders, drain_seconds: float) -> None:
    """Cancel what is still running when the time to drain is over."""
    await orders.draining.wait()
    await trio.sleep(drain_seconds)
    orders.cancel()
