from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from batch.timeline_page.buckets import Buckets
from batch.timeline_page.lanes import Lane, Lanes
from tests.batch.timeline_page.building import attempt, worker


def bars(lane: Lane) -> list[tuple[str, float, float]]:
    return [(bar.phase, bar.start, bar.end) for bar in lane.bars]


def test_a_worker_loads_serves_and_ends() -> None:
    lanes = Lanes(Buckets())
    lanes.worker(worker("w1", 1.0, "launched"))
    lanes.worker(worker("w1", 3.0, "ready"))
    lanes.attempt(attempt(start=4.0, end=6.0, worker="w1", runs_from=4.5))
    lanes.worker(worker("w1", 7.0, "nobody has wanted it"))
    (lane,) = lanes.finish(10.0)
    assert bars(lane) == [
        ("load", 1.0, 3.0),
        ("load", 4.0, 4.5),
        ("run", 4.5, 6.0),
        ("alive", 1.0, 7.0),
    ]


def test_the_next_worker_of_a_stage_takes_over_the_row() -> None:
    lanes = Lanes(Buckets())
    for name, at in (("w1", 0.0), ("w2", 5.0)):
        lanes.worker(worker(name, at, "launched"))
        lanes.worker(worker(name, at + 1.0, "ready"))
        lanes.worker(worker(name, at + 4.0, "after 200 attempts"))
    lanes.worker(worker("w3", 20.0, "launched", stage="demux"))
    asr, demux = lanes.finish(25.0)
    assert (asr.stage, demux.stage) == ("asr", "demux")
    assert [bar for bar in bars(asr) if bar[0] == "alive"] == [
        ("alive", 0.0, 4.0),
        ("alive", 5.0, 9.0),
    ]
    assert bars(demux) == [("load", 20.0, 25.0), ("alive", 20.0, 25.0)]


def test_a_worker_that_died_while_it_loaded() -> None:
    lanes = Lanes(Buckets())
    lanes.worker(worker("w1", 1.0, "launched"))
    lanes.worker(worker("w1", 2.0, "could not be started"))
    lanes.worker(worker("w1", 3.0, "said again"))
    (lane,) = lanes.finish(9.0)
    assert bars(lane) == [("load", 1.0, 2.0), ("alive", 1.0, 2.0)]


def test_an_attempt_is_written_down_after_its_worker_died() -> None:
    lanes = Lanes(Buckets())
    lanes.worker(worker("w1", 0.0, "launched"))
    lanes.worker(worker("w1", 1.0, "ready"))
    lanes.worker(worker("w1", 5.0, "ended with status -9"))
    lanes.worker(worker("w2", 5.0, "launched"))
    lanes.attempt(attempt(start=6.0, end=6.2, worker="w1"))
    (lane,) = lanes.finish(8.0)
    assert all(first[2] <= second[1] for first, second in pairwise(bars(lane)[2:-1]))


def test_an_unknown_worker_is_a_process_like_any_other() -> None:
    lanes = Lanes(Buckets())
    lanes.attempt(attempt(worker="never seen"))
    lanes.worker(worker("never seen", 3.0, "ready"))
    assert [lane.stage for lane in lanes.finish(3.0)] == [""]


def test_gpus_come_first_and_own_processes_last() -> None:
    lanes = Lanes(Buckets())
    lanes.attempt(attempt())
    lanes.worker(worker("w1", 0.0, "launched", "demux"))
    lanes.worker(worker("w2", 0.0, "launched", "asr", "cuda:0"))
    lanes.attempt(attempt(device="cuda:0"))
    assert [(lane.device, lane.stage) for lane in lanes.finish(3.0)] == [
        ("cuda:0", "asr"),
        ("cuda:0", ""),
        ("cpu", "demux"),
        ("cpu", ""),
    ]


def test_too_many_bars_leave_the_buckets_only() -> None:
    buckets = Buckets()
    lanes = Lanes(buckets, max_bars=10)
    for number in range(20):
        lanes.attempt(attempt(start=float(number), end=number + 1.0))
    (lane,) = lanes.finish(20.0)
    assert not lanes.exact
    assert not lane.bars
    assert sum(buckets.sums(("lane", 0, "run", "asr"), 20.0)) == 20.0


def test_what_finds_no_row_is_counted() -> None:
    lanes = Lanes(Buckets(), max_lanes=1)
    lanes.attempt(attempt(start=0.0, end=5.0))
    lanes.attempt(attempt(start=1.0, end=6.0))
    lanes.worker(worker("w1", 1.0, "launched"))
    assert len(lanes.finish(9.0)) == 1
    assert lanes.hidden == 1


def test_memory_of_workers_that_ended_is_bounded() -> None:
    lanes = Lanes(Buckets())
    for number in range(2000):
        lanes.worker(worker(f"w{number}", float(number), "launched"))
        lanes.worker(worker(f"w{number}", number + 0.5, "after a failure"))
    assert len(lanes._lives) <= 501
    assert len(lanes.finish(2000.0)) == 1


@given(
    st.lists(
        st.tuples(st.integers(0, 60), st.integers(1, 20), st.integers(0, 20)),
        min_size=1,
        max_size=40,
    )
)
def test_bars_never_overlap_and_no_row_is_wasted(times: list[tuple[int, int, int]]) -> None:
    attempts = sorted(
        (
            attempt(start=float(start), end=float(start + length), runs_from=float(start + lead))
            for start, length, extra in times
            for lead in (min(length, extra),)
        ),
        key=lambda one: one.end,
    )
    lanes = Lanes(Buckets())
    for one in attempts:
        lanes.attempt(one)
    rows = lanes.finish(100.0)
    for lane in rows:
        assert all(first.end <= second.start for first, second in pairwise(lane.bars))
    moments = range(81)
    most = max(sum(one.start <= at < one.end for one in attempts) for at in moments)
    assert len(rows) == most
