"""Measure the machine's load, and this batch's own part of it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import psutil

from batch.admission import Load


class LoadSampler:
    """Call it for a sample over the time since the last call. Costs about 1 ms; run in a thread.

    ``gpu`` returns (utilisation, memory use) in percent, or None where there is no GPU.
    """

    def __init__(self, gpu: Callable[[], tuple[float, float] | None] = lambda: None) -> None:
        self._gpu = gpu
        self._self = psutil.Process()
        self._cores = psutil.cpu_count() or 1
        self._times = time.monotonic(), self._own_seconds()
        self._machine = _machine_seconds()

    def __call__(self) -> Load:
        now, own = time.monotonic(), self._own_seconds()
        before, own_before = self._times
        self._times = now, own
        busy_before, all_before = self._machine
        busy, everything = self._machine = _machine_seconds()
        elapsed = max(now - before, 1e-6)
        gpu = self._gpu()
        return Load(
            at=now,
            cpu=_percent(busy - busy_before, everything - all_before),
            own_cpu=_percent(own - own_before, elapsed * self._cores),
            memory=psutil.virtual_memory().percent,
            gpu=gpu[0] if gpu else None,
            vram=gpu[1] if gpu else None,
        )

    def _own_seconds(self) -> float:
        """CPU seconds of this process and its living descendants, and of children that ended.

        A descendant that ended between two samples moves its time into its parent's
        ``children_*``, so nothing is lost but what an orphan used.
        """
        times = self._self.cpu_times()
        total = times.user + times.system + times.children_user + times.children_system
        with contextlib.suppress(psutil.Error):
            for child in self._self.children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    one = child.cpu_times()
                    total += one.user + one.system + one.children_user + one.children_system
        return float(total)


def _machine_seconds() -> tuple[float, float]:
    """CPU seconds of all cores since boot: in use, and in all.

    Programs that were started as nice ones step back by themselves and do not count as use; nor
    does time that a hypervisor gave to other machines.

    Not ``psutil.cpu_percent``: it remembers its last call per thread, so a sample taken in a
    thread's first call is always 0 %.
    """
    times = psutil.cpu_times()
    guests = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)  # in user, nice
    everything = float(sum(times)) - guests
    free = ("idle", "iowait", "nice", "steal")
    return everything - sum(getattr(times, name, 0.0) for name in free), everything


def _percent(part: float, whole: float) -> float:
    return min(100.0, max(0.0, 100.0 * part / whole)) if whole > 0 else 0.0
