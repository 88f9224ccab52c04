"""Measure the machine's load and what is free of it, and this batch's own part."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import psutil

from batch.admission import Load
from batch.leases import Measured, own_of
from orchestrator.hardware import GpuMeter


@dataclass(frozen=True, slots=True)
class GpuReading:
    """Memory of one device in bytes, ``own`` by this batch; utilisation in percent."""

    free: int
    own: int
    total: int
    utilisation: float


class Gpus:
    """The devices that the batch may use: names as leases have them, to their indices."""

    def __init__(self, devices: Mapping[str, int], meter: GpuMeter | None = None) -> None:
        self._devices = dict(devices)
        self._meter = meter or GpuMeter()
        self._before: dict[str, int] = {}

    def read(self, ours: Collection[int]) -> dict[str, GpuReading]:
        """``ours``: the ids of this batch's processes. A device that cannot say is left out."""
        readings = {}
        for device, index in self._devices.items():
            memory, use = self._meter.memory(index), self._meter.read(index)
            if memory is None or use is None:
                continue
            used = memory.total_bytes - memory.free_bytes
            before = self._before.setdefault(device, used)
            own = own_of(memory.by_process, ours, used, before)
            readings[device] = GpuReading(
                memory.free_bytes, own, memory.total_bytes, use.utilisation
            )
        return readings


class Counters(NamedTuple):
    """CPU seconds at the moment ``at``: of this process and its children, and of all cores since
    boot, in use and in all that there were."""

    at: float
    own: float
    busy: float
    everything: float


def counters() -> Counters:
    """How they stand now."""
    return Counters(time.monotonic(), _own()[0], *_machine_seconds())


class LoadSampler:
    """Call it for a sample over the time since the last call. Costs about 1 ms; run in a thread.

    ``gpus`` tells of the GPUs that may be used; ``disk`` is a folder on the disk to watch; the
    first sample is over the time since ``since``.
    """

    def __init__(
        self,
        gpus: Callable[[Collection[int]], Mapping[str, GpuReading]] = lambda ours: {},
        disk: Path | None = None,
        since: Counters | None = None,
    ) -> None:
        self._gpus = gpus
        self._disk = disk
        self._before = since or counters()

    @property
    def elapsed(self) -> float:
        """Seconds since the last sample."""
        return time.monotonic() - self._before.at

    def __call__(self) -> Load:
        now, (own, own_bytes, pids) = time.monotonic(), _own()
        before, self._before = self._before, Counters(now, own, *_machine_seconds())
        busy = self._before.busy - before.busy
        everything = self._before.everything - before.everything
        memory = psutil.virtual_memory()
        gpus = self._gpus(pids)
        roomiest = max(gpus.values(), key=lambda one: one.free + one.own, default=None)
        return Load(
            at=now,
            cpu=_percent(busy, everything),
            own_cpu=_percent(own - before.own, everything),
            memory=memory.percent,
            gpu=max((one.utilisation for one in gpus.values()), default=None),
            vram=_percent(roomiest.total - roomiest.free, roomiest.total) if roomiest else None,
            own_memory=_percent(own_bytes, memory.total),
            own_vram=_percent(roomiest.own, roomiest.total) if roomiest else 0.0,
            measured=Measured(
                ram_free=memory.available,
                ram_own=own_bytes,
                vram={name: (one.free, one.own) for name, one in gpus.items()},
                disk_free=self._disk_free(),
            ),
        )

    def _disk_free(self) -> int | None:
        if self._disk is None:
            return None
        try:
            return shutil.disk_usage(self._disk).free
        except OSError:
            return None


def _own() -> tuple[float, int, list[int]]:
    """CPU seconds, resident bytes and ids of this process and its living descendants.

    The seconds include those of children that ended: a descendant that ended between two samples
    moves its time into its parent's ``children_*``, so nothing is lost but what an orphan used.
    Pages that processes share count for each of them.
    """
    seconds, resident, pids = 0.0, 0, []
    this = psutil.Process()
    family = [this]
    with contextlib.suppress(psutil.Error):
        family += this.children(recursive=True)
    for process in family:
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            seconds += times.user + times.system + times.children_user + times.children_system
            resident += process.memory_info().rss
            pids.append(process.pid)
    return float(seconds), resident, pids


def _machine_seconds() -> tuple[float, float]:
    """CPU seconds of all cores since boot: in use, and in all that there were.

    Programs that were started as nice ones step back by themselves and do not count as use. Time
    that a hypervisor gave to other machines was never there: with a quarter of it gone, two busy
    programs on two cores would look like three quarters of a busy machine.

    Not ``psutil.cpu_percent``: it remembers its last call per thread, so a sample taken in a
    thread's first call is always 0 %.
    """
    times = psutil.cpu_times()
    guests = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)  # in user, nice
    everything = float(sum(times)) - guests - getattr(times, "steal", 0.0)
    free = ("idle", "iowait", "nice")
    return everything - sum(getattr(times, name, 0.0) for name in free), everything


def _percent(part: float, whole: float) -> float:
    return min(100.0, max(0.0, 100.0 * part / whole)) if whole > 0 else 0.0
