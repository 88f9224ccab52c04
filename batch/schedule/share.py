"""How many CPU threads an attempt gets that can use any number of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from batch.schedule.model import CPU, Lease, Snapshot, Step

THREAD_GAIN = 0.52
"""n threads are n ** 0.52 times as fast as one (measured: two threads 1.43 times, tiny.en)."""

WORTH_WAITING = 0.95
"""An attempt waits for more threads where it then ends within so much of its time."""

_HALVINGS = 12
"""The time of the rest is known to 1/4096: expectations are not as good."""


def threads_speed(threads: int) -> float:
    """How much faster an elastic attempt is than with one thread."""
    return float(threads**THREAD_GAIN)


class Share:
    """The threads of elastic attempts.

    Usually the budget is shared by as many files as can be worked on: that does most work in a
    second. Towards the end one long file would go on alone with one thread, while all others stand
    idle. So where all files are in sight, and one of them would outlast the rest, each gets so many
    threads that all end together.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._threads = snapshot.budget.cpu_threads
        known = len(snapshot.files) + len(snapshot.queue)
        at_once = snapshot.max_workers if snapshot.more else min(snapshot.max_workers, known)
        self.usual = max(1, self._threads // max(1, at_once))

    def of(self, step: Step) -> int:
        if self.rest_s is None:
            return self.usual
        wanted = float((step.run_s / self.rest_s) ** (1 / THREAD_GAIN))
        return max(self.usual, min(self._threads, round(wanted)))

    def is_long(self, step: Step) -> bool:
        """Whether it would outlast all others with one thread."""
        return step.elastic and self.rest_s is not None and step.run_s > self.rest_s

    @cached_property
    def rest_s(self) -> float | None:
        """In how many seconds all can be done; None where nothing outlasts the rest, or more may
        come."""
        snapshot = self._snapshot
        if snapshot.more:
            return None
        running = {lease.file for lease in snapshot.leases}
        left = [file.steps[file.file in running :] for file in snapshot.files]
        left += [file.steps for file in snapshot.queue]
        times = [step.run_s for steps in left for step in steps if step.elastic]
        under_way = sum(
            _left(lease, snapshot.now) * lease.need.cpu_threads
            for lease in snapshot.leases
            if lease.device == CPU
        )
        return _time_of(times, under_way, self._threads)

    def waits(self, step: Step, free: int) -> bool:
        """Whether it ends sooner if it waits for more threads; never while more may come."""
        wanted = self.of(step)
        if not step.elastic or self.rest_s is None or wanted <= free or free < 1:
            return False
        best = now = step.run_s / threads_speed(free)
        snapshot = self._snapshot
        ends = sorted(
            (_left(lease, snapshot.now), lease.need.cpu_threads)
            for lease in snapshot.leases
            if lease.device == CPU
        )
        for seconds, threads in ends:
            free += threads
            best = min(best, seconds + step.run_s / threads_speed(min(wanted, free)))
        return best < WORTH_WAITING * now


def _left(lease: Lease, now: float) -> float:
    """Expected seconds until it ends; one that is late may take as long again as it is late."""
    return abs(lease.expected_end - now)


def _time_of(times: Sequence[float], under_way: float, threads: int) -> float | None:
    """The shortest time in which ``times`` (seconds with one thread) and the thread seconds under
    way can be done, if no other than the threads of each matter; None where each needs but one."""
    longest, low = max(times, default=0.0), (sum(times) + under_way) / threads
    if longest <= low:
        return None
    long = [one for one in times if one > low]
    rest = sum(times) - sum(long) + under_way
    high = longest
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        taken = rest + sum(
            middle * (one / middle) ** (1 / THREAD_GAIN) if one > middle else one for one in long
        )
        low, high = (low, middle) if taken <= threads * middle else (middle, high)
    return high
