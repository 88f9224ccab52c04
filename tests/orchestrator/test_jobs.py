"""Jobs found again."""

import os
from pathlib import Path

import pytest

from orchestrator.contract.errors import Failure
from orchestrator.contract.paths import JobFolder, WorkFolder
from orchestrator.jobs import all_jobs, find_job
from orchestrator.prepare import remember_latest


def make(work: WorkFolder, job_id: str, user: str = "ann") -> JobFolder:
    folder = JobFolder(work.day(job_id[:8], user) / job_id)
    folder.root.mkdir(parents=True)
    folder.spec.write_text("{}")
    return folder


@pytest.fixture
def work(tmp_path: Path) -> WorkFolder:
    return WorkFolder(tmp_path / "work")


def test_a_job_is_found_by_its_id_whoever_made_it(work: WorkFolder) -> None:
    make(work, "20260131-000001")
    theirs = make(work, "20260131-000002", "bob")
    assert find_job(work, "20260131-000002") == theirs


def test_a_job_is_found_by_its_folder(
    work: WorkFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make(work, "20260131-000001")
    assert find_job(work, str(job.root)) == job
    monkeypatch.chdir(job.root.parent)
    assert find_job(WorkFolder(tmp_path / "other"), "20260131-000001") == job


def test_the_latest_job_is_the_one_prepared_last(work: WorkFolder) -> None:
    first, second = make(work, "20260131-000001"), make(work, "20260131-000002")
    remember_latest(work, second)
    remember_latest(work, first)
    assert find_job(work, "latest") == first
    assert [name for name in os.listdir(work.root) if name.endswith(".tmp")] == []


def test_the_latest_job_is_found_in_a_folder_with_an_odd_name(tmp_path: Path) -> None:
    work = WorkFolder(tmp_path / b"caf\xe9".decode("utf-8", "surrogateescape"))
    job = make(work, "20260131-000001")
    remember_latest(work, job)
    assert find_job(work, "latest") == job


@pytest.mark.parametrize("name", ["latest", "20260131-000009", "20260131", "", "no/such/folder"])
def test_a_job_that_is_not_there_is_refused(
    work: WorkFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Failure) as caught:
        find_job(work, name)
    assert caught.value.info.code == "no_such_job"
    assert "prepare-job" in caught.value.info.hint


def test_a_work_folder_that_cannot_be_written_does_not_stop_a_job(tmp_path: Path) -> None:
    remember_latest(WorkFolder(tmp_path / "gone"), JobFolder(tmp_path / "job"))


def test_all_jobs_and_nothing_else(work: WorkFolder) -> None:
    assert list(all_jobs(work)) == []
    jobs = [
        make(work, "20260131-000001"),
        make(work, "20260131-000002"),
        make(work, "20260201-000001"),
    ]
    (work.day("20260131", "ann") / "notes").mkdir()
    assert list(all_jobs(work)) == jobs
