"""The GPUs: affinity, loading, eviction, one lease a device."""

from __future__ import annotations

from dataclasses import replace

import pytest

from batch.schedule import explain, schedule
from batch.schedule.model import Budget, Evict, Launch, Limits, Need, OpenFile, Snapshot, Start
from tests.batch.schedule.building import (
    GPU,
    NOW,
    cold_step,
    cpu_step,
    gb,
    gpu_step,
    idle,
    lease,
    moving,
    snap,
    waiting,
    worker,
)

ASR = gpu_step("asr", held=3.0)
ALIGN = gpu_step("align", held=1.0)
BIG = gpu_step("translate", held=5.0)


def starts(snapshot: Snapshot) -> list[tuple[str, str | None, str]]:
    return [
        (one.file, one.worker, one.device) for one in schedule(snapshot) if isinstance(one, Start)
    ]


def launches(snapshot: Snapshot) -> list[tuple[str, str]]:
    return [(one.key, one.device) for one in schedule(snapshot) if isinstance(one, Launch)]


def evictions(snapshot: Snapshot) -> list[str]:
    return [one.worker for one in schedule(snapshot) if isinstance(one, Evict)]


def code_of(snapshot: Snapshot, file: str) -> str:
    return next(reason.code for reason in explain(snapshot) if reason.file == file)


def test_the_deepest_file_whose_model_is_warm_goes_first() -> None:
    state = snap(
        files=(waiting("a", ASR, ALIGN), waiting("b", ALIGN)),
        workers=(idle("asr", GPU, 3), idle("align", GPU, 1)),
    )

    assert starts(state) == [("b", "w-align-cuda:0", GPU)]
    assert code_of(state, "a") == "gpu"


def test_among_equals_the_order_of_the_queue_decides() -> None:
    files = (waiting("a", ASR, place=2), waiting("b", ASR, place=1))

    assert starts(snap(files=files, workers=(idle("asr", GPU, 3),)))[0][0] == "b"


def test_a_warm_model_goes_on_although_a_deeper_file_waits_for_another() -> None:
    state = snap(files=(waiting("a", ASR, BIG), waiting("b", BIG)), workers=(idle("asr", GPU, 3),))

    assert starts(state) == [("a", "w-asr-cuda:0", GPU)]
    assert not evictions(state)


def test_models_that_fit_are_loaded_before_they_are_asked_for() -> None:
    files = (moving("a", cpu_step(), ASR, ALIGN),)

    assert set(launches(snap(files=files))) == {("demux", "cpu"), ("asr", GPU), ("align", GPU)}


def test_a_model_that_would_leave_no_room_to_run_is_not_loaded_ahead() -> None:
    files = (moving("a", ASR, BIG),)

    assert launches(snap(files=files, workers=(idle("asr", GPU, 3),))) == []


def test_when_its_work_runs_out_an_unwanted_model_makes_way() -> None:
    state = snap(files=(waiting("b", BIG),), workers=(idle("asr", GPU, 3), idle("align", GPU, 1)))

    assert evictions(state) == ["w-asr-cuda:0"]
    assert launches(state) == []
    assert code_of(state, "b") == "model"


def test_the_least_recently_used_model_makes_way_first() -> None:
    workers = (idle("asr", GPU, 3, used=NOW - 5), idle("align", GPU, 3, used=NOW - 50))

    assert evictions(snap(files=(waiting("b", gpu_step("x", 3.0)),), workers=workers)) == [
        "w-align-cuda:0"
    ]


def test_nobody_takes_memory_that_is_being_freed_for_another() -> None:
    workers = (worker("asr", GPU, "ending", 3), idle("align", GPU, 1))
    state = snap(files=(waiting("b", BIG), moving("c", gpu_step("y", 0.5))), workers=workers)

    assert launches(state) == []


def test_a_model_that_files_will_ask_for_soon_stays() -> None:
    files = (
        waiting("b", BIG),
        moving("c", cpu_step(), ASR),
        waiting("d", cpu_step(), ASR),
    )
    state = snap(
        files=files,
        workers=(idle("asr", GPU, 3), worker("demux", state="busy")),
        leases=(lease("c", by="w-demux-cpu"),),
    )

    assert "w-asr-cuda:0" not in evictions(state)


