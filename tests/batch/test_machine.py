from __future__ import annotations

import pytest

from batch.history import History, Record
from batch.leases import Machine
from batch.machine import gpus_of, machine_of, priority_of, workers_for
from batch.steps import profile
from orchestrator.contract.records import changed
from orchestrator.hardware import Gpu, Hardware
from orchestrator.settings import Settings

from .conftest import make_recipe

GB = 10**9
BIG = Gpu("cuda", "big", 0, 24 * GB, "1")
TWIN = Gpu("cuda", "twin", 1, 24 * GB, "1")
SMALL = Gpu("cuda", "small", 2, 4 * GB, "1")
HARDWARE = Hardware("cpu", 4, 8, 32 * GB, (BIG, TWIN, SMALL), "linux", "x86_64")


@pytest.mark.parametrize(
    ("device", "chosen", "names"),
    [
        ("auto", BIG, {"cuda:0": 0, "cuda:1": 1}),
        ("cuda:1", TWIN, {"cuda:1": 1}),
        ("auto", SMALL, {"cuda:0": 0, "cuda:1": 1, "cuda:2": 2}),
        ("cpu", None, {}),
    ],
)
def test_all_gpus_like_the_one_chosen_are_used_unless_one_was_named(
    device: str, chosen: Gpu | None, names: dict[str, int]
) -> None:
    assert gpus_of(Settings(device=device), HARDWARE, chosen) == names


def test_the_settings_keep_some_of_the_machine() -> None:
    settings = Settings(cpu_threads=3, ram_limit_mb=1000, vram_limit_mb=2000, memory_threshold=80)
    assert machine_of(settings, HARDWARE, {"cuda:1": 1}) == Machine(
        3, 32 * GB, {"cuda:1": 24 * GB}, 80.0, 90.0, 1000 << 20, 2000 << 20
    )
    assert machine_of(Settings(cpu_threads=99), HARDWARE, {}).threads == 8


def test_auto_asks_the_scheduler_with_what_the_stages_need() -> None:
    (stage,) = make_recipe().stages
    heavy = changed(stage, resources={"ram_mb": 12_000})
    recipe = make_recipe(stages=(stage, heavy))
    machine = Machine(8, 32 * GB, memory_threshold=90.0)
    found = workers_for(machine, recipe, History())
    assert (found.workers, found.reason[:6]) == (2, "memory")
    learnt = History()
    learnt.put(profile(heavy, machine, "cpu").subject, Record().took(rss=GB))
    assert workers_for(machine, recipe, learnt).workers == 8


def test_priority_is_by_the_first_pattern_that_matches() -> None:
    priority = priority_of(["Series/**", "*.mp3"], "/media/")
    assert priority("/media/Series/a.mkv") == 2.0
    assert priority("/media/Series/a.mp3") == 2.0
    assert priority("/media/x/a.mp3") == 1.0
    assert priority("/media/a.mkv") == 0.0
    assert priority_of([], "/media")("/media/Series/a.mkv") == 0.0
