"""The threads of models on the CPU: as many files as possible, and at the end one that is long."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from batch.schedule import explain, schedule
from batch.schedule.model import Budget, Launch, Lease, Need, OpenFile, Snapshot, Start, Step
from batch.schedule.share import Share, threads_speed
from tests.batch.schedule.building import (
    NOW,
    cpu_step,
    elastic_step,
    gb,
    idle,
    moving,
    queued,
    snap,
    waiting,
    worker,
)

FILM = elastic_step("asr", run_s=600.0)
CLIP = elastic_step("asr", run_s=6.0)


def eight(*files: OpenFile, **changes: Any) -> Snapshot:
    values: dict[str, Any] = {"budget": Budget(8, gb(64)), "max_workers": 8, "files": files}
    return snap(**{**values, **changes})


def at_work(name: str, left: float, threads: int = 1) -> tuple[OpenFile, Lease]:
    """A clip that is expected to end in ``left`` seconds, or was by so many seconds ago."""
    lease = Lease(f"r-{name}", name, None, "cpu", Need(threads, gb(0.5)), NOW + left)
    return moving(name, CLIP, cpu_step("subtitles")), lease


def beside(*work: tuple[OpenFile, Lease], step: Step = FILM, **changes: Any) -> Snapshot:
    """A file that wants to run ``step`` while others run; its model is there with one thread."""
    values: dict[str, Any] = {
        "leases": tuple(lease for _, lease in work),
        "workers": (idle("asr", threads=1),),
    }
    return eight(waiting("z", step), *(file for file, _ in work), **{**values, **changes})


def answer(state: Snapshot) -> list[tuple[str, int]]:
    """What starts, and what is loaded, with how many threads."""
    return [
        ("start", one.need.cpu_threads) if isinstance(one, Start) else ("load", one.threads)
        for one in schedule(state)
        if isinstance(one, Start | Launch)
    ]


@pytest.mark.parametrize(
    ("times", "share"),
    [
        ([60.0] * 8, {60.0: 1}),
        ([60.0] * 20, {60.0: 1}),
        ([60.0, 60.0], {60.0: 4}),
        ([600.0], {600.0: 8}),
        ([600.0] + [6.0] * 7, {600.0: 8, 6.0: 1}),
        ([600.0, 600.0] + [60.0] * 6, {600.0: 3, 60.0: 1}),
    ],
)
def test_the_last_files_share_the_threads_so_that_they_end_together(
    times: list[float], share: dict[float, int]
) -> None:
    steps = [elastic_step("asr", run_s=one) for one in times]
    shared = Share(eight(*(waiting(f"f{n:02}", step) for n, step in enumerate(steps))))

    assert {step.run_s: shared.of(step) for step in steps} == share
    if shared.rest_s is not None:
        ends = [one / threads_speed(share[one]) for one in times]
        assert max(ends) <= 1.25 * shared.rest_s


def test_while_more_may_come_all_get_the_usual_share() -> None:
    shared = Share(eight(waiting("a", FILM), waiting("b", CLIP), more=True))

    assert (shared.of(FILM), shared.rest_s, shared.is_long(FILM)) == (1, None, False)


def test_what_is_under_way_and_in_the_queue_counts() -> None:
    file, lease = at_work("a", left=2400.0, threads=2)
    shared = Share(eight(file, waiting("z", FILM), queue=(queued("q", CLIP),), leases=(lease,)))

    assert shared.rest_s is None, "the film is done before the rest is"


def test_a_long_file_waits_for_those_that_end_soon() -> None:
    """The last film of a library went on with one thread for hours, beside seven idle ones."""
    state = beside(*(at_work(name, left=5.0) for name in "abcdefg"))

    assert answer(state) == []
    (reason,) = explain(state)
    assert (reason.code, reason.file) == ("threads", "z")
    assert reason.words == (
        "waits for CPU threads: 7 of 8 are in use,"
        " and it would end last: with more of them it ends sooner"
    )


def test_nobody_else_takes_the_threads_that_a_long_file_waits_for() -> None:
    state = beside(*(at_work(name, left=5.0) for name in "abcdef"))
    later = waiting("zz", CLIP)

    assert answer(replace(state, files=(*state.files, later))) == []


def test_it_does_not_wait_for_those_that_take_as_long_as_itself() -> None:
    state = beside(*(at_work(name, left=500.0) for name in "abcdefg"))

    assert answer(state) == [("start", 1)]


def test_it_gives_up_waiting_for_one_that_is_late() -> None:
    state = beside(at_work("a", left=-1.0, threads=3))
    late = beside(at_work("a", left=-400.0, threads=3))

    assert answer(state) == []
    assert answer(late) == [("load", 4)]


def test_its_worker_is_loaded_once_and_its_threads_are_kept_meanwhile() -> None:
    loading = replace(worker("asr", state="starting", threads=8), id="new")
    workers = (idle("asr", threads=1), loading)
    state = eight(waiting("z", FILM), waiting("zz", CLIP), workers=workers)

    assert answer(eight(waiting("z", FILM), workers=workers[:1])) == [("load", 8)]
    assert answer(state) == []
    loaded = replace(loading, state="idle")
    assert answer(replace(state, workers=(workers[0], loaded)))[0] == ("start", 8)


def test_where_another_model_does_not_fit_the_one_at_hand_is_used() -> None:
    """It waited for memory, until nothing else moved."""
    film = Step("asr", Need(1, gb(2.2)), 600.0, "asr", Need(0, gb(1.9)), 2.0, elastic=True)
    state = beside(
        at_work("a", left=500.0),
        step=film,
        workers=(idle("asr", held=2.0, threads=1), idle("subtitles")),
        budget=Budget(8, gb(4)),
    )

    assert answer(state) == [("start", 1)]
    assert answer(replace(state, budget=Budget(8, gb(5)))) == [("load", 6)]


def test_an_idle_worker_with_more_threads_than_its_share_works_for_the_last_files() -> None:
    """No other fitted beside it, and it was neither used nor ended: nothing moved any more."""
    files = (waiting("a", CLIP), waiting("z", FILM))
    step = replace(CLIP, need=Need(1, gb(15)), held=Need(0, gb(14)))
    last = tuple(replace(file, steps=(replace(step, run_s=file.steps[0].run_s),)) for file in files)
    state = eight(*last, workers=(idle("asr", held=14.0, threads=6),), budget=Budget(8, gb(16)))

    assert answer(state) == [("start", 6)]


def test_idle_workers_with_more_threads_than_usual_stay_for_the_last_files() -> None:
    big = idle("asr", threads=4)
    files = tuple(waiting(f"f{number}", FILM) for number in range(2))

    assert answer(eight(*files, workers=(big,), max_workers=8))[0] == ("start", 4)
