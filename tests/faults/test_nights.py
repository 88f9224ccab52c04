"""A selection of what can happen to a night; ``python3 -m tests.faults`` runs it at full size."""

from __future__ import annotations

import sys

import pytest

from tests.faults import (
    disk_full,
    kill_points,
    orphans,
    point_campaigns,
    power_loss,
    power_scenes,
    random_kills,
    scenes,
    secrets,
    traced,
)

from .conftest import MakeForkedNight, MakeNight

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(sys.platform != "linux", reason="strace, /proc and tmpfs are Linux's"),
]


@pytest.mark.skipif(not traced.available(), reason="strace is not here, or may not trace")
def test_coordinators_killed_at_calls_that_change_something(
    make_forked_night: MakeForkedNight,
) -> None:
    night = make_forked_night(*point_campaigns.FILES)
    stories = (scenes.fresh, scenes.edited, scenes.retrying, scenes.replaced_films)
    figures = point_campaigns.kill_coordinators(night, stories, lambda points: 7)
    assert (figures.hit, figures.wrong) == (28, [])


@pytest.mark.skipif(not traced.available(), reason="strace is not here, or may not trace")
def test_jobs_killed_at_calls_that_change_something(make_forked_night: MakeForkedNight) -> None:
    night = make_forked_night(*point_campaigns.JOBS)
    stories = (scenes.fresh, scenes.cold, scenes.replaced_films)
    figures = point_campaigns.kill_jobs(night, stories, lambda points: 12)
    assert (figures.hit, figures.wrong) == (36, [])


@pytest.mark.skipif(not traced.available(), reason="strace is not here, or may not trace")
def test_calls_that_fail(make_forked_night: MakeForkedNight) -> None:
    stories = (scenes.replacing,)
    coordinators = point_campaigns.fail_coordinators(
        make_forked_night(*point_campaigns.FILES),
        stories,
        lambda points: 8,
        kill_points.one_error,
    )
    jobs = point_campaigns.fail_jobs(
        make_forked_night(*point_campaigns.FAILING_JOBS), stories, lambda points: 2
    )
    assert (coordinators.hit, coordinators.wrong) == (8, [])
    assert (jobs.hit, jobs.wrong) == (8, [])


@pytest.mark.skipif(not traced.available(), reason="strace is not here, or may not trace")
def test_power_cuts_and_forgotten_syncs(make_night: MakeNight) -> None:
    for play in (power_scenes.resumed, power_scenes.replacing):
        scene = play(lambda files: make_night(*files))
        outcome = power_loss.look_at_all(scene, per_moment=5, real=1)
        assert outcome.wrong == []
        assert outcome.different > 1000, "the record has too little in it to show anything"
    left_out = power_loss.forgotten(scene, per_moment=2)
    noticed = {power_loss.site(scene, op) for op, wrong in left_out if wrong}
    assert {"library", "work/batch.db-wal"} <= noticed


def test_kills_at_random_moments(make_forked_night: MakeForkedNight) -> None:
    night = make_forked_night("a.wav", "b.wav", "c.wav")
    night.batch.json("--dry-run")
    start = night.keep()
    length = random_kills.measured(night, start)
    kills = random_kills.kill_at_random(night, start, length, kills=6, seed=1)
    assert (kills.kills, kills.wrong) == (6, [])


def test_grandchildren_of_a_killed_run(make_night: MakeNight) -> None:
    night = make_night("a.wav")
    night.batch.json("--dry-run")
    outcome = orphans.kill_with_family(night, night.keep(), kills=5, seed=1)
    assert (outcome.kills, outcome.wrong) == (5, [])


@pytest.mark.skipif(not disk_full.mountable(), reason="no tmpfs can be mounted here")
def test_a_full_disk(make_night: MakeNight) -> None:
    found = disk_full.Sweep()
    for name, count in (("library", 2), ("work folder", 2)):
        night = make_night("a.wav", "b.wav")
        where = disk_full.place(night, name)
        night.batch.json("--dry-run")
        start = night.keep()
        limits = disk_full.limits_of(night, start, where)
        found.add(disk_full.sweep(night, start, where, kill_points.selected(limits, count)))
    assert found.wrong == []
    assert found.too_small > 0


def test_secrets_around_what_fails(make_night: MakeNight) -> None:
    chosen = (
        secrets.a_stage_tells_its_environment,
        secrets.killed("coordinator"),
        secrets.settings_that_are_wrong,
    )
    look = secrets.look_for_secrets(make_night("a.wav"), chosen)
    assert look.wrong == []
    assert look.files > 50, "a night leaves more than that to look into"
