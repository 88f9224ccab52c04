from __future__ import annotations

from dataclasses import replace

import pytest

from batch.admission import Hold, Load, Thresholds, next_hold

CALM = Load(at=0.0, cpu=0.0, own_cpu=0.0, memory=10.0)
LIMITS = Thresholds(cpu=80.0, memory=90.0, vram=90.0, delay_seconds=5.0)


@pytest.mark.parametrize(
    ("cpu", "own", "pressure"),
    [
        (0, 0, 0),
        (100, 100, 0),  # all of it is ours
        (100, 0, 100),
        (60, 0, 60),
        (50, 50, 0),
        (90, 50, 80),  # the others have 40 of the 50 that we leave
        (100, 33, 100),  # they compete with us and would take all
        (59, 50, 9),  # a desktop idling, though it is 18 % of what we leave
        (60, 50, 20),
        (100, 89, 100),
        (100, 95, 5),
        (40, 50, 0),  # samples that do not fit: ours is never counted as theirs
    ],
)
def test_pressure_is_what_others_use_of_what_we_leave(
    cpu: float, own: float, pressure: float
) -> None:
    assert replace(CALM, cpu=cpu, own_cpu=own).cpu_pressure == pytest.approx(pressure)


@pytest.mark.parametrize(
    ("load", "reason"),
    [
        (CALM, None),
        (replace(CALM, cpu=79.9), None),
        (replace(CALM, cpu=80.0), "other programs use the CPU: 80 % (threshold 80 %)"),
        (replace(CALM, cpu=100.0, own_cpu=100.0), None),
        (replace(CALM, memory=90.0), "memory is full: 90 % (threshold 90 %)"),
        (replace(CALM, vram=95.0), "GPU memory is full: 95 % (threshold 90 %)"),
        (replace(CALM, gpu=100.0, vram=50.0), None),
        (replace(CALM, cpu=90.0, memory=95.0), "memory is full: 95 % (threshold 90 %)"),
    ],
)
def test_a_hold_begins_with_the_first_sample_over_a_threshold(
    load: Load, reason: str | None
) -> None:
    hold = next_hold(None, load, LIMITS)
    assert (hold.reason if hold else None) == reason


def test_a_threshold_of_zero_is_switched_off() -> None:
    full = replace(CALM, cpu=100.0, memory=100.0, vram=100.0)
    off = Thresholds(0.0, 0.0, 0.0, 5.0)
    assert next_hold(None, full, off) is None
    assert next_hold(Hold("cpu", "", 0.0, 0.0), replace(full, at=5.0), off) is None


def holds(*samples: tuple[float, float]) -> list[bool]:
    """Whether there is a hold after each sample (seconds, CPU percent)."""
    hold, held = None, []
    for at, cpu in samples:
        hold = next_hold(hold, replace(CALM, at=at, cpu=cpu), LIMITS)
        held.append(hold is not None)
    return held


@pytest.mark.parametrize(
    ("samples", "held"),
    [
        # calm for the whole delay
        ([(0, 90), (1, 60), (5.9, 60), (6, 60)], [True, True, True, False]),
        # just below the threshold is not calm
        ([(0, 90), (1, 75), (100, 75), (101, 69), (106, 69)], [True, True, True, True, False]),
        # the delay begins anew with each rise over the lower mark
        ([(0, 90), (1, 60), (5, 71), (6, 60), (10.9, 60), (11, 60)], [True] * 5 + [False]),
        # and with each rise over the threshold
        ([(0, 90), (1, 60), (5, 90), (6, 60), (11, 60)], [True] * 4 + [False]),
    ],
)
def test_a_hold_ends_when_it_has_been_calm_for_long_enough(
    samples: list[tuple[float, float]], held: list[bool]
) -> None:
    assert holds(*samples) == held


def test_a_hold_knows_since_when_and_why() -> None:
    first = next_hold(None, replace(CALM, at=1.0, cpu=90.0), LIMITS)
    second = next_hold(first, replace(CALM, at=2.0, memory=95.0), LIMITS)
    assert second == Hold("memory", "memory is full: 95 % (threshold 90 %)", since=1.0)
    third = next_hold(second, replace(CALM, at=3.0, memory=98.0), LIMITS)
    assert third == second, "the words stay those of its beginning"
    fourth = next_hold(third, replace(CALM, at=4.0), LIMITS)
    assert fourth == replace(second, calm_since=4.0)
