"""The CPU: threads, light workers, memory, what other programs' load holds back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from batch.schedule import explain, schedule
from batch.schedule.model import (
    Budget,
    Evict,
    Launch,
    Limits,
    Need,
    Open,
    Park,
    Snapshot,
    Start,
    Step,
)
from tests.batch.schedule.building import (
    GPU,
    NOW,
    cold_step,
    cpu_step,
    elastic_step,
    gb,
    gpu_step,
    idle,
    lease,
    moving,
    queued,
    snap,
    waiting,
    worker,
)

ASR = elastic_step("asr")


def two_cores(**changes: Any) -> Snapshot:
    values: dict[str, Any] = {"budget": Budget(2, gb(8)), "max_workers": 2}
    return snap(**{**values, **changes})


def decided(snapshot: Snapshot, kind: type) -> list[Any]:
    return [one for one in schedule(snapshot) if isinstance(one, kind)]


def code_of(snapshot: Snapshot, file: str) -> str:
    return next(reason.code for reason in explain(snapshot) if reason.file == file)


def test_two_files_on_two_cores_get_a_thread_each() -> None:
    state = two_cores(files=(waiting("a", ASR), waiting("b", ASR)))

    assert [launch.threads for launch in decided(state, Launch)] == [1, 1]


def test_a_file_alone_gets_all_threads() -> None:
    assert [one.threads for one in decided(two_cores(files=(waiting("a", ASR),)), Launch)] == [2]


def test_while_files_may_still_be_found_a_file_is_not_taken_for_alone() -> None:
    state = two_cores(files=(waiting("a", ASR),), more=True)

    assert [launch.threads for launch in decided(state, Launch)] == [1]


def test_the_last_long_file_is_worth_loading_with_all_threads() -> None:
    state = two_cores(files=(waiting("a", ASR),), workers=(idle("asr", threads=1),))
    short = two_cores(
        files=(waiting("a", elastic_step("asr", run_s=3.0)),),
        workers=(idle("asr", threads=1),),
    )

    assert [launch.threads for launch in decided(state, Launch)] == [2]
    assert [start.need.cpu_threads for start in decided(short, Start)] == [1]


def test_a_worker_with_more_threads_than_the_share_is_ended() -> None:
    state = two_cores(
        files=(waiting("a", ASR), waiting("b", ASR)), workers=(idle("asr", threads=2),)
    )

    (evicted,) = decided(state, Evict)
    assert (evicted.worker, evicted.why) == (
        "w-asr-cpu",
        "as it has more threads than an attempt may have",
    )
    assert [launch.threads for launch in decided(state, Launch)] == [1, 1]


def test_warm_workers_are_used_and_their_leases_hold_what_they_hold() -> None:
    state = two_cores(files=(waiting("a", cpu_step()),), workers=(idle("demux", held=2.0),))

    (start,) = decided(state, Start)
    assert start.worker == "w-demux-cpu"
    assert start.need == Need(1, gb(2))


def test_a_stage_without_a_worker_runs_in_a_process_of_its_own() -> None:
    (start,) = decided(two_cores(files=(waiting("a", cold_step()),)), Start)

    assert start.worker is None


def test_the_deepest_goes_first_and_the_rest_waits_for_threads() -> None:
    files = (waiting("a", cold_step(), cold_step()), waiting("b", cold_step()))
    state = two_cores(budget=Budget(1, gb(8)), files=files)

    assert [start.file for start in decided(state, Start)] == ["b"]
    assert code_of(state, "a") == "threads"


def test_a_wide_stage_waits_for_its_threads() -> None:
    wide = cpu_step("wide", threads=2)
    state = two_cores(files=(moving("x", cold_step()), waiting("a", wide)), leases=(lease("x"),))

    assert code_of(state, "a") == "threads"


def test_no_second_worker_is_loaded_for_little_work() -> None:
    tiny = cpu_step("vad", run_s=0.1)
    state = two_cores(
        files=(moving("a", tiny), waiting("b", tiny, since=NOW - 0.1)),
        workers=(worker("vad", state="busy"),),
        leases=(lease("a", by="w-vad-cpu"),),
    )

    assert decided(state, Launch) == []
    assert code_of(state, "b") == "worker"
    assert len(decided(replace(state, now=NOW + 1), Launch)) == 1, "it takes longer than expected"


def test_a_file_waits_for_the_worker_that_loads() -> None:
    state = two_cores(
        files=(waiting("a", ASR), waiting("b", ASR)),
        workers=(worker("asr", state="starting"),),
    )

    assert code_of(state, "a") == "model"
    assert len(decided(state, Launch)) == 1


def test_the_next_model_is_loaded_with_a_thread_that_nobody_needs() -> None:
    state = two_cores(files=(moving("a", cold_step(), ASR),), leases=(lease("a"),))

    assert [launch.key for launch in decided(state, Launch)] == ["asr"]


def test_a_model_is_loaded_ahead_as_often_as_it_can_work_at_once_and_pays() -> None:
    opening = two_cores(files=tuple(moving(name, ASR) for name in "abcd"))
    little = elastic_step("asr", run_s=1.0)

    assert len(decided(opening, Launch)) == 2
    assert (
        len(decided(replace(opening, files=(moving("a", little), moving("b", little))), Launch))
        == 1
    )


def test_not_more_models_are_loaded_than_there_are_files_for_them() -> None:
    """While files may still be found, one film made eight workers load."""
    eight = {"budget": Budget(8, gb(64)), "max_workers": 8, "more": True}
    film = elastic_step("asr", run_s=7200.0)

    assert len(decided(snap(files=(waiting("a", film),), **eight), Launch)) == 1
    two = snap(files=(waiting("a", film), moving("b", cpu_step(), film)), **eight)
    assert [one.key for one in decided(two, Launch)].count("asr") == 2


def test_not_more_models_are_loaded_than_can_run_in_the_memory() -> None:
    """What they hold may fit more often than what they need."""
    step = Step("asr", Need(1, gb(6)), 600.0, "asr", Need(0, gb(0.1)), 2.0, elastic=True)
    files = tuple(waiting(name, step) for name in "abcd")
    state = snap(budget=Budget(8, gb(16)), max_workers=8, more=True, files=files)

    assert len(decided(state, Launch)) == 2


def test_one_who_has_waited_long_waits_for_the_worker_that_loads() -> None:
    """Each look at the same moment made another one load."""
    little = elastic_step("asr", run_s=0.5)
    files = tuple(waiting(name, little, since=NOW - 60) for name in "abc")
    busy = worker("asr", state="busy")
    more = {"budget": Budget(8, gb(16)), "more": True}
    lacking = snap(files=files, workers=(busy,), leases=(lease("z", by=busy.id),), **more)
    coming = replace(worker("asr", state="starting"), id="new")

    assert len(decided(lacking, Launch)) == 1
    assert decided(replace(lacking, workers=(busy, coming)), Launch) == []


def test_no_thread_is_taken_for_models_that_are_far_ahead() -> None:
    state = snap(
        budget=Budget(8, gb(16)),
        files=(moving("a", cold_step(), ASR, elastic_step("align")),),
        leases=(lease("a"),),
    )

    assert [launch.key for launch in decided(state, Launch)] == ["asr"]


def test_memory_is_freed_from_models_that_nobody_wants() -> None:
    state = two_cores(
        budget=Budget(2, gb(2)),
        files=(waiting("a", ASR),),
        workers=(idle("align", held=1.8), idle("asr", held=0.1)),
    )

    assert decided(state, Evict) == [Evict("w-align-cpu")]
    assert code_of(state, "a") == "making_room"


def test_memory_of_a_gpu_worker_counts_too() -> None:
    state = snap(
        budget=Budget(8, gb(1), {GPU: gb(8)}),
        files=(waiting("a", cold_step(ram=0.8)),),
        workers=(idle("asr", GPU, 3),),
    )

    assert decided(state, Evict) == [Evict("w-asr-cuda:0")]


def test_other_programs_memory_is_not_counted_on() -> None:
    state = two_cores(
        budget=Budget(2, gb(8), ram_available=gb(0.1)), files=(waiting("a", cold_step()),)
    )

    assert decided(state, Start) == []
    assert code_of(state, "a") == "memory"


def test_where_nothing_moves_a_wanted_model_makes_way() -> None:
    state = two_cores(
        budget=Budget(2, gb(2)),
        files=(
            waiting("a", elastic_step("big", ram=3.8)),
            waiting("b", elastic_step("other", ram=3.8)),
        ),
        workers=(idle("other", held=1.0, threads=1), idle("big", held=1.0, threads=1)),
    )

    assert len(decided(state, Evict)) == 1


@pytest.mark.parametrize("begun", [True, False])
def test_other_programs_load_holds_back_new_files_only(begun: bool) -> None:
    files = (
        waiting("a", cold_step(), begun=begun),
        waiting("b", gpu_step("asr"), begun=begun),
    )
    state = snap(
        files=files,
        workers=(idle("asr", GPU, 2),),
        queue=(queued("c", cold_step()),),
        holding="other programs use the CPU",
    )

    assert len(decided(state, Start)) == (2 if begun else 0)
    assert decided(state, Open) == []
    assert code_of(state, "c") == "held_back"
    if not begun:
        words = {reason.words for reason in explain(state)}
        assert "held back: other programs use the CPU" in words


def test_nothing_is_loaded_ahead_while_new_files_are_held_back() -> None:
    state = snap(files=(moving("a", cpu_step(), gpu_step("asr")),), holding="busy")

    assert decided(state, Launch) == []


def test_the_model_of_a_file_that_is_held_back_is_not_loaded() -> None:
    """It was ended for the file that goes on, and loaded again before that got its memory."""
    files = (
        waiting("new", gpu_step("asr"), begun=False),
        waiting("begun", cpu_step("mux", ram=7.9)),
    )
    state = snap(budget=Budget(8, gb(8), {GPU: gb(8)}), files=files, holding="busy")

    assert decided(replace(state, files=files[:1]), Launch) == []
    assert [one.key for one in decided(state, Launch)] == ["mux"]

    loaded = replace(state, workers=(idle("asr", GPU, 2), idle("mux")))
    assert schedule(loaded) == (Evict("w-asr-cuda:0"),), "nobody wants it now"


def test_an_idle_worker_is_ended_after_a_while() -> None:
    old = idle("asr", used=NOW - 601)

    unused = Evict("w-asr-cpu", "as nobody has used it for long")

    assert decided(two_cores(workers=(old,)), Evict) == [unused]
    assert decided(two_cores(workers=(idle("asr", used=NOW - 500),)), Evict) == []
    assert decided(two_cores(workers=(old,), files=(moving("a", ASR),)), Evict) == []
    assert decided(two_cores(workers=(old,), limits=Limits(idle_release_s=None)), Evict) == []


def test_who_has_waited_long_is_parked_except_for_max_workers() -> None:
    since = NOW - 6000
    files = tuple(waiting(name, cold_step(), since=since, begun=False) for name in "abcd")
    state = two_cores(files=files, holding="other programs use the CPU")

    assert [park.file for park in decided(state, Park)] == ["d", "c"]
    assert decided(two_cores(files=files[:2], holding="busy"), Park) == []


def test_an_urgent_request_keeps_its_memory_and_threads() -> None:
    files = (
        waiting("old", cold_step(ram=7.0), since=NOW - 5000),
        moving("x", cold_step()),
        waiting("b", cold_step(ram=1.0)),
    )
    state = two_cores(files=files, leases=(lease("x", need=Need(1, gb(2))),))

    assert decided(state, Start) == []
    assert code_of(state, "b") == "memory"


def test_a_worker_that_turned_out_larger_than_the_budget_can_work() -> None:
    """Nothing would ever move again: it holds its memory already."""
    state = two_cores(files=(waiting("a", ASR),), workers=(idle("asr", held=40.0, threads=2),))

    (start,) = decided(state, Start)
    assert start.worker == "w-asr-cpu"
    assert start.need.ram_bytes < state.budget.ram_bytes, "the job itself takes a part"
