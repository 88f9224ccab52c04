"""The tables of jobs that ``run-pipeline status`` shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.cli.run_pipeline import main
from orchestrator.contract.paths import WorkFolder
from tests.orchestrator.job.conftest import MakeJob, fake_stage, make_job

__all__ = ["make_job"]


def test_a_job_that_cannot_be_read_hides_no_other(
    make_job: MakeJob, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who was making it was killed before ``job.json`` was there, or a power cut took that."""
    work = WorkFolder(tmp_path / "work")
    day = work.day("20260131", "ann")
    (day / "20260131-000001").mkdir(parents=True)
    folder, job = make_job(fake_stage())
    folder.root.rename(day / "20260131-000002")
    assert main(["status", "--work-dir", str(work.root)]) == 0
    half_made, whole = capsys.readouterr().out.splitlines()
    assert half_made.split(maxsplit=2)[:2] == ["20260131-000001", "unreadable"]
    assert str(day / "20260131-000001") in half_made
    assert whole.split() == ["20260131-000002", "not", "run", job.source.path]
