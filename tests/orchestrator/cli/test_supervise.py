"""What stops a job that is run by hand, and how soon."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from orchestrator.child import Log
from orchestrator.cli.supervise import Stop, supervise
from orchestrator.contract.errors import ExitCode
from orchestrator.launcher import JobCommand, Orders

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are not sent there")


async def test_at_the_deadline_the_job_is_cancelled(autojump_clock: MockClock) -> None:
    """It was waited for without end."""
    stop = Stop(Orders(), 30.0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stop.watch_deadline)
        await trio.sleep(1000)
        assert not stop.orders.cancelling.is_set()
        stop.orders.drain()
        await trio.sleep(29.9)
        assert not stop.orders.cancelling.is_set()
    assert stop.orders.cancelling.is_set()
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
    number: signal.Signals, code: ExitCode
) -> None:
    stop = Stop(Orders(), 30.0)
    with trio.CancelScope() as everything:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stop.watch_signals, everything)
            await trio.testing.wait_all_tasks_blocked()
            os.kill(os.getpid(), number)
            await stop.orders.draining.wait()
            assert not everything.cancel_called
            assert not stop.orders.cancelling.is_set()
            os.kill(os.getpid(), signal.SIGTERM)
            await trio.sleep_forever()
    assert everything.cancelled_caught
    assert stop.exit_code is code


@pytest.fixture
def ignored(request: pytest.FixtureRequest) -> Iterator[None]:
    """We were started with these signals ignored."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in request.param}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    "ignored", [[signal.SIGHUP], [signal.SIGHUP, signal.SIGINT, signal.SIGTERM]], indirect=True
)
async def test_what_was_ignored_at_the_start_stays_ignored(ignored: None) -> None:
    """``nohup`` has a program outlive the terminal."""
    stop = Stop(Orders(), 30.0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stop.watch_signals, trio.CancelScope())
        await trio.testing.wait_all_tasks_blocked()
        os.kill(os.getpid(), signal.SIGHUP)
        await trio.testing.wait_all_tasks_blocked()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        nursery.cancel_scope.cancel()
    assert not stop.orders.draining.is_set()
    assert stop.exit_code is ExitCode.OK


async def test_a_job_that_nobody_stops_ends_by_itself(tmp_path: Path) -> None:
    command = JobCommand([sys.executable, "-I", "-c", "pass"], "1", "r1", Log(tmp_path / "log"))
    assert await supervise(command, lambda _message: None, 30.0) is ExitCode.OK
