from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from batch import timeline as module
from batch.admission import Load
from batch.timeline import Timeline

LOAD = Load(1.0, cpu=50.04, own_cpu=20.0, memory=30.0, gpu=None, own_memory=10.0)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_times_are_counted_from_the_begin(tmp_path: Path, clock: Clock) -> None:
    timeline = Timeline(tmp_path / "runs" / "timeline.jsonl", clock)
    timeline.begin(run_id="r", threads=2)
    clock.now = 103.5
    timeline.write("file", {"file": "/m/\udcff.mkv", "end": timeline.at(clock.now)})
    timeline.sample(LOAD, (1, 2, 3))
    timeline.end()
    timeline.write("file", {"file": "late"})
    head, file, sample = lines(tmp_path / "runs" / "timeline.jsonl")
    assert head == {"kind": "run", "version": 1, "run_id": "r", "threads": 2}
    assert file == {"kind": "file", "file": "/m/\udcff.mkv", "end": 3.5}
    assert sample == {
        "kind": "sample",
        "at": 3.5,
        "cpu": 50.0,
        "own_cpu": 20.0,
        "memory": 30.0,
        "own_memory": 10.0,
        "gpu": None,
        "vram": None,
        "running": 1,
        "workers": 2,
        "open": 3,
    }


def test_a_hold_is_a_line_when_it_begins_and_when_it_ends(tmp_path: Path, clock: Clock) -> None:
    timeline = Timeline(tmp_path / "timeline.jsonl", clock)
    timeline.begin()
    clock.now = 101.0
    timeline.hold("other programs use the CPU")
    clock.now = 104.0
    timeline.hold("")
    timeline.end()
    assert lines(tmp_path / "timeline.jsonl")[1:] == [
        {"kind": "hold", "at": 1.0, "reason": "other programs use the CPU"},
        {"kind": "hold", "at": 4.0, "reason": ""},
    ]


def test_samples_get_rarer(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SAMPLES_BEFORE_THINNING", 10)
    timeline = Timeline(tmp_path / "timeline.jsonl", clock)
    timeline.begin()
    for _ in range(10 + 20 + 40 + 80):
        clock.now += 1.0
        timeline.sample(LOAD, (0, 0, 0))
    timeline.end()
    assert len(lines(tmp_path / "timeline.jsonl")) == 1 + 40


def test_a_full_disk_costs_the_timeline_and_not_the_run(clock: Clock) -> None:
    timeline = Timeline(Path("/dev/full"), clock)
    timeline.begin()
    timeline.write("file", {"file": "x" * 100_000})
    timeline.sample(LOAD, (0, 0, 0))
    timeline.end()


async def test_by_default_the_clock_is_that_of_the_run(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    timeline = Timeline(tmp_path / "timeline.jsonl")
    timeline.begin()
    await trio.sleep(7.0)
    assert timeline.at(trio.current_time()) == 7.0
    timeline.end()
