"""One attempt of one stage, and how its result is judged."""

import errno
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from orchestrator.contract.exchange import StageRequest, StageResult
from orchestrator.contract.job import read_job_result
from orchestrator.contract.messages import Cancel, Drain, Message, Progress
from orchestrator.contract.paths import AttemptFolder
from orchestrator.job import cold
from orchestrator.job import run as run_module
from orchestrator.job.artefacts import ArtefactStore
from orchestrator.job.cold import run_cold
from orchestrator.job.judge import judge
from orchestrator.job.link import Link
from orchestrator.job.plan import Selection
from orchestrator.job.process import exit_code, parse_selection
from orchestrator.job.run import run_job
from orchestrator.job.stageprocess import (
    Interrupted,
    prepare_attempt,
    stage_environment,
)

from .conftest import MakeJob, fake_stage, relay_stage

PATIENCE = 30.0


def request_of(tmp_path: Path, fault: str, folder: AttemptFolder) -> StageRequest:
    return StageRequest(
        run_id="r1",
        job_id="j1",
        stage="fake",
        attempt=folder.root.name,
        media=str(tmp_path / "film.mkv"),
        inputs={},
        outputs={"words": "words.srt", "bulk": "bulk.bin"},
        outputs_dir=str(folder.outputs),
        scratch_dir=str(folder.scratch),
        settings={"fault": fault, "gate": str(tmp_path / "gate")},
    )


class Overheard(Link):
    """A link that does something when the stage first says how far it is."""

    def __init__(self, order: Message | None = None) -> None:
        super().__init__(None)
        self.heard: list[Message] = []
        self._order = order

    def send(self, message: Message) -> None:
        self.heard.append(message)
        if isinstance(message, Progress) and self._order is not None:
            self.inbox.put(self._order)
            self._order = None


def attempt(tmp_path: Path, fault: str, link: Link, **changes: Any) -> StageResult:
    folder = AttemptFolder(tmp_path / "fake-001")
    stage, request = fake_stage(fault, **changes), request_of(tmp_path, fault, folder)
    prepare_attempt(request, folder)
    return judge(stage, request, folder, run_cold(stage, request, folder, link))


def test_a_cancel_is_passed_on_and_ends_the_attempt(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        attempt(tmp_path, "waits", Overheard(Cancel()), grace_seconds=PATIENCE)


def test_a_stage_deaf_to_a_cancel_is_killed_after_its_grace(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        attempt(tmp_path, "hangs", Overheard(Cancel()), grace_seconds=0.1)


def test_a_drain_lets_the_stage_end(tmp_path: Path) -> None:
    (tmp_path / "gate").touch()
    link = Overheard(Drain())
    assert attempt(tmp_path, "waits", link).ok
    assert link.draining


def test_progress_is_passed_on(tmp_path: Path) -> None:
    link = Overheard()
    attempt(tmp_path, "none", link)
    assert [message.type for message in link.heard][:1] == ["progress"]


def test_a_stage_that_does_not_exit_after_its_work_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cold, "EXIT_SECONDS", 0.2)
    result = attempt(tmp_path, "hangs_at_exit", Link(None))
    assert result.ok
    assert [warning.code for warning in result.warnings] == ["crashed_at_exit"]


def test_a_stage_gets_no_secret_and_no_network(tmp_path: Path) -> None:
    secrets = {"HF_TOKEN": "secret", "https_proxy": "http://me:secret@proxy"}
    others = {"PYTHONPATH": "/base", "PATH": "/bin", "OMP_NUM_THREADS": "64"}
    environment = stage_environment({**secrets, **others}, 3, tmp_path)
    assert not environment.keys() & secrets.keys()
    assert "PYTHONPATH" not in environment
    assert environment["PATH"] == "/bin"
    assert environment["OMP_NUM_THREADS"] == "3"
    assert environment["HF_HUB_OFFLINE"] == "1"
    assert environment["TMPDIR"] == str(tmp_path)


def test_a_drain_stops_a_job_between_its_stages(make_job: MakeJob, tmp_path: Path) -> None:
    folder, _ = make_job(fake_stage(), relay_stage())
    result = run_job(folder, Overheard(Drain()), "r1")
    assert result.status == "interrupted"
    assert [(one.name, one.status) for one in result.stages] == [("fake", "ran")]
    assert os.listdir(tmp_path / "library") == ["film.mkv"]
    again = run_job(folder, Link(None), "r2")
    assert [(one.name, one.status) for one in again.stages] == [
        ("fake", "reused"),
        ("relay", "ran"),
    ]


def test_a_cancel_while_waiting_for_leave_leaves_a_resumable_job(make_job: MakeJob) -> None:
    folder, _ = make_job(fake_stage())

    class Refused(Link):
        def ask(self, *_arguments: Any) -> None:
            self.note(Cancel())

    assert run_job(folder, Refused(None), "r1").status == "interrupted"
    assert run_job(folder, Link(None), "r2").status == "done"


def test_attempts_a_lost_manifest_does_not_know_are_not_reused(make_job: MakeJob) -> None:
    folder, _ = make_job(fake_stage())
    run_job(folder, Link(None), "r1")
    folder.manifest.unlink()
    run_job(folder, Link(None), "r2", Selection(force=True))
    assert sorted(os.listdir(folder.attempts)) == ["fake-001", "fake-002"]


def test_two_jobs_of_one_film_do_the_work_once(make_job: MakeJob, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    folders = [make_job(fake_stage("waits", gate))[0] for _ in range(2)]
    results = {}

    def run(number: int) -> None:
        results[number] = run_job(folders[number], Link(None), "r1")

    threads = [threading.Thread(target=run, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    gate.touch()
    for thread in threads:
        thread.join(PATIENCE)
    assert sorted(one.stages[0].status for one in results.values()) == ["ran", "reused"]
    assert {one.status for one in results.values()} == {"done"}


@pytest.mark.parametrize("call", ["write_job_result"])
def test_a_result_that_cannot_be_written_is_no_success(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def disk_full(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    folder, _ = make_job(fake_stage())
    link = Overheard()
    monkeypatch.setattr(run_module, call, disk_full)
    result = run_job(folder, link, "r1")
    assert (result.status, exit_code(result)) == ("failed", 5)
    assert result.error is not None
    assert result.error["code"] == "disk_full"
    assert [message.type for message in link.heard][-1] == "finished"
    assert read_job_result(folder) is None


def test_a_job_folder_that_cannot_be_written_fails_with_its_cause(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(*_arguments: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    folder, _ = make_job(fake_stage())
    monkeypatch.setattr(ArtefactStore, "commit", read_only)
    result = run_job(folder, Link(None), "r1")
    assert result.error is not None
    assert result.error["code"] == "read_only"


def test_a_selection_survives_the_command_line() -> None:
    assert parse_selection(None) == Selection()
    assert parse_selection('{"only": ["asr"], "start_from": "asr", "force": true}') == Selection(
        ("asr",), "asr", True
    )
    assert parse_selection("{}") == Selection()
