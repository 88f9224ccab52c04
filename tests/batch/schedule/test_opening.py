"""How many files are opened, and why the next one is not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from batch.schedule import explain, schedule
from batch.schedule.model import Budget, Limits, Open, Snapshot
from tests.batch.schedule.building import (
    GPU,
    NOW,
    cold_step,
    cpu_step,
    elastic_step,
    gb,
    gpu_step,
    idle,
    moving,
    queued,
    snap,
    waiting,
)

QUEUE = tuple(queued(f"{number:03}", gpu_step("asr"), gpu_step("align")) for number in range(50))


def opened(snapshot: Snapshot) -> int:
    return sum(isinstance(one, Open) for one in schedule(snapshot))


def last_code(snapshot: Snapshot) -> str:
    return explain(snapshot)[-1].code


def test_twice_the_workers_where_all_models_fit() -> None:
    state = snap(queue=QUEUE)

    assert opened(state) == 8
    assert last_code(state) == "look_ahead"


def test_files_that_have_passed_their_last_model_do_not_count() -> None:
    tails = tuple(moving(f"t{number}", cpu_step("subtitles")) for number in range(3))

    assert opened(snap(files=tails, queue=QUEUE)) == 8


def test_where_no_stage_has_a_model_all_open_files_count() -> None:
    light = tuple(queued(f"{number:03}", cpu_step("subtitles")) for number in range(50))
    files = tuple(moving(f"t{number}", cpu_step("subtitles")) for number in range(3))

    assert opened(snap(files=files, queue=light)) == 5


def test_work_for_twenty_rounds_of_loading_where_they_do_not() -> None:
    queue = tuple(
        queued(f"{number:03}", gpu_step("asr", 5.0), gpu_step("align", 5.0)) for number in range(50)
    )

    # A round loads for 20 s; each file brings 120 s.
    assert opened(snap(queue=queue)) == 5
    assert opened(snap(queue=queue, max_workers=1)) == 4


def test_the_same_for_models_in_the_ram_of_a_machine_without_a_gpu() -> None:
    steps = (elastic_step("asr", ram=8.0), elastic_step("align", ram=8.0))
    queue = tuple(queued(f"{number:03}", *steps) for number in range(50))

    assert opened(snap(budget=Budget(2, gb(6)), max_workers=1, queue=queue)) == 2


def test_not_more_than_the_disk_holds_but_one_in_any_case() -> None:
    budget = Budget(8, gb(16), {GPU: gb(8)}, disk_bytes=gb(3))
    state = snap(budget=budget, queue=tuple(queued(name, cold_step(), disk=1.0) for name in "abcd"))

    assert opened(state) == 3
    assert last_code(state) == "disk"
    assert opened(snap(budget=budget, queue=(queued("a", cold_step(), disk=9.0),))) == 1


@pytest.mark.parametrize("ram", [0.04, 0.5])
def test_not_more_than_memory_holds(ram: float) -> None:
    state = snap(budget=Budget(8, gb(ram)), max_workers=20, queue=QUEUE_ON_CPU)

    assert 0 < opened(state) <= max(20, ram * 60)
    assert last_code(state) in ("memory", "look_ahead")


def test_the_first_file_is_opened_whatever_an_idle_model_holds() -> None:
    """It turned out larger than the budget; the next file waited until it was let go."""
    state = snap(workers=(idle("asr", held=40.0),), queue=QUEUE_ON_CPU)

    assert opened(state) == 1
    assert last_code(state) == "memory"


QUEUE_ON_CPU = tuple(queued(f"{number:03}", cold_step()) for number in range(50))


def test_idle_jobs_take_a_quarter_of_the_memory_at_most() -> None:
    steps = (gpu_step("asr", 5.0, run_s=0.1), gpu_step("align", 5.0, run_s=0.1))
    queue = tuple(queued(f"{number:03}", *steps) for number in range(50))
    state = snap(budget=Budget(8, gb(2), {GPU: gb(8)}), queue=queue)

    assert opened(state) == int(0.25 * gb(2) / (16 << 20))
    assert last_code(state) == "memory"


def test_not_more_than_there_are_pipes_for() -> None:
    """With much memory and short files 700 were opened: too many open files, every night."""
    steps = (gpu_step("asr", 5.0, run_s=0.1), gpu_step("align", 5.0, run_s=0.1))
    queue = tuple(queued(f"{number:03}", *steps) for number in range(50))
    state = snap(budget=Budget(8, gb(999), {GPU: gb(8)}), queue=queue)
    assert opened(state) == 50

    few = replace(state, limits=Limits(most_open=42))
    assert opened(few) == 42
    assert last_code(few) == "descriptors"
    assert explain(few)[-1].words.startswith("not started yet: 0 files are begun, and the system")

    assert opened(replace(few, max_workers=64)) == 42, "the system's limit is nobody's choice"
    assert opened(replace(state, limits=Limits(most_open=0))) == 1


def test_none_while_those_that_are_open_do_not_get_on() -> None:
    state = snap(files=(waiting("a", cold_step(), since=NOW - 6000),), queue=QUEUE)

    assert opened(state) == 0
    assert last_code(state) == "congested"


def test_the_library_may_be_finished() -> None:
    assert schedule(snap()) == ()
    assert opened(snap(files=(moving("a", gpu_step("asr")),))) == 0
