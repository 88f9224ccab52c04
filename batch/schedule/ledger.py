"""The books of one decision: what is reserved of the machine, and what still fits."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from batch.schedule.model import CPU, Lease, Need, Snapshot, Worker

JOB_BYTES = 16 << 20
"""Memory of a job process that waits (measured: 14 to 16 MB)."""

LOADING_THREADS = 1
"""CPU threads of a worker that starts: imports and loading run in one."""


class Ledger:
    """Adds up leases, workers and open files, and books what is decided on top.

    A busy worker is covered by the lease of its attempt, a starting or idle one by what it holds.
    Nothing here checks: ask ``fits`` before ``book``.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        budget = snapshot.budget
        self.budget = budget
        self._ram_limit = _least(budget.ram_bytes, budget.ram_available)
        self._vram_limit = {
            device: _least(size, budget.vram_available.get(device))
            for device, size in budget.vram_bytes.items()
        }
        self.threads = 0
        self._jobs = JOB_BYTES * len(snapshot.files)
        self.ram = self._jobs
        self.vram = dict.fromkeys(budget.vram_bytes, 0)
        self.on_device = dict.fromkeys(budget.vram_bytes, 0)
        self.running = 0
        self._above_held: dict[str, Need] = {}
        workers = {worker.id: worker for worker in snapshot.workers}
        for lease in snapshot.leases:
            self._lease(lease, workers.get(lease.worker) if lease.worker else None)
        for worker in snapshot.workers:
            if worker.state != "busy":
                self.hold(worker.held, worker.device)
                self.threads += LOADING_THREADS if worker.state == "starting" else 0

    def _lease(self, lease: Lease, worker: Worker | None) -> None:
        need = lease.need if worker is None else larger(lease.need, worker.held)
        self.book(need, lease.device)
        if worker is not None:
            above = Need(
                0,
                need.ram_bytes - worker.held.ram_bytes,
                need.vram_bytes - worker.held.vram_bytes,
            )
            self._above_held[lease.device] = total([self.above_held(lease.device), above])

    def above_held(self, device: str) -> Need:
        """The memory that comes free when the attempts there end and their workers stay."""
        return self._above_held.get(device, Need())

    @property
    def free_threads(self) -> int:
        return self.budget.cpu_threads - self.threads

    def free_vram(self, device: str) -> int:
        return self._vram_limit.get(device, 0) - self.vram.get(device, 0)

    @property
    def free_ram(self) -> int:
        return self._ram_limit - self.ram

    def cut(self, need: Need, device: str) -> Need:
        """The need, cut to what could ever be reserved on ``device``."""
        return Need(
            min(need.cpu_threads, self.budget.cpu_threads),
            min(need.ram_bytes, max(0, self.budget.ram_bytes - self._jobs)),
            min(need.vram_bytes, self.budget.vram_bytes.get(device, 0)),
        )

    def homes(self, need: Need) -> Collection[str]:
        """The GPUs that are large enough for ``need``; where none is, the largest.

        Where other programs leave enough of any of them, only those.
        """
        sizes = self.budget.vram_bytes
        least = min(need.vram_bytes, max(sizes.values(), default=0))
        homes = [device for device, size in sizes.items() if size >= least]
        return [device for device in homes if self._vram_limit[device] >= least] or homes

    def short_of(self, need: Need, device: str, freed: Need = Need()) -> str:
        """``ram`` or ``vram``, where ``need`` does not fit even after ``freed``; else empty."""
        if need.vram_bytes > max(0, self.free_vram(device) + freed.vram_bytes):
            return "vram"
        if need.ram_bytes > max(0, self.free_ram + freed.ram_bytes):
            return "ram"
        return ""

    def hold(self, held: Need, device: str) -> None:
        """Book memory alone."""
        self.ram += held.ram_bytes
        if device != CPU:
            self.vram[device] = self.vram.get(device, 0) + held.vram_bytes

    def free(self, held: Need, device: str) -> None:
        self.hold(Need(0, -held.ram_bytes, -held.vram_bytes), device)

    def book(self, need: Need, device: str) -> None:
        """Book an attempt."""
        self.hold(need, device)
        self.threads += need.cpu_threads
        self.running += 1
        if device != CPU:
            self.on_device[device] = self.on_device.get(device, 0) + 1


def larger(one: Need, other: Need) -> Need:
    """The larger of each, with the threads of the first."""
    return Need(
        one.cpu_threads,
        max(one.ram_bytes, other.ram_bytes),
        max(one.vram_bytes, other.vram_bytes),
    )


def total(needs: Iterable[Need]) -> Need:
    """The sum of their memory."""
    ram = vram = 0
    for need in needs:
        ram += need.ram_bytes
        vram += need.vram_bytes
    return Need(0, ram, vram)


def _least(budget: int, available: int | None) -> int:
    return budget if available is None else min(budget, available)
