"""The scheduler in the simulator: how close it comes to the bound, and that no rule is broken."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from batch.schedule import recommend_workers, schedule
from batch.schedule.model import Budget, Limits, Open, QueuedFile, Snapshot
from benchmarks._simulated_bound import lower_bound
from benchmarks._simulated_world import LIBRARIES, MACHINES, Machine, library, random_world
from benchmarks._simulator import Simulation
from benchmarks._sleepers import RealRun
from benchmarks._timeline_picture import picture
from tests.batch.schedule.building import GPU, cpu_step, gb, gpu_step, snap

FILES = {"films": 200, "mixed": 100, "clips": 100}


@pytest.mark.parametrize("kind", LIBRARIES)
@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
def test_the_makespan_is_close_to_the_bound(machine: Machine, kind: str) -> None:
    files = library(kind, machine, FILES[kind])
    workers = recommend_workers(machine.budget, files[0].steps).workers
    simulation = Simulation(files, machine.budget, workers, noise=0.25)

    outcome = simulation.run()

    bound = lower_bound(simulation.really(), machine.budget, workers)
    assert outcome.makespan <= machine.bound * bound
    if kind == "films":
        assert outcome.first_file <= 0.05 * outcome.makespan


@given(st.integers(0, 2**32))
@example(2505)  # a GPU and the CPU took each other's memory in turn
@example(8103)  # a model that others had left too little for waited for what it held already
@example(101)  # the only worker of a model sat on a GPU that its need had outgrown
@example(58)  # another program took the GPU that had the model, and a second GPU was free
@settings(max_examples=150)
def test_nothing_is_over_budget_stuck_or_goes_round_in_circles(seed: int) -> None:
    random_world(random.Random(seed)).simulation(seed).run()


def test_one_file_at_a_time_is_respected_and_still_loads_little() -> None:
    machine = next(machine for machine in MACHINES if machine.name == "8 GB")
    files = library("mixed", machine, files=60)

    outcome = Simulation(files, machine.budget, 1).run()

    assert outcome.makespan <= 1.05 * lower_bound(files, machine.budget, 1)


def test_a_stream_of_work_for_the_loaded_model_starves_nobody() -> None:
    small, other = gpu_step("asr", 5.0, run_s=5.0), gpu_step("other", 5.0, run_s=5.0)
    files = [QueuedFile("odd", (0.0,), (other,))]
    files += [QueuedFile(f"f{number}", (number + 1.0,), (small,)) for number in range(400)]
    limits = Limits(patience_s=60.0, look_ahead_rounds=1.0)

    outcome = Simulation(files, Budget(4, gb(16), {GPU: gb(8)}), 2, limits=limits).run()

    # Its patience, one attempt of another, and loading.
    assert outcome.longest_wait <= 60.0 + 5.0 + 10.0 + 10.0


@given(st.integers(0, 2**32))
@settings(max_examples=60)
def test_nobody_waits_longer_than_patience_and_those_before(seed: int) -> None:
    """Once urgent, only those that have waited longer go before: each an attempt and a load."""
    world = random_world(random.Random(seed))
    limits = replace(world.limits, look_ahead_rounds=0.5, park_after_s=1e9)
    world = replace(world, limits=limits, held_back_until=0.0, noise=0.0)

    outcome = world.simulation(seed).run()

    loads = [step.load_s for file in world.files for step in file.steps]
    runs = [step.run_s + step.load_s for file in world.files for step in file.steps]
    each = 2 * max(runs) + max(loads) + 1.0
    patience = max(
        limits.patience_s,
        2
        * 0.5
        * len(world.budget.vram_bytes or "c")
        * sum({step.stage: step.load_s for file in world.files for step in file.steps}.values()),
    )
    assert outcome.longest_wait <= patience + len(world.files) * each


def test_the_same_snapshot_gives_the_same_answer() -> None:
    seen: list[Snapshot] = []

    def watched(snapshot: Snapshot) -> tuple[object, ...]:
        seen.append(snapshot)
        return schedule(snapshot)

    machine = MACHINES[1]
    Simulation(library("clips", machine, files=10), machine.budget, 4, decide=watched).run()

    assert all(schedule(snapshot) == schedule(snapshot) for snapshot in seen)


def test_the_cost_of_a_decision_does_not_depend_on_the_library() -> None:
    """The rest of the queue is not looked at once a file is not opened."""
    queue = tuple(
        QueuedFile(f"f{number}", (float(number),), (cpu_step(),)) for number in range(1000)
    )
    assert sum(isinstance(one, Open) for one in schedule(snap(queue=queue))) == 8


def test_real_processes_that_sleep_end_as_the_simulated_ones() -> None:
    machine = MACHINES[0]
    files = library("clips", machine, files=4)
    arguments = (files, machine.budget, 2)

    real = RealRun(*arguments, scale=0.01).run()

    assert real.makespan >= 0.99 * lower_bound(*arguments)
    assert real.first_file > 0


def test_the_picture_shows_each_device_and_what_ran_there() -> None:
    machine = MACHINES[1]
    outcome = Simulation(
        library("clips", machine, files=3), machine.budget, 4, keep_bars=True
    ).run()

    drawn = picture("Three clips", outcome.bars, 60.0)

    for text in ("Three clips", "cuda:0", "cpu", "load asr", "asr clips 000", "60 s"):
        assert text in drawn
