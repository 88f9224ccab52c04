from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
import trio
from trio.testing import MockClock

from batch.events import Draining
from batch.stop import Stop
from orchestrator.contract.errors import ErrorInfo, ExitCode
from orchestrator.launcher import Orders
from orchestrator.signals import stop_signals

from .conftest import Ear


def test_the_first_reason_counts(ear: Ear) -> None:
    orders = Orders()
    stop = Stop(orders, 30.0, ear)
    assert not stop.requested.is_set()
    error = ErrorInfo("disk_full", "no space")
    stop.drain("no space", ExitCode.RESUMABLE, error)
    stop.drain("SIGINT", ExitCode.INTERRUPTED)
    assert stop.requested.is_set()
    assert orders.draining.is_set()
    assert not orders.cancelling.is_set()
    assert (stop.exit_code, stop.error) == (ExitCode.RESUMABLE, error)
    assert ear.events == [Draining("no space", 30.0)]


async def test_at_the_deadline_what_still_runs_is_cancelled(
    autojump_clock: MockClock, ear: Ear
) -> None:
    orders = Orders()
    stop = Stop(orders, 30.0, ear)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stop.watch_deadline)
        await trio.sleep(1000)
        assert not orders.cancelling.is_set()
        stop.drain("SIGTERM", ExitCode.TERMINATED)
        await trio.sleep(29.9)
        assert not orders.cancelling.is_set()
    assert orders.cancelling.is_set()
    assert trio.current_time() == pytest.approx(1030)


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGINT, ExitCode.INTERRUPTED),
        (signal.SIGTERM, ExitCode.TERMINATED),
        (signal.SIGHUP, ExitCode.TERMINATED),
    ],
)
async def test_one_signal_drains_and_another_cancels(
    number: signal.Signals, code: ExitCode, ear: Ear
) -> None:
    stop = Stop(Orders(), 30.0, ear)
    with trio.CancelScope() as everything:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stop.watch_signals, everything)
            await trio.testing.wait_all_tasks_blocked()
            os.kill(os.getpid(), number)
            await stop.requested.wait()
            assert not everything.cancel_called
            os.kill(os.getpid(), signal.SIGTERM)
            await trio.sleep_forever()
    assert everything.cancelled_caught
    assert stop.exit_code is code
    assert ear.events == [Draining(number.name, 30.0)]


@pytest.fixture
def restored() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in stop_signals()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


async def test_what_is_ignored_from_the_start_stays_so(restored: None, ear: Ear) -> None:
    """``nohup`` has it so: the terminal may be closed and the run goes on."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    stop = Stop(Orders(), 30.0, ear)
    with trio.CancelScope() as everything:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stop.watch_signals, everything)
            await trio.testing.wait_all_tasks_blocked()
            os.kill(os.getpid(), signal.SIGHUP)
            os.kill(os.getpid(), signal.SIGTERM)
            await stop.requested.wait()
            nursery.cancel_scope.cancel()
    assert ear.events == [Draining("SIGTERM", 30.0)]
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


async def test_all_may_be_ignored(restored: None, ear: Ear) -> None:
    for number in stop_signals():
        signal.signal(number, signal.SIG_IGN)
    await Stop(Orders(), 30.0, ear).watch_signals(trio.CancelScope())
    assert ear.events == []
