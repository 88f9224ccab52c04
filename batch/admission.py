"""Whether a new file may be started now: thresholds with hysteresis, as a pure state machine."""

from __future__ import annotations

from dataclasses import dataclass, replace

from batch.leases import Measured

HYSTERESIS_PERCENT = 10.0
"""A hold ends this far below its threshold, so that it does not flicker around it."""

NOTICEABLE_PERCENT = 10.0
"""Use of the CPU by other programs below this is a desktop idling, not work to yield to."""


@dataclass(frozen=True, slots=True)
class Load:
    """One sample; percentages of the whole machine. ``own_…`` is this batch with all children.

    ``vram`` is of the GPU that others leave us most of; ``measured`` the same in bytes.
    """

    at: float
    cpu: float
    own_cpu: float
    memory: float
    gpu: float | None = None
    vram: float | None = None
    own_memory: float = 0.0
    own_vram: float = 0.0
    measured: Measured | None = None

    @property
    def cpu_pressure(self) -> float:
        """How much of the CPU that this batch leaves over is in use by other programs, in percent.

        The machine's total would hold back our own second file because of our first. The others'
        share alone is too small once we compete: two busy programs on two cores that share them
        with one of our threads get 67 % and would take 100 %.
        """
        others = max(0.0, self.cpu - self.own_cpu)
        if others < NOTICEABLE_PERCENT:
            return others
        return _of_what_we_leave(self.cpu, self.own_cpu)

    @property
    def memory_pressure(self) -> float:
        """How much of the memory that this batch leaves over is in use by other programs.

        What the batch itself may take is decided by what it reserves.
        """
        return _of_what_we_leave(self.memory, self.own_memory)

    @property
    def vram_pressure(self) -> float | None:
        """The same of the GPU's memory."""
        return None if self.vram is None else _of_what_we_leave(self.vram, self.own_vram)


def _of_what_we_leave(total: float, own: float) -> float:
    others = max(0.0, total - own)
    return min(100.0, 100.0 * others / max(others, 100.0 - own, 1e-9))


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Percentages at which new files are held back; 0 switches one off."""

    cpu: float
    memory: float
    vram: float
    delay_seconds: float


@dataclass(frozen=True, slots=True)
class Hold:
    """New files are held back since ``since``; ``calm_since`` when the load began to be low.

    ``cause`` is ``cpu``, ``memory`` or ``vram``; ``reason`` says in words how it began.
    """

    cause: str
    reason: str
    since: float
    calm_since: float | None = None


_CAUSES = {
    "cpu": "other programs use the CPU",
    "memory": "memory is full",
    "vram": "GPU memory is full",
}


def next_hold(hold: Hold | None, load: Load, limits: Thresholds) -> Hold | None:
    """The state after a sample. None: new files may start.

    A hold begins with the first sample at or over a threshold. It ends when the load has stayed
    :data:`HYSTERESIS_PERCENT` below all thresholds for ``delay_seconds``.
    """
    over = _over(load, limits, margin=0.0)
    if over is not None:
        cause, reason = over
        if hold is not None:
            return Hold(cause, hold.reason if cause == hold.cause else reason, hold.since)
        return Hold(cause, reason, load.at)
    if hold is None:
        return None
    if _over(load, limits, margin=HYSTERESIS_PERCENT) is not None:
        return replace(hold, calm_since=None)
    calm_since = load.at if hold.calm_since is None else hold.calm_since
    if load.at - calm_since >= limits.delay_seconds:
        return None
    return replace(hold, calm_since=calm_since)


def _over(load: Load, limits: Thresholds, margin: float) -> tuple[str, str] | None:
    """The first cause whose threshold, less ``margin``, is reached, and in words."""
    for cause, value, limit in (
        ("memory", load.memory_pressure, limits.memory),
        ("vram", load.vram_pressure, limits.vram),
        ("cpu", load.cpu_pressure, limits.cpu),
    ):
        if limit > 0 and value is not None and value >= limit - margin:
            return cause, f"{_CAUSES[cause]}: {value:.0f} % (threshold {limit:.0f} %)"
    return None
