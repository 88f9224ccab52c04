"""Stuck, or asleep? Clocks that are set by hand."""

import sys
import time

import pytest

from orchestrator.contract.watchdog import Moment, Watchdog, moment, seconds_left, slept_seconds


@pytest.mark.parametrize(
    ("now", "slept"),
    [
        (Moment(10.0, 110.0), 0.0),
        (Moment(70.0, 170.0), 0.0),
        (Moment(70.0, 170.4), 0.0),
        (Moment(70.0, 169.9), 0.0),
        (Moment(10.0, 3710.0), 3600.0),
        (Moment(70.0, 3770.0), 3600.0),
    ],
)
def test_sleep_is_what_only_one_clock_counts(now: Moment, slept: float) -> None:
    assert slept_seconds(Moment(10.0, 110.0), now) == slept


@pytest.mark.parametrize(
    ("now", "left"),
    [
        (Moment(10.0, 110.0), 60.0),
        (Moment(50.0, 150.0), 20.0),
        (Moment(70.0, 170.0), 0.0),
        (Moment(99.0, 199.0), 0.0),
        (Moment(10.0, 9999.0), 60.0),
        (Moment(99.0, 9999.0), 60.0),
    ],
)
def test_after_a_sleep_all_of_the_time_is_given_again(now: Moment, left: float) -> None:
    assert seconds_left(60.0, Moment(10.0, 110.0), now) == left


class Clock:
    def __init__(self) -> None:
        self.now = Moment(0.0, 100.0)

    def __call__(self) -> Moment:
        return self.now

    def run(self, seconds: float) -> None:
        self.now = Moment(self.now.awake + seconds, self.now.passed + seconds)

    def sleep(self, seconds: float) -> None:
        self.now = Moment(self.now.awake, self.now.passed + seconds)


def test_a_stage_is_stuck_when_it_was_silent_while_the_machine_ran() -> None:
    clock = Clock()
    dog = Watchdog(60.0, clock)
    clock.run(50.0)
    assert dog.seconds_left() == 10.0
    dog.sign()
    clock.run(50.0)
    clock.sleep(8 * 3600.0)
    assert dog.seconds_left() == 60.0
    clock.run(20.0)
    assert dog.seconds_left() == 40.0, "the sleep is counted once"
    clock.run(40.0)
    assert dog.seconds_left() == 0.0


def test_the_clocks_of_this_machine_run_together() -> None:
    earlier = moment()
    later = moment()
    assert earlier.awake <= later.awake
    assert slept_seconds(earlier, later) == 0.0
    if sys.platform != "win32":
        assert abs(later.awake - time.monotonic()) < 60.0
    assert 0.0 < Watchdog(60.0).seconds_left() <= 60.0
