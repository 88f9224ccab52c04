from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import trio
import trio.testing

from batch.history import History, Record
from batch.leases import Machine
from batch.machine import (
    DESCRIPTORS_OF_A_JOB,
    gpus_of,
    machine_of,
    most_open_files,
    priority_of,
    workers_for,
)
from batch.steps import profile
from orchestrator.child import Log, start_child
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


@pytest.mark.parametrize(("soft", "jobs"), [(1024, 298), (256, 42), (100, 1), (-1, None)])
def test_the_number_of_jobs_follows_from_the_limit_of_descriptors(
    soft: int, jobs: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    resource = pytest.importorskip("resource")
    limit = resource.RLIM_INFINITY if soft < 0 else soft
    monkeypatch.setattr(resource, "getrlimit", lambda which: (limit, 1 << 20))
    assert most_open_files() == jobs


def test_windows_has_no_such_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "win32")
    assert most_open_files() is None


@pytest.mark.skipif(not Path("/dev/fd").is_dir(), reason="where descriptors can be counted")
async def test_a_job_takes_no_more_descriptors_than_are_reckoned(tmp_path: Path) -> None:
    def opened() -> int:
        return len(os.listdir("/dev/fd"))

    argv = [sys.executable, "-I", "-S", "-c", "import sys; sys.stdin.read()"]
    async with trio.open_nursery() as nursery:
        first = await start_child(argv, Log(tmp_path / "log"), os.environ)
        before = opened()
        more = [await start_child(argv, Log(tmp_path / "log"), os.environ) for _ in range(4)]
        for child in (first, *more):
            nursery.start_soon(child.wait)
        await trio.testing.wait_all_tasks_blocked()
        assert 4 <= opened() - before - 1 <= 4 * DESCRIPTORS_OF_A_JOB
        for child in (first, *more):
            child.kill()


def test_priority_is_by_the_first_pattern_that_matches() -> None:
    priority = priority_of(["Series/**", "*.mp3"], "/media/")
    assert priority("/media/Series/a.mkv") == 2.0
    assert priority("/media/Series/a.mp3") == 2.0
    assert priority("/media/x/a.mp3") == 1.0
    assert priority("/media/a.mkv") == 0.0
    assert priority_of([], "/media")("/media/Series/a.mkv") == 0.0