def test_the_next_model_is_loaded_while_the_last_attempt_of_the_old_one_runs() -> None:
    state = snap(
        files=(moving("a", ALIGN, BIG), waiting("b", BIG)),
        workers=(worker("align", GPU, "busy", 1), idle("asr", GPU, 3)),
        leases=(lease("a", GPU, Need(1, gb(1), gb(2)), by="w-align-cuda:0", left=5.0),),
        budget=Budget(8, gb(16), {GPU: gb(9)}),
    )

    assert evictions(state) == ["w-asr-cuda:0"]


@pytest.mark.parametrize(("per_gpu", "expected"), [(1, 0), (2, 1)])
def test_leases_on_one_gpu_are_limited(per_gpu: int, expected: int) -> None:
    state = snap(
        files=(moving("a", ASR), waiting("b", ALIGN)),
        workers=(worker("asr", GPU, "busy", 3), idle("align", GPU, 1)),
        leases=(lease("a", GPU, Need(1, gb(1), gb(4)), by="w-asr-cuda:0"),),
        limits=Limits(leases_per_gpu=per_gpu),
    )

    assert len(starts(state)) == expected


def test_two_gpus_work_at_once_and_each_gets_a_model() -> None:
    budget = Budget(8, gb(32), {"cuda:0": gb(8), "cuda:1": gb(8)})
    files = tuple(waiting(name, ASR) for name in "abcd")
    state = snap(budget=budget, files=files)

    assert {device for _, device in launches(state)} == {"cuda:0", "cuda:1"}

    warm = snap(budget=budget, files=files, workers=(idle("asr", GPU, 3), idle("asr", "cuda:1", 3)))
    assert {device for _, _, device in starts(warm)} == {"cuda:0", "cuda:1"}


def test_a_second_copy_is_not_loaded_for_little_work() -> None:
    budget = Budget(8, gb(32), {"cuda:0": gb(8), "cuda:1": gb(8)})
    short = gpu_step("asr", run_s=2.0)
    state = snap(
        budget=budget,
        files=(moving("a", short), waiting("b", short)),
        workers=(worker("asr", GPU, "busy", 2),),
        leases=(lease("a", GPU, Need(1, gb(1), gb(3)), by="w-asr-cuda:0"),),
    )

    assert launches(state) == []


def test_an_attempt_on_a_gpu_leaves_a_thread_to_the_cpu_stages() -> None:
    greedy = gpu_step("asr")
    greedy = type(greedy)(
        greedy.stage, Need(8, gb(1), gb(3)), 60.0, "asr", greedy.held, 10.0, gpu=True
    )
    state = snap(
        budget=Budget(2, gb(16), {GPU: gb(8)}),
        files=(waiting("a", greedy),),
        workers=(idle("asr", GPU, 2),),
    )

    (start,) = [one for one in schedule(state) if isinstance(one, Start)]
    assert start.need.cpu_threads == 1


def test_a_need_over_the_budget_is_cut_and_runs_alone() -> None:
    huge = gpu_step("huge", held=10.0, extra=10.0)
    state = snap(files=(waiting("a", huge),))
    (launch,) = [one for one in schedule(state) if isinstance(one, Launch)]
    assert launch.held.vram_bytes == gb(8)

    warm = snap(files=(waiting("a", huge),), workers=(idle("huge", GPU, 8),))
    (start,) = [one for one in schedule(warm) if isinstance(one, Start)]
    assert start.need.vram_bytes == gb(8)


def test_what_other_programs_left_free_is_the_second_gate() -> None:
    budget = Budget(8, gb(16), {GPU: gb(8)}, vram_available={GPU: gb(2)})
    state = snap(budget=budget, files=(waiting("a", ASR),))

    assert launches(state) == []
    cold = snap(budget=budget, files=(waiting("a", cold_step("x", vram=3.0)),))
    assert code_of(cold, "a") == "gpu_memory"


def test_a_cold_attempt_waits_until_idle_models_without_work_are_gone() -> None:
    cold = cold_step("x", vram=6.0)
    state = snap(files=(waiting("a", cold),), workers=(idle("asr", GPU, 3),))

    assert evictions(state) == ["w-asr-cuda:0"]
    assert code_of(state, "a") == "making_room"
    assert starts(snap(files=(waiting("a", cold),))) == [("a", None, GPU)]


