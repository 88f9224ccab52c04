"""The books of what is reserved of the machine, and how much there is to reserve.

A lease begins with the leave to run an attempt and ends when its job says so, or dies. Whether one
fits is the scheduler's question; the books keep to what was decided, and never lose a lease.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from batch.schedule.model import Budget, Lease

WAV_BYTES_PER_SECOND = 32_000
"""16 kHz, 16 bits, mono: what ``demux`` writes for each second of sound."""

SMALL_BYTES = 4 << 20
"""What the rest of a job leaves behind: logs, a transcript, subtitles."""

LONGEST_SECONDS = 12 * 3600.0
"""A file of unknown length is taken for no longer than this."""

DISK_RESERVE_BYTES = 256 << 20
"""Kept free on the disk of the work folder, for the database and for other programs."""


class Books:
    """The leases that run now, by the request they answer."""

    def __init__(self) -> None:
        self._leases: dict[str, Lease] = {}

    @property
    def leases(self) -> tuple[Lease, ...]:
        return tuple(self._leases.values())

    def reserve(self, lease: Lease) -> None:
        """Raises: ValueError (the request has a lease already)."""
        if lease.request in self._leases:
            raise ValueError(f"{lease.request} has a lease already")
        self._leases[lease.request] = lease

    def release(self, request: str) -> Lease | None:
        """The lease of the request, which is over; None where it had none (any more)."""
        return self._leases.pop(request, None)

    def of_file(self, file: str) -> tuple[Lease, ...]:
        return tuple(lease for lease in self._leases.values() if lease.file == file)


@dataclass(frozen=True, slots=True)
class Machine:
    """What the batch may use at most: all of the machine, or what the settings leave of it.

    ``memory_threshold`` and ``vram_threshold`` are percentages; 0: no limit but the whole.
    """

    threads: int
    ram_bytes: int
    vram_bytes: Mapping[str, int] = field(default_factory=dict)
    memory_threshold: float = 0.0
    vram_threshold: float = 0.0
    ram_limit: int | None = None
    vram_limit: int | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured a moment ago, in bytes; ``own`` is what this batch's processes use of it.

    ``vram`` maps a device to what is free on it and what is our own.
    """

    ram_free: int
    ram_own: int
    vram: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    disk_free: int | None = None


def budget_of(machine: Machine, measured: Measured | None, written: int = 0) -> Budget:
    """The budget now. ``written``: bytes that the open files have put onto the disk already.

    What other programs use is taken from what is free, so the threshold is that of the machine: at
    90 % of 16 GB the batch gets what is left of 14.4 GB. Nothing is ever negative.
    """
    ram_kept = _kept(machine.ram_bytes, machine.memory_threshold)
    ram = _least(machine.ram_bytes - ram_kept, machine.ram_limit)
    vram, vram_available = {}, {}
    for device, size in machine.vram_bytes.items():
        kept = _kept(size, machine.vram_threshold)
        vram[device] = _least(size - kept, machine.vram_limit)
        if measured is not None and device in measured.vram:
            vram_available[device] = max(0, sum(measured.vram[device]) - kept)
    if measured is None:
        return Budget(machine.threads, ram, vram)
    disk = measured.disk_free
    return Budget(
        machine.threads,
        ram,
        vram,
        ram_available=max(0, measured.ram_free + measured.ram_own - ram_kept),
        vram_available=vram_available,
        disk_bytes=None if disk is None else max(0, disk + written - DISK_RESERVE_BYTES),
    )


def disk_bytes(audio_seconds: float | None, size_bytes: int) -> int:
    """What a file takes of the disk until it is done; one of unknown length as if all of it were
    compressed sound (16 kB a second)."""
    unknown = min(size_bytes / 16_000, LONGEST_SECONDS)
    seconds = unknown if audio_seconds is None else audio_seconds
    return int(seconds * WAV_BYTES_PER_SECOND) + SMALL_BYTES


def own_of(by_process: Mapping[int, int], ours: Iterable[int], used: int, before: int) -> int:
    """How much of a device is ours: by process where the driver knows ours, else what is used
    now over what was used ``before`` the batch began."""
    known = [by_process[pid] for pid in ours if pid in by_process]
    return sum(known) if known else max(0, used - before)


def _kept(size: int, threshold: float) -> int:
    return int(size * (100.0 - threshold) / 100.0) if threshold > 0 else 0


def _least(size: int, limit: int | None) -> int:
    return max(0, size if limit is None else min(size, limit))
