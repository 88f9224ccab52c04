from __future__ import annotations

import json
from typing import Any

import pytest

from batch.timeline_page.record import Attempt, Head, Sample, parse
from tests.batch.timeline_page.building import HEAD, attempt_line, file_line, sample_line


def read(values: dict[str, Any]) -> Any:
    return parse(json.dumps(values).encode())


def test_the_head() -> None:
    assert read(HEAD) == Head("20260131T220000Z-1a2b3c", 2, 16_000_000_000)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\n",
        b'{"kind":"attempt","file":"/m/a',
        b'{"kind":"attempt","file":"/m/a"}',
        b"[1, 2]",
        b'"run"',
        b'{"kind":["run"]}',
        b'{"kind":"of a later version"}',
        b"\xff\x00",
        json.dumps(sample_line(float("nan"))).encode(),
        json.dumps(sample_line(float("inf"))).encode(),
        json.dumps(sample_line(1.0, cpu="50")).encode(),
        json.dumps(attempt_line(threads="many")).encode(),
    ],
)
def test_what_cannot_be_read_is_left_out(text: bytes) -> None:
    assert parse(text) is None


@pytest.mark.parametrize(
    ("told", "runs_from"),
    [
        ({}, 1.0),
        ({"run": 3.0}, 2.0),
        ({"run": 30.0}, 1.0),
        ({"worker": "worker-1", "load": 0.0, "run": 3.0}, 1.0),
        ({"worker": "worker-1", "load": 1.5, "run": 2.0}, 2.5),
        ({"worker": "worker-1", "load": 99.0}, 5.0),
    ],
)
def test_loading_comes_first(told: dict[str, Any], runs_from: float) -> None:
    """A process of its own also has to start; of a worker only what it says it loaded counts."""
    assert read(attempt_line(**told)).runs_from == runs_from


def test_times_are_in_order_whatever_the_record_says() -> None:
    line = read(attempt_line(asked=9.0, start=3.0, end=2.0))
    assert isinstance(line, Attempt)
    assert (line.asked, line.start, line.end) == (3.0, 3.0, 3.0)
    assert read(file_line("/m/a", 5.0, -1.0)).end == 5.0


def test_our_part_is_never_more_than_everything() -> None:
    line = read(sample_line(1.0, cpu=50.0, own_cpu=55.0, memory=30.0, own_memory=90.0, gpu=7))
    assert line == Sample(1.0, 50.0, 50.0, 30.0, 30.0, 7.0, None)
