"""How fast any schedule could be, for the simulator's figures."""

from __future__ import annotations

from collections.abc import Iterable

from batch.schedule.model import Budget, QueuedFile, Step
from batch.schedule.share import threads_speed


def lower_bound(files: Iterable[QueuedFile], budget: Budget, max_workers: int) -> float:
    """Seconds that no schedule can beat (with the expected times).

    The largest of

    * the work of all GPU stages, shared by the GPUs, with what must come before and after it: no
      GPU can begin before some file has passed its CPU stages and some model is loaded, and
      after the last attempt on a GPU the CPU stages of that file are left. Nothing is added for
      loading a second model, or the same one again;
    * the CPU stages in thread seconds, shared by the threads (an elastic stage with one thread,
      where it wastes least);
    * all stages, shared by ``max_workers``;
    * the longest single file, with all threads.
    """
    files = list(files)
    gpus = max(1, len(budget.vram_bytes))
    gpu = sum(step.run_s for file in files for step in file.steps if step.gpu)
    cpu = sum(
        step.run_s * (1 if step.elastic else max(1, step.need.cpu_threads))
        for file in files
        for step in file.steps
        if not step.gpu
    )
    speed = threads_speed(budget.cpu_threads)
    alone = [_alone(file.steps, speed) for file in files]
    head = tail = 0.0
    if gpu:
        head = min(_before_gpu(file.steps, speed) for file in files)
        tail = min(_before_gpu(file.steps[::-1], speed, loading=False) for file in files)
    workers = (
        sum(
            sum(step.run_s / (speed if step.elastic else 1) for step in file.steps)
            for file in files
        )
        / max_workers
    )
    return max(head + gpu / gpus + tail, cpu / budget.cpu_threads, workers, max(alone))


def _alone(steps: Iterable[Step], speed: float) -> float:
    return sum(step.run_s / (speed if step.elastic else 1.0) for step in steps)


def _before_gpu(steps: Iterable[Step], speed: float, *, loading: bool = True) -> float:
    """CPU seconds of the file before its first step on a GPU, or its model's loading if longer."""
    seconds = 0.0
    for step in steps:
        if step.gpu:
            return max(seconds, step.load_s) if loading else seconds
        seconds += step.run_s / (speed if step.elastic else 1.0)
    return 0.0
