"""A selection of what can happen to a night; ``python3 -m tests.faults`` runs it at full size."""

from __future__ import annotations

import sys

import pytest

from tests.faults import disk_full, kill_points, orphans, power_loss, random_kills, traced

from .conftest import MakeNight

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(sys.platform != "linux", reason="strace, /proc and tmpfs are Linux's"),
]


@pytest.mark.skipif(not traced.available(), reason="strace is not here, or may not trace")
def test_killed_at_calls_that_change_something(make_night: MakeNight) -> None:
    night = make_night("a.wav", "b.wav")
    for scene in kill_points.scenes(night):
        tally = kill_points.kill_everywhere(night, scene, 6)
        assert (tally.hit, tally.wrong) == (tally.tried, [])


@pytest.mark.skipif(not traced.available(), reason="strace is not here, or may not trace")
def test_calls_that_fail(make_night: MakeNight) -> None:
    night = make_night("a.wav", "b.wav")
    scene = next(kill_points.scenes(night))
    assert kill_points.fail_everywhere(night, scene, 6).wrong == []


@pytest.mark.skipif(not traced.available(), reason="strace is not here, or may not trace")
def test_power_cuts(make_night: MakeNight) -> None:
    night = make_night("a.wav", "b.wav")
    night.batch.json("--dry-run")
    recording = power_loss.recorded(night)
    outcome = power_loss.look_at_all(recording, per_moment=16)
    assert outcome.wrong == []
    assert outcome.different > 1000, "the record has too little in it to show anything"


def test_kills_at_random_moments(make_night: MakeNight) -> None:
    night = make_night("a.wav", "b.wav", "c.wav")
    night.batch.json("--dry-run")
    start = night.keep()
    night.undisturbed()
    kills = random_kills.kill_at_random(night, start, kills=6, longest=1.5, seed=1)
    assert (kills.kills, kills.wrong) == (6, [])


def test_grandchildren_of_a_killed_run(make_night: MakeNight) -> None:
    night = make_night("a.wav")
    night.batch.json("--dry-run")
    outcome = orphans.kill_with_grandchildren(night, night.keep(), kills=4, seed=1)
    assert (outcome.kills, outcome.wrong) == (4, [])


@pytest.mark.skipif(not disk_full.mountable(), reason="no tmpfs can be mounted here")
def test_a_full_disk(make_night: MakeNight) -> None:
    night = make_night("a.wav", "b.wav")
    night.batch.json("--dry-run")
    start = night.keep()
    night.undisturbed()
    library = disk_full.sweep(night, start, night.batch.library, ["size=16k", "nr_inodes=4"])
    work = disk_full.sweep(night, start, night.batch.work.root, ["size=160k", "size=220k"])
    assert (library.wrong, work.wrong) == ([], [])
    assert library.too_small > 0
