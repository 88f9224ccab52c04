from __future__ import annotations

import pytest

from batch.wear import MIB, Silence, Tolerance, Wear, why_recycle

LIMITS = Tolerance(attempts=3, growth_bytes=100 * MIB, growth_share=0.5)


def after(*rss: int | None) -> Wear:
    wear = Wear()
    for one in rss:
        wear = wear.after(None if one is None else one * MIB)
    return wear


def after_on_gpu(*tensors: int | None) -> Wear:
    wear = Wear()
    for one in tensors:
        wear = wear.after(50 * MIB, None if one is None else one * MIB)
    return wear


@pytest.mark.parametrize(
    ("wear", "ok", "why"),
    [
        (after(50), True, None),
        (after(50), False, "after a failure"),
        (after(50, 50), True, None),
        (after(50, 50, 50), True, "after 3 attempts"),
        (after(50, 150), True, None),
        (after(50, 151), True, "grew by 101 MiB"),
        (after(1000, 1499), True, None),  # a large model may grow by more
        (after(1000, 1501), True, "grew by 501 MiB"),
        (after(50, None), True, None),  # it did not say
        (after(None, None), True, None),
        (after(None, 50), True, None),  # the first reading there is counts
        (after_on_gpu(50, 150), True, None),
        (after_on_gpu(50, 151), True, "grew by 101 MiB on the GPU"),
        (after_on_gpu(1000, 1499), True, None),
        (after_on_gpu(None, 50), True, None),
    ],
)
def test_a_worker_goes_after_a_failure_and_when_it_is_worn(
    wear: Wear, ok: bool, why: str | None
) -> None:
    assert why_recycle(wear, ok, LIMITS) == why


def test_silence_is_counted_in_looks() -> None:
    silence = Silence(now=100.0, tick_s=1.0)
    assert silence.look(101.0) == 1.0
    assert silence.look(102.5) == 2.5
    silence.sign(102.6)
    assert silence.look(103.6) == pytest.approx(1.0)


def test_time_in_which_nobody_looked_hardly_counts() -> None:
    """The machine slept for an hour; or the clock ran backwards."""
    silence = Silence(now=100.0, tick_s=1.0)
    assert silence.look(3700.0) == 2.0
    assert silence.look(3600.0) == 2.0
    assert silence.look(3601.0) == 3.0
