"""Losing the memory of the batch costs nothing; the full size is ``--only lost-state``."""

from __future__ import annotations

import random
import sys

import pytest

from tests.faults import lost_state
from tests.faults.conftest import MakeNight

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(sys.platform != "linux", reason="it counts processes as Linux does"),
]

FILES = ("0.wav", "1.wav", "2.wav")


def test_a_night_after_the_state_was_harmed(make_night: MakeNight) -> None:
    tally = lost_state.harm_everywhere(make_night(*FILES), 12, seed=2)
    assert (tally.harmed, tally.wrong) == (12, [])


def test_work_that_is_done_twice_is_noticed(make_night: MakeNight) -> None:
    """Without the folders of the jobs nobody knows what was done."""
    night = make_night(*FILES)
    night.undisturbed()
    lost_state.fill(night.batch.work.database, random.Random(1))
    for job in night.batch.jobs():
        (job / "manifest.json").unlink()
    wrong = night.wrong_after_the_next_night("", set())
    assert any("not recorded as ours" in one for one in wrong)