def test_who_has_waited_too_long_gets_its_model_at_the_cost_of_others() -> None:
    files = (
        waiting("old", BIG, since=NOW - 5000),
        *(waiting(name, ASR) for name in "abc"),
    )
    state = snap(files=files, workers=(idle("asr", GPU, 3), idle("align", GPU, 1)))

    # The unwanted one first, then the one with work, as that is not enough.
    assert evictions(state) == ["w-align-cuda:0"]
    assert starts(state) == []
    assert evictions(replace(state, workers=state.workers[:1])) == []
    full = replace(state, workers=(idle("asr", GPU, 4),))
    assert evictions(full) == ["w-asr-cuda:0"]


def test_while_the_old_one_waits_for_memory_nobody_else_takes_it() -> None:
    files = (
        waiting("old", BIG, since=NOW - 5000),
        moving("a", ASR),
        waiting("b", ALIGN),
    )
    state = snap(
        files=files,
        workers=(worker("asr", GPU, "busy", 3), idle("align", GPU, 1)),
        leases=(lease("a", GPU, Need(1, gb(1), gb(4)), by="w-asr-cuda:0"),),
        limits=Limits(leases_per_gpu=2),
    )

    assert starts(state) == []
    assert launches(state) == []


def test_an_old_request_takes_the_next_cpu_thread() -> None:
    files = (waiting("old", BIG, since=NOW - 5000), waiting("b", cpu_step()))
    state = snap(
        budget=Budget(1, gb(16), {GPU: gb(8)}),
        files=(*files, moving("c", cpu_step())),
        leases=(lease("c"),),
    )

    assert starts(state) == []
    assert code_of(state, "old") == "threads"
    assert code_of(state, "b") == "threads"


def test_an_old_request_gets_a_thread_to_load_its_model_beside_a_busy_gpu() -> None:
    files = (waiting("old", ALIGN, since=NOW - 5000), moving("a", ASR), waiting("b", cpu_step()))
    running = lease("a", GPU, Need(1, gb(1), gb(4)), by="w-asr-cuda:0")
    busy = (worker("asr", GPU, "busy", 3), idle("demux"))
    budget = Budget(2, gb(16), {GPU: gb(8)})
    state = snap(budget=budget, files=files, workers=busy, leases=(running,))

    assert launches(state) == [("align", GPU)]
    assert starts(state) == []

    full = replace(state, leases=(running, lease("c")))
    assert launches(full) == []
    assert code_of(full, "old") == "threads"


def test_nobody_starts_over_the_number_of_workers() -> None:
    state = snap(
        max_workers=1,
        files=(moving("a", cpu_step()), waiting("b", ASR)),
        workers=(idle("asr", GPU, 3),),
        leases=(lease("a"),),
    )

    assert starts(state) == []
    assert code_of(state, "b") == "turn"


def test_a_place_is_kept_for_the_file_whose_model_is_being_loaded() -> None:
    state = snap(
        max_workers=1,
        files=(waiting("a", ASR), waiting("b", cpu_step())),
        workers=(worker("asr", GPU, "starting", 3), idle("demux")),
    )

    assert starts(state) == []
    assert code_of(state, "b") == "turn"


def test_a_gpu_stage_without_a_gpu_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="asr wants a GPU"):
        schedule(snap(budget=Budget(8, gb(16)), files=(waiting("a", ASR),)))


def test_a_file_without_steps_left_asks_for_nothing() -> None:
    assert schedule(snap(files=(OpenFile("a", (0.0,), (), None, NOW),))) == ()


TWO = Budget(8, gb(32), {GPU: gb(4), "cuda:1": gb(12)})


def test_a_gpu_that_is_too_small_gets_no_model_that_another_can_hold() -> None:
    """Its need would be cut to the small one, and run out of memory there."""
    files = tuple(waiting(name, BIG, place=place) for place, name in enumerate("abc"))

    assert launches(snap(budget=TWO, files=files)) == [("translate", "cuda:1")]

    beside = (moving("d", ASR), idle("translate", "cuda:1", 5))
    loaded = snap(budget=TWO, files=(*files, beside[0]), workers=beside[1:])
    assert starts(loaded) == [("a", "w-translate-cuda:1", "cuda:1")]
    assert ("translate", GPU) not in launches(loaded)


