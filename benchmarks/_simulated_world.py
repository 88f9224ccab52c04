"""Machines, stages and libraries for the simulator, with where their figures come from."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from batch.schedule.model import Budget, Limits, Need, QueuedFile, Step
from benchmarks._simulator import Simulation, Surprises

GB = 10**9
MB = 10**6


@dataclass(frozen=True, slots=True)
class Cost:
    """What a stage takes: ``fixed_s`` a file and ``per_second`` of audio, once its model is there.

    ``need`` and ``held`` as in :class:`batch.schedule.model.Step`.
    """

    stage: str
    fixed_s: float
    per_second: float
    load_s: float
    need: Need
    held: Need
    gpu: bool = False
    elastic: bool = False

    def step(self, audio_seconds: float) -> Step:
        return Step(
            self.stage,
            self.need,
            self.fixed_s + self.per_second * audio_seconds,
            key=self.stage,
            held=self.held,
            load_s=self.load_s,
            gpu=self.gpu,
            elastic=self.elastic,
        )


def _light(stage: str, fixed_s: float, per_second: float, load_s: float, ram_mb: int) -> Cost:
    need = Need(1, ram_mb * MB)
    return Cost(stage, fixed_s, per_second, load_s, need, Need(0, ram_mb * MB // 2))


def _model(
    stage: str, fixed_s: float, times_real: float, load_s: float, vram: float, held_vram: float
) -> Cost:
    need = Need(1, int(2.5 * GB), int(vram * GB))
    held = Need(0, int(1.8 * GB), int(held_vram * GB))
    return Cost(stage, fixed_s, 1 / times_real, load_s, need, held, gpu=True)


ON_GPU: Sequence[Cost] = (
    _light("demux", 0.15, 0.004, 0.3, 200),
    _light("vad", 0.05, 0.004, 0.6, 300),
    _model("asr", 0.3, 50, 10.0, 4.5, 3.2),
    _model("alignment", 0.1, 90, 8.0, 2.2, 1.3),
    _light("hallucination", 0.05, 0.00001, 0.2, 100),
    _model("diarization", 0.3, 100, 6.5, 1.8, 0.6),
    _model("translation", 0.3, 120, 5.0, 3.6, 2.8),
    _light("subtitles", 0.1, 0.00002, 0.2, 150),
    _light("mux", 0.2, 0.002, 0.3, 200),
)
"""An 8 GB to 16 GB card of 2020. Loading is import plus load as measured on a CPU (whisperx 6.8 s,
pyannote 5.4 s, transformers 2.45 s, a large model about 3.5 s). Published speeds: large-v2 46 times
real time in batches; alignment and diarization cost less than that on most languages, more on some.
One round of loading is 29.5 s; all four models take 7.9 GB while idle and 9.2 GB with one at work.
"""

ON_CPU: Sequence[Cost] = (
    _light("demux", 0.15, 0.004, 0.3, 200),
    _light("vad", 0.05, 0.004, 0.6, 300),
    Cost("asr", 0.1, 1 / 15, 1.0, Need(1, 1500 * MB), Need(0, 500 * MB), elastic=True),
    _light("hallucination", 0.05, 0.00001, 0.2, 100),
    _light("subtitles", 0.1, 0.00002, 0.2, 150),
)
"""Measured on two cores: the base model in int8 does 21.5 times real time with both threads."""


@dataclass(frozen=True, slots=True)
class Machine:
    name: str
    budget: Budget
    costs: Sequence[Cost]
    bound: float
    """The makespan may be so many lower bounds."""


MACHINES: Sequence[Machine] = (
    Machine("2 cores, no GPU", Budget(2, 6 * GB), ON_CPU, 1.02),
    Machine("8 GB", Budget(8, 13 * GB, {"cuda:0": int(7.2 * GB)}), ON_GPU, 1.05),
    Machine("12 GB", Budget(8, 26 * GB, {"cuda:0": int(10.8 * GB)}), ON_GPU, 1.02),
    Machine("16 GB", Budget(8, 26 * GB, {"cuda:0": int(14.4 * GB)}), ON_GPU, 1.02),
    Machine(
        "2 x 12 GB",
        Budget(16, 52 * GB, {"cuda:0": int(10.8 * GB), "cuda:1": int(10.8 * GB)}),
        ON_GPU,
        1.02,
    ),
)
"""Nine tenths of the GPU memory and eight of the RAM are the batch's."""

Lengths = Callable[[random.Random], float]


def _film(rng: random.Random) -> float:
    return rng.uniform(80, 150) * 60


def _mixed(rng: random.Random) -> float:
    kind = rng.random()
    if kind < 0.2:
        return _film(rng)
    return rng.uniform(20, 55) * 60 if kind < 0.8 else _clip(rng)


def _clip(rng: random.Random) -> float:
    return rng.uniform(10, 180)


LIBRARIES: Mapping[str, Lengths] = {"films": _film, "mixed": _mixed, "clips": _clip}


