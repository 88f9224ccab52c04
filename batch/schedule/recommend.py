"""``max_workers: auto``: how many files to work on at one moment, and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from batch.schedule.model import Budget, Step

MOST_ON_CPU = 8
"""More models on one CPU share its memory bandwidth (a guess: only two cores were measured)."""


@dataclass(frozen=True, slots=True)
class Recommendation:
    workers: int
    reason: str


def recommend_workers(budget: Budget, steps: Iterable[Step]) -> Recommendation:
    """The number for files that need ``steps``.

    With GPUs: one file on each, one on its way to each, and two in the CPU stages after it; more
    would only wait. Without: as many as there are threads, because two models with one thread each
    are faster than one with two (measured: 1.4 times), as far as memory goes.
    """
    steps = tuple(steps)
    gpus = len(budget.vram_bytes)
    if gpus and any(step.gpu for step in steps):
        wanted = 2 * gpus + 2
        workers = max(gpus, min(wanted, budget.cpu_threads))
        word = "GPU" if gpus == 1 else "GPUs"
        if workers < wanted:
            return Recommendation(workers, f"{gpus} {word}, but {_threads(budget.cpu_threads)}")
        return Recommendation(
            workers, f"{gpus} {word}: a file on each, the others in the stages before and after"
        )
    largest = max((step.need.ram_bytes for step in steps), default=0)
    fitting = budget.ram_bytes // largest if largest else MOST_ON_CPU
    workers = max(1, min(budget.cpu_threads, MOST_ON_CPU, fitting))
    if fitting < min(budget.cpu_threads, MOST_ON_CPU):
        gigabytes = f"{largest / 1e9:.1f} GB each, {budget.ram_bytes / 1e9:.1f} GB in all"
        return Recommendation(workers, f"memory: {gigabytes}")
    if workers == MOST_ON_CPU < budget.cpu_threads:
        reason = f"{_threads(budget.cpu_threads)}, {budget.cpu_threads // workers} for each file"
        return Recommendation(workers, reason)
    return Recommendation(workers, f"{_threads(budget.cpu_threads)}, one for each file")


def _threads(count: int) -> str:
    return "1 CPU thread" if count == 1 else f"{count} CPU threads"