GROWN = gpu_step("grown", held=6.0, extra=2.0)
UNEQUAL = Budget(8, gb(16), {GPU: gb(11), "cuda:1": gb(7)})
OUTGROWN = idle("grown", "cuda:1", 6)
"""Loaded before it was known that the step needs more than this GPU has."""


def test_a_worker_on_a_gpu_that_has_become_too_small_does_not_keep_another_from_loading() -> None:
    """Nothing was decided for ever: the model was there, and no GPU was free that had it."""
    state = snap(budget=UNEQUAL, files=(waiting("a", GROWN),), workers=(OUTGROWN,))

    assert schedule(state)[0] == Launch("grown", GPU, 1, GROWN.held)


def test_nor_one_that_has_waited_longer_than_anybody_should() -> None:
    files = (waiting("a", GROWN, since=NOW - 7000), moving("b", BIG))
    state = snap(budget=UNEQUAL, files=files, workers=(OUTGROWN, idle("translate", GPU, 6)))

    assert evictions(state) == ["w-translate-cuda:0"]
    assert launches(replace(state, workers=(OUTGROWN,)))[0] == ("grown", GPU)


def test_such_a_worker_makes_way_first_and_is_let_go() -> None:
    files = (waiting("a", GROWN), waiting("b", ALIGN), moving("c", BIG))
    soon = moving("d", gpu_step("asr", held=3.0, run_s=5.0))
    busy = lease("c", GPU, Need(1, gb(1), gb(11)))
    workers = (replace(OUTGROWN, last_used=NOW), idle("asr", "cuda:1", 0.5, used=NOW - 5))
    state = snap(budget=UNEQUAL, files=(*files, soon), workers=workers, leases=(busy,))

    assert evictions(state) == ["w-grown-cuda:1"]

    unused = replace(OUTGROWN, last_used=NOW - 700)
    alone = snap(budget=UNEQUAL, files=files[:1], workers=(unused,))
    assert evictions(alone) == ["w-grown-cuda:1"]


def test_a_worker_on_a_gpu_that_another_program_has_taken_is_not_waited_for() -> None:
    """With a second GPU idle the file waited for as long as that program ran."""
    both = {GPU: gb(8), "cuda:1": gb(8)}
    state = snap(
        budget=Budget(8, gb(16), both, vram_available={GPU: gb(5), "cuda:1": gb(2)}),
        files=(waiting("a", ASR),),
        workers=(idle("asr", "cuda:1", 1.5),),
    )
    assert launches(state) == [("asr", GPU)]

    taken = Budget(8, gb(16), both, vram_available={GPU: gb(2), "cuda:1": gb(2)})
    assert launches(replace(state, budget=taken)) == [], "there is nowhere to go"


def test_a_step_in_a_process_of_its_own_goes_to_a_gpu_that_is_large_enough() -> None:
    state = snap(budget=TWO, files=(waiting("a", cold_step("x", vram=6.0)),))

    assert starts(state) == [("a", None, "cuda:1")]

    busy = replace(state, files=(*state.files, moving("b", ASR)), leases=(lease("b", "cuda:1"),))
    assert starts(busy) == []
    assert code_of(busy, "a") == "gpu"


def test_what_no_gpu_can_hold_goes_to_the_largest() -> None:
    state = snap(budget=TWO, files=(waiting("a", cold_step("x", vram=20.0)),))

    assert starts(state) == [("a", None, "cuda:1")]


def test_a_worker_that_turned_out_larger_than_the_gpu_can_work() -> None:
    state = snap(files=(waiting("a", ASR),), workers=(idle("asr", GPU, 9.0),))

    (start,) = schedule(state)
    assert isinstance(start, Start)
    assert start.need.vram_bytes == gb(8), "it is cut to the budget, as any need"


def test_nor_does_it_wait_for_that_memory_where_it_needs_more_of_the_other_kind() -> None:
    """It waited for ever for what it held already, as others had left the GPU less than that."""
    budget = Budget(8, gb(16), {GPU: gb(8)}, vram_available={GPU: gb(5)})
    state = snap(budget=budget, files=(waiting("a", ASR),), workers=(idle("asr", GPU, 9.0),))

    assert starts(state) == [("a", "w-asr-cuda:0", GPU)]
