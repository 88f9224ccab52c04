"""What of the machine a run may use, and how many files at once suit it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence

from batch.history import History
from batch.leases import Machine, budget_of
from batch.measures import Measures
from batch.schedule import Recommendation, recommend_workers
from orchestrator.hardware import Gpu, Hardware
from orchestrator.prepare import Recipe
from orchestrator.settings import Settings

MIB = 1 << 20
DESCRIPTORS_OF_A_JOB = 3
"""Its two pipes; and for a moment its log, or what tells of its end."""

OTHER_DESCRIPTORS = 128
"""For all else: state, logs, files and folders that are looked into, and workers (three each)."""

SIMILAR = 0.6
"""A further GPU is used where it has so much of the memory of the one the model was chosen for."""


def gpus_of(settings: Settings, hardware: Hardware, chosen: Gpu | None) -> dict[str, int]:
    """The GPUs to use, by the names that leases give them: the one chosen, and its equals where
    the user did not name one."""
    if chosen is None:
        return {}
    gpus = [chosen]
    if settings.device in ("auto", "cuda"):
        least = SIMILAR * chosen.memory_bytes
        gpus = [one for one in hardware.gpus if one.kind == chosen.kind]
        gpus = [one for one in gpus if one is chosen or one.memory_bytes >= least]
    return {f"{one.kind}:{one.index}": one.index for one in gpus}


def machine_of(settings: Settings, hardware: Hardware, gpus: Mapping[str, int]) -> Machine:
    """The budget of a run: the hardware, less what the settings keep from it."""
    memory = {f"{one.kind}:{one.index}": one.memory_bytes for one in hardware.gpus}
    return Machine(
        threads=min(settings.cpu_threads or hardware.threads, hardware.threads),
        ram_bytes=hardware.ram_bytes,
        vram_bytes={name: memory[name] for name in gpus},
        memory_threshold=settings.memory_threshold,
        vram_threshold=settings.vram_threshold,
        ram_limit=_bytes(settings.ram_limit_mb),
        vram_limit=_bytes(settings.vram_limit_mb),
    )


def most_open_files() -> int | None:
    """How many jobs this process can have, by its limit of open descriptors; None: there is none.

    Ask when that limit has been raised as far as it goes. At least one.
    """
    if sys.platform == "win32":
        return None  # pipes are handles there, and of these there are millions
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return None
    return max(1, (soft - OTHER_DESCRIPTORS) // DESCRIPTORS_OF_A_JOB)


def workers_for(machine: Machine, recipe: Recipe, history: History) -> Recommendation:
    """How many files to work on at once, and why."""
    measures = Measures(recipe.stages, machine, recipe.device, history)
    return recommend_workers(budget_of(machine, None), measures.steps(measures.stages, None))


def priority_of(patterns: Sequence[str], root: str) -> Callable[[str], float]:
    """Which files go first: those that match the first pattern before those of the second."""
    if not patterns:
        return lambda path: 0.0
    from pathspec import GitIgnoreSpec  # 20 ms, wanted only where patterns are given

    specs = [GitIgnoreSpec.from_lines([pattern]) for pattern in patterns]
    prefix = root.rstrip("/\\")

    def priority(path: str) -> float:
        relative = path[len(prefix) :].lstrip("/\\") if path.startswith(prefix) else path
        for place, spec in enumerate(specs):
            if spec.match_file(relative):
                return float(len(specs) - place)
        return 0.0

    return priority


def _bytes(megabytes: int | None) -> int | None:
    return None if megabytes is None else megabytes * MIB
