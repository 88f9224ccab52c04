"""How long something has made no progress, where time that the machine slept does not count."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from orchestrator.contract.records import Record

NOTICEABLE_SLEEP_SECONDS = 1.0
"""Clocks that are read one after the other differ a little without any sleep."""


class Moment(Record):
    """``awake``: seconds for which the machine ran; ``passed``: with those that it slept."""

    awake: float
    passed: float


def slept_seconds(earlier: Moment, later: Moment) -> float:
    """How long the machine slept between two moments."""
    slept = (later.passed - earlier.passed) - (later.awake - earlier.awake)
    return slept if slept >= NOTICEABLE_SLEEP_SECONDS else 0.0


def seconds_left(limit: float, last_sign: Moment, now: Moment) -> float:
    """How much longer to wait for a sign of progress; 0: it is stuck.

    After a sleep all of the limit is given again from now: disks spin up, shares connect again.
    """
    if slept_seconds(last_sign, now):
        return limit
    return max(0.0, limit - (now.awake - last_sign.awake))


class Watchdog:
    """Tells when there was no :meth:`sign` for ``limit`` seconds."""

    def __init__(self, limit: float, now: Callable[[], Moment] | None = None) -> None:
        self._limit = limit
        self._now = now or moment
        self._last_sign = self._now()

    def sign(self) -> None:
        """There is progress."""
        self._last_sign = self._now()

    def seconds_left(self) -> float:
        """How long to wait until looking again; 0: it is stuck."""
        now = self._now()
        if slept_seconds(self._last_sign, now):
            self._last_sign = now
        return seconds_left(self._limit, self._last_sign, now)


if sys.platform == "win32":
    import ctypes

    def moment() -> Moment:
        """The clocks of now."""
        ticks = ctypes.c_ulonglong()
        ctypes.windll.kernel32.QueryUnbiasedInterruptTime(ctypes.byref(ticks))
        return Moment(ticks.value / 1e7, time.monotonic())  # which runs on during sleep there

else:
    # Linux and macOS: monotonic stops while the machine sleeps, these do not.
    _PASSED = time.CLOCK_BOOTTIME if sys.platform == "linux" else time.CLOCK_MONOTONIC

    def moment() -> Moment:
        """The clocks of now."""
        return Moment(time.monotonic(), time.clock_gettime(_PASSED))
