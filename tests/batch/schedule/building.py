"""Short ways to say what the machine looks like: sizes in GB, times in seconds."""

from __future__ import annotations

from typing import Any, Literal

from batch.schedule.model import (
    CPU,
    Budget,
    Lease,
    Need,
    OpenFile,
    QueuedFile,
    Snapshot,
    Step,
    Worker,
)

GB = 10**9
NOW = 1000.0
GPU = "cuda:0"


def gb(size: float) -> int:
    return int(size * GB)


def gpu_step(key: str, held: float = 2.0, extra: float = 1.0, run_s: float = 60.0) -> Step:
    """A model on a GPU that takes ``extra`` GB more while it runs, and 10 s to load."""
    return Step(
        key,
        Need(1, gb(1), gb(held + extra)),
        run_s,
        key=key,
        held=Need(0, gb(0.5), gb(held)),
        load_s=10.0,
        gpu=True,
    )


def cpu_step(key: str = "demux", run_s: float = 5.0, threads: int = 1, ram: float = 0.2) -> Step:
    need = Need(threads, gb(ram))
    return Step(key, need, run_s, key=key, held=Need(0, gb(ram) // 2), load_s=0.3)


def elastic_step(key: str = "asr", run_s: float = 60.0, ram: float = 1.0) -> Step:
    """A model on the CPU, 2 s to load."""
    need = Need(1, gb(ram))
    return Step(key, need, run_s, key=key, held=Need(0, gb(ram) // 2), load_s=2.0, elastic=True)


def cold_step(stage: str = "mux", ram: float = 0.2, vram: float = 0.0) -> Step:
    return Step(stage, Need(1, gb(ram), gb(vram)), 5.0, gpu=vram > 0)


def waiting(
    name: str, *steps: Step, since: float = NOW - 1, begun: bool = True, place: float = 0.0
) -> OpenFile:
    return OpenFile(name, (place, *map(float, name.encode())), steps, f"r-{name}", since, begun)


def moving(name: str, *steps: Step) -> OpenFile:
    """A file that prepares, or whose first step runs (see :func:`lease`)."""
    return OpenFile(name, tuple(map(float, name.encode())), steps, None, NOW - 1, begun=True)


def queued(name: str, *steps: Step, disk: float = 0.0) -> QueuedFile:
    return QueuedFile(name, tuple(map(float, name.encode())), steps, gb(disk))


def idle(
    key: str, device: str = CPU, held: float = 0.1, threads: int = 1, used: float = NOW - 5
) -> Worker:
    return worker(key, device, "idle", held, threads, used)


def worker(
    key: str,
    device: str = CPU,
    state: Literal["starting", "idle", "busy", "ending"] = "idle",
    held: float = 0.1,
    threads: int = 1,
    used: float = NOW - 5,
) -> Worker:
    memory = Need(0, gb(held)) if device == CPU else Need(0, gb(0.5), gb(held))
    return Worker(f"w-{key}-{device}", key, device, state, memory, threads, used)


def lease(
    file: str, device: str = CPU, need: Need = Need(1), by: str | None = None, left: float = 30.0
) -> Lease:
    return Lease(f"r-{file}", file, by, device, need, NOW + left)


def snap(**changes: Any) -> Snapshot:
    """Eight threads, 16 GB, one GPU of 8 GB, four files at a time, unless told otherwise."""
    values: dict[str, Any] = {
        "now": NOW,
        "budget": Budget(8, gb(16), {GPU: gb(8)}),
        "max_workers": 4,
    }
    return Snapshot(**{**values, **changes})
