"""A selection of races; ``python3 -m tests.faults --only races`` has all of them."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.end_to_end.conftest import Batch, batch
from tests.faults import acts, crowds, races, stopped, traced
from tests.faults.meddling import meddle

from .conftest import MakeNight

__all__ = ["batch"]

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(sys.platform != "linux", reason="strace and stopped processes are Linux's"),
]

needs_strace = pytest.mark.skipif(not traced.available(), reason="strace is not here")

_OVERWRITES = """
import os, sys
from pathlib import Path
import orchestrator.job.publish
from orchestrator.__main__ import main

def rename_over(source, target, _before_taking=None):
    os.rename(source, target)

orchestrator.job.publish.rename_new = rename_over
sys.exit(main(["run", sys.argv[1]]))
"""
"""A job that looks whether the name is free, and renames over whatever has come since."""


@needs_strace
def test_saved_while_a_job_publishes(make_night: MakeNight) -> None:
    night = make_night("a.wav")
    for scene in races.scenes(night):
        tally = races.race(night, scene, 10)
        assert (tally.races, tally.wrong) == (10, [])


@needs_strace
def test_a_job_that_renames_over_what_is_there_would_be_noticed(make_night: MakeNight) -> None:
    night = make_night("a.wav")
    scene = next(races.scenes(night))
    argv = [sys.executable, "-c", _OVERWRITES, str(scene.job)]
    found = stopped.points_after("job.json", argv, night.batch.environ, night.folder)
    scene = replace(scene, argv=argv)
    before_rename = found[[point.name for point in found].index("rename") - 1]
    wrong = races.race_once(night, scene, before_rename, acts.saves_anew, races.TARGETS[0])
    assert any("overwritten" in one for one in wrong)


@pytest.mark.parametrize(
    ("act", "older"), [(acts.saves_in_place, True), (acts.makes_a_folder, False)]
)
def test_saved_while_a_night_goes_on(batch: Batch, act: acts.Act, older: bool) -> None:
    assert meddle(batch, act, older=older, language=older).wrong == []


def test_a_second_coordinator(batch: Batch) -> None:
    batch.add("a.wav")
    tally = crowds.second_coordinators(batch, 1)
    assert (tally.tried, tally.wrong) == (1, [])


@pytest.mark.parametrize("output", [False, True])
def test_two_coordinators(tmp_path: Path, shared_environments: list[Path], output: bool) -> None:
    tally = crowds.side_by_side(tmp_path, shared_environments, 6, output=output)
    assert (tally.tried, tally.wrong) == (6, [])


def test_ids_are_made_by_many(tmp_path: Path) -> None:
    tally = crowds.ids(tmp_path, 8, 20)
    assert (tally.tried, tally.wrong) == (8 * 20 * 3, [])