def library(
    kind: str, machine: Machine, files: int = 200, seed: int = 1, scale: float = 1.0
) -> list[QueuedFile]:
    """``files`` files in the order of their names; ``scale`` shortens them, and no loading."""
    rng = random.Random(f"{kind} {seed}")
    lengths = [LIBRARIES[kind](rng) * scale for _ in range(files)]
    return [
        QueuedFile(
            f"{kind} {number:03}",
            (float(number),),
            tuple(cost.step(seconds) for cost in machine.costs),
            disk_bytes=int(seconds * 32_000),
        )
        for number, seconds in enumerate(lengths)
    ]


@dataclass(frozen=True, slots=True)
class World:
    """A machine, files and settings that nobody chose."""

    files: Sequence[QueuedFile]
    budget: Budget
    max_workers: int
    limits: Limits
    noise: float
    surprises: Surprises
    held_back_until: float
    """New work is held back in every second minute until then."""

    def holding(self, now: float) -> str:
        return "busy" if now < self.held_back_until and int(now / 60) % 2 else ""

    def simulation(self, seed: int) -> Simulation:
        return Simulation(
            self.files,
            self.budget,
            self.max_workers,
            limits=self.limits,
            noise=self.noise,
            seed=seed,
            surprises=self.surprises,
            holding=self.holding,
        )


def random_world(rng: random.Random) -> World:
    """Any machine from one thread on, any stages, also some that need more than there is."""
    gpus = {f"cuda:{n}": rng.randint(1, 24) * GB for n in range(rng.choice((0, 0, 1, 1, 2, 3)))}
    budget = Budget(
        rng.randint(1, 16),
        rng.randint(1, 32) * GB,
        gpus,
        disk_bytes=rng.choice((None, rng.randint(1, 50) * GB)),
    )
    stages = [_random_step(rng, f"stage {n}", bool(gpus)) for n in range(rng.randint(1, 7))]
    files = [_random_file(rng, number, stages) for number in range(rng.randint(1, 16))]
    limits = Limits(
        idle_release_s=rng.choice((None, 5.0, 600.0)),
        patience_s=rng.choice((20.0, 200.0, 1800.0)),
        park_after_s=rng.choice((60.0, 5400.0)),
        look_ahead_rounds=rng.choice((1.0, 20.0)),
        leases_per_gpu=rng.choice((1, 1, 2)),
    )
    held_back_until = rng.choice((0.0, 0.0, 600.0))
    return World(
        files,
        budget,
        rng.randint(1, 8),
        limits,
        rng.choice((0.0, 0.5)),
        _random_surprises(rng, stages, gpus),
        held_back_until,
    )


def _random_step(rng: random.Random, stage: str, gpus: bool) -> Step:
    gpu = gpus and rng.random() < 0.5
    ram = int(rng.choice((0.1, 1.0, 4.0)) * rng.random() * 4 * GB)
    vram = int(rng.random() * 12 * GB) if gpu else 0
    share = rng.random()
    return Step(
        stage,
        Need(rng.randint(0, 4), ram, vram),
        0.0,
        key=stage if rng.random() < 0.85 else None,
        held=Need(0, int(ram * share), int(vram * share)),
        load_s=rng.uniform(0.1, 15.0),
        gpu=gpu,
        elastic=not gpu and rng.random() < 0.4,
    )


def _random_surprises(
    rng: random.Random, stages: Sequence[Step], gpus: Mapping[str, int]
) -> Surprises:
    """In half of the worlds all is as expected; else needs grow or shrink, workers die, and other
    programs use GPUs, but never the largest."""
    if rng.random() < 0.5:
        return Surprises()
    needs = {}
    for step in stages:
        ram, vram = rng.uniform(0.5, 2.5), rng.uniform(0.5, 2.5)
        need = _grown(step.need, ram, vram)
        held = _grown(step.held, ram, vram)
        # As where a worker is known by its peak alone.
        peak = rng.random() < 0.5
        needs[step.stage] = need, replace(held, vram_bytes=need.vram_bytes) if peak else held
    deaths = rng.choice((0.0, 0.1, 0.5))
    smaller = sorted(gpus, key=lambda device: gpus[device])[:-1]
    available = {device: int(gpus[device] * rng.uniform(0.0, 1.5)) for device in smaller}
    return Surprises(needs, deaths, available)


def _grown(need: Need, ram: float, vram: float) -> Need:
    return Need(need.cpu_threads, int(need.ram_bytes * ram), int(need.vram_bytes * vram))


def _random_file(rng: random.Random, number: int, stages: Sequence[Step]) -> QueuedFile:
    """Most files need all stages; some have lost the first ones, as after a restart."""
    length = rng.choice((1.0, 10.0, 300.0))
    left = stages[rng.choice((0, 0, 0, rng.randrange(len(stages)))) :]
    return QueuedFile(
        f"file {number}",
        (float(number),),
        tuple(replace(step, run_s=rng.uniform(0.01, 1.0) * length) for step in left),
        disk_bytes=int(length * 10 * MB),
    )
