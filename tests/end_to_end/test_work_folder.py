"""One coordinator per work folder, wherever that lies."""

import os
from pathlib import Path

import pytest

from .conftest import Batch

pytestmark = pytest.mark.real


def test_two_runs_never_share_a_work_folder(batch: Batch) -> None:
    batch.add("a.wav")
    batch.fault("waits")
    first = batch.start("--json")
    batch.wait_for_waiting(1)

    second = batch.run()

    assert second.code == 10
    assert f"process {first.process.pid}" in second.err
    batch.gate.touch()
    assert first.end().code == 0


def test_a_work_folder_within_the_library_is_not_searched(batch: Batch) -> None:
    batch.add("a.wav")
    os.rename(batch.work.root, batch.library / "work")
    Path(batch.work.root).symlink_to(batch.library / "work")
    for _ in range(2):
        outcome = batch.json("--set", "keep=all")
        assert outcome.of("discovered")[0]["media"] == 1
