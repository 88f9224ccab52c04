"""What explain says, the order of the queue, and the number of workers."""

from __future__ import annotations

from pathlib import Path

import pytest

from batch.schedule import POLICIES, Policy, explain, order_key, recommend_workers
from batch.schedule.model import Budget, Need, Snapshot
from batch.schedule.words import CODES
from tests.batch.schedule.building import (
    GPU,
    cold_step,
    cpu_step,
    elastic_step,
    gb,
    gpu_step,
    idle,
    lease,
    moving,
    snap,
    waiting,
    worker,
)

DOCS = Path(__file__).parents[3] / "docs" / "scheduling.md"


def test_the_words_name_who_has_what_is_waited_for() -> None:
    files = (moving("film.mkv", gpu_step("asr")), waiting("b", gpu_step("asr")))
    state = snap(
        files=files,
        workers=(worker("asr", GPU, "busy", 2),),
        leases=(lease("film.mkv", GPU, Need(1, gb(1), gb(3)), by="w-asr-cuda:0"),),
    )

    assert [reason.words for reason in explain(state)] == ["waits for the GPU: film.mkv on cuda:0"]


def test_the_words_say_how_much_of_the_gpu_is_taken_and_by_whom() -> None:
    state = snap(
        files=(waiting("a", cold_step("x", vram=7.0)), waiting("b", cpu_step(), gpu_step("asr"))),
        workers=(idle("asr", GPU, 4.5),),
        budget=Budget(1, gb(16), {GPU: gb(8)}),
        leases=(lease("z", need=Need(0)),),
    )

    assert "waits for GPU memory: 4.5 of 8.0 GB of cuda:0 reserved (asr 4.5 GB)" in {
        reason.words for reason in explain(state)
    }


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (
            snap(files=(waiting("a", cpu_step(threads=4)),), leases=(lease("z", need=Need(6)),)),
            "waits for CPU threads: 6 of 8 are in use, and demux takes more than the rest",
        ),
        (
            snap(
                files=(waiting("o", gpu_step("asr"), since=-5000.0), waiting("a", cpu_step())),
                budget=Budget(1, gb(16), {GPU: gb(8)}),
                leases=(lease("z"),),
            ),
            "waits for CPU threads: 1 of 1 are in use",
        ),
        (
            snap(
                max_workers=1,
                files=(waiting("o", gpu_step("asr")), waiting("a", cpu_step())),
                workers=(worker("asr", GPU, "starting", 2), idle("demux")),
            ),
            "waits for its turn: 0 of 1 files are being worked on,"
            " and a place is kept for a file whose model is being loaded",
        ),
        (
            snap(files=(waiting("a", gpu_step("asr")),), workers=(worker("asr", GPU, "starting"),)),
            "waits for its model: asr is being loaded",
        ),
        (
            snap(
                files=(waiting("a", gpu_step("big", 5.0)), moving("b", gpu_step("asr"))),
                workers=(worker("asr", GPU, "starting", 4),),
            ),
            "waits for its model: big is loaded when those before it have had their turn",
        ),
        (
            snap(
                files=(waiting("a", cold_step(ram=9.0)),),
                budget=Budget(8, gb(16), ram_available=gb(4)),
            ),
            "waits for memory: 0.0 of 16.0 GB are reserved, and other programs leave 4.0 GB",
        ),
        (
            snap(
                files=(waiting("a", cold_step("x", vram=5.0)),),
                budget=Budget(8, gb(16), {GPU: gb(8)}, vram_available={GPU: gb(3)}),
            ),
            "waits for GPU memory: 0.0 of 8.0 GB of cuda:0 (other programs leave 3.0 GB) reserved",
        ),
        (
            snap(
                files=(
                    waiting("o", cold_step(ram=15.0), since=-5000.0),
                    waiting("a", cold_step(ram=1.0)),
                ),
                leases=(lease("z", need=Need(1, gb(2))),),
            ),
            "waits for memory: 2.0 of 16.0 GB are reserved,"
            " and the rest is kept for a file that goes first",
        ),
    ],
)
def test_the_words_are_true_of_what_is_waited_for(state: Snapshot, words: str) -> None:
    assert {one.file: one.words for one in explain(state)}["a"] == words


def test_every_code_is_documented() -> None:
    text = DOCS.read_text(encoding="utf-8")

    assert [code for code in sorted(CODES) if f"`{code}`" not in text] == []


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("fifo", ["long", "short", "unknown", "wanted"]),
        ("shortest-first", ["unknown", "short", "wanted", "long"]),
        ("longest-first", ["long", "wanted", "short", "unknown"]),
        ("priority", ["wanted", "long", "short", "unknown"]),
    ],
)
def test_the_order_of_the_queue(policy: Policy, expected: list[str]) -> None:
    files = [("long", 90.0, 0.0), ("short", 5.0, 0.0), ("unknown", None, 0.0), ("wanted", 30.0, 5)]
    keys = {
        name: order_key(policy, position, seconds, priority)
        for position, (name, seconds, priority) in enumerate(files)
    }

    assert sorted(keys, key=lambda name: keys[name]) == expected
    assert policy in POLICIES


@pytest.mark.parametrize(
    ("budget", "workers", "reason"),
    [
        (Budget(2, gb(8)), 2, "2 CPU threads, one for each file"),
        (Budget(1, gb(8)), 1, "1 CPU thread, one for each file"),
        (Budget(16, gb(64)), 8, "16 CPU threads, 2 for each file"),
        (Budget(4, gb(2.5)), 2, "memory: 1.0 GB each, 2.5 GB in all"),
        (Budget(4, gb(0.5)), 1, "memory: 1.0 GB each, 0.5 GB in all"),
    ],
)
def test_workers_on_a_cpu(budget: Budget, workers: int, reason: str) -> None:
    found = recommend_workers(budget, [cpu_step(), elastic_step("asr")])

    assert (found.workers, found.reason) == (workers, reason)


@pytest.mark.parametrize(
    ("threads", "gpus", "workers", "words"),
    [(8, 1, 4, "1 GPU: a file on each"), (16, 2, 6, "2 GPUs"), (2, 1, 2, "but 2 CPU threads")],
)
def test_workers_beside_gpus(threads: int, gpus: int, workers: int, words: str) -> None:
    budget = Budget(threads, gb(32), {f"cuda:{number}": gb(8) for number in range(gpus)})
    found = recommend_workers(budget, [cpu_step(), gpu_step("asr")])

    assert found.workers == workers
    assert words in found.reason


def test_stages_that_need_no_memory_are_limited_by_threads_alone() -> None:
    assert recommend_workers(Budget(3, gb(1)), []).workers == 3
