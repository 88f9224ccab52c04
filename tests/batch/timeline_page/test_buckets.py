from __future__ import annotations

import random

import pytest

from batch.timeline_page.buckets import Buckets


def test_an_interval_over_several_spans() -> None:
    buckets = Buckets(8, 1.0)
    buckets.add("a", 0.5, 3.25, 2.0)
    assert buckets.sums("a", 4.0) == [1.0, 2.0, 2.0, 0.5]
    assert buckets.means("a", 4.0) == [1.0, 2.0, 2.0, 0.5]


def test_the_last_span_may_be_short() -> None:
    buckets = Buckets(8, 1.0)
    buckets.add("a", 0.0, 2.5)
    assert buckets.means("a", 2.5) == [1.0, 1.0, 1.0]


def test_spans_get_wider_for_all_series() -> None:
    buckets = Buckets(4, 1.0)
    buckets.add("a", 0.0, 1.0)
    buckets.add("b", 0.0, 9.0)
    assert buckets.width == 4.0
    assert buckets.sums("a", 9.0) == [1.0, 0.0, 0.0]
    assert buckets.sums("b", 9.0) == [4.0, 4.0, 1.0]


@pytest.mark.parametrize("end", [4.0, 0.0])
def test_an_end_on_the_edge(end: float) -> None:
    buckets = Buckets(4, 1.0)
    buckets.add("a", end, end)
    buckets.add("a", 0.0, end)
    assert sum(buckets.sums("a", end)) == end


def test_a_series_that_has_nothing() -> None:
    buckets = Buckets(4, 1.0)
    assert "a" not in buckets
    assert buckets.sums("a", 2.0) == [0.0, 0.0]
    assert buckets.means("a", 0.0) == []


def test_nothing_is_lost_however_long_it_gets() -> None:
    buckets, generator, total = Buckets(16, 0.25), random.Random(1), 0.0
    for _ in range(1000):
        start = generator.uniform(0.0, 1000.0)
        length = generator.expovariate(0.1)
        buckets.add("a", start, start + length, 3.0)
        total += 3.0 * length
    assert sum(buckets.sums("a", 16 * buckets.width)) == pytest.approx(total)
