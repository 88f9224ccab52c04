"""Jobs whose stages run on a worker, with a coordinator that does what the protocol asks of it."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from orchestrator.contract.channel import Sender, start_reader
from orchestrator.contract.errors import ErrorInfo
from orchestrator.contract.job import JobStage
from orchestrator.contract.messages import Cancel, Finished, Grant, Message, Request, Run, Started
from orchestrator.contract.paths import JobFolder
from orchestrator.job.link import Link
from orchestrator.job.manifest import read_manifest
from orchestrator.job.run import run_job
from orchestrator.job.stageprocess import stage_argv

from .conftest import FAKES, MakeJob, fake_stage, relay_stage

PATIENCE = 30.0
DIED = ErrorInfo("worker_died", "the process that ran the stage died", retryable=True)


class Lender(Link):
    """Lends one worker per stage, warm; a fresh request is left to a process of the job's own."""

    def __init__(self, folder: JobFolder, stack: ExitStack) -> None:
        super().__init__(None)
        self._folder = folder
        self._stack = stack
        self._workers: dict[str, subprocess.Popen[bytes]] = {}
        self.asked: list[Request] = []
        self.said: list[Message] = []
        self.on_worker: Callable[[Message], None] = lambda _message: None

    def ask(self, request: Request, threads: int) -> Grant | None:
        self.asked.append(request)
        return Grant(request.stage, request.attempt, threads, warm=not request.fresh)

    def send(self, message: Message) -> None:
        self.said.append(message)
        if isinstance(message, Started) and message.stage and not self.asked[-1].fresh:
            attempt = self._folder.attempts / message.facts["attempt"]
            worker = self._workers.get(message.stage) or self._launch(message.stage)
            assert worker.stdin is not None
            Sender(worker.stdin.fileno(), "r1").send(Run({"attempt": str(attempt)}))

    def worker(self, stage: str) -> "subprocess.Popen[bytes]":
        return self._workers[stage]

    def _launch(self, stage: str) -> "subprocess.Popen[bytes]":
        worker = self._stack.enter_context(
            subprocess.Popen(
                stage_argv(fake_stage().environment.python, FAKES / stage),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        )
        self._stack.callback(worker.kill)
        self._workers[stage] = worker
        assert worker.stdout is not None
        start_reader(worker.stdout.fileno(), self._heard, self._died)
        return worker

    def _heard(self, message: Message) -> None:
        self.on_worker(message)
        if isinstance(message, Finished):
            self.inbox.put(message)

    def _died(self) -> None:
        self.inbox.put(Finished("", False, DIED.to_json()))


Lend = Callable[..., tuple[JobFolder, Lender]]


@pytest.fixture
def lend(make_job: MakeJob) -> Iterator[Lend]:
    with ExitStack() as stack:

        def make(*stages: JobStage, **changes: Any) -> tuple[JobFolder, Lender]:
            folder, _ = make_job(*stages, **changes)
            return folder, Lender(folder, stack)

        yield make


def artefacts(folder: JobFolder) -> dict[str, bytes]:
    root = folder.root.parents[1] / "artefacts"
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name not in ("artefact.json", "lock")
    }


def test_a_warm_job_makes_what_a_cold_one_makes(
    lend: Lend, make_job: MakeJob, tmp_path: Path
) -> None:
    folder, link = lend(fake_stage(), relay_stage(), keep="all")
    assert run_job(folder, link, "r1").status == "done"
    warm = artefacts(folder)
    manifest = read_manifest(folder)
    assert manifest is not None
    assert [record.warm for record in manifest.stages.values()] == [True, True]
    (tmp_path / "artefacts").rename(tmp_path / "warm")
    for name in ("film.en.srt", "film.en.vtt"):
        (tmp_path / "library" / name).unlink()
    cold, _ = make_job(fake_stage(), relay_stage(), keep="all")
    assert run_job(cold, Link(None), "r1").status == "done"
    assert artefacts(cold) == warm
    assert len(warm) == 3


def test_a_worker_s_progress_is_the_coordinator_s_to_show(lend: Lend) -> None:
    folder, link = lend(fake_stage())
    run_job(folder, link, "r1")
    assert [message.type for message in link.said] == ["started", "started", "release", "finished"]


@pytest.mark.parametrize("fault", ["dies_once", "raises_once"])
def test_after_a_failure_on_a_worker_comes_a_fresh_process(
    lend: Lend, tmp_path: Path, fault: str
) -> None:
    folder, link = lend(fake_stage(fault, tmp_path / "gate"))
    result = run_job(folder, link, "r1")
    assert result.status == "done"
    assert [one.fresh for one in link.asked] == [False, True]
    assert [warning.code for warning in result.warnings] == ["recovered_after_failure"]
    manifest = read_manifest(folder)
    assert manifest is not None
    record = manifest.stages["fake"]
    code = {"dies_once": "worker_died", "raises_once": "stage_raised"}[fault]
    assert record.tries[0]["error"]["code"] == code
    assert record.warm is False


def test_no_space_for_the_result_on_a_worker_is_a_full_disk(lend: Lend) -> None:
    folder, link = lend(fake_stage("disk_full_at_the_end"))
    result = run_job(folder, link, "r1")
    assert result.error is not None
    assert result.error["code"] == "disk_full"
    assert len(link.asked) == 1


def test_outputs_that_are_not_what_the_worker_states_are_refused(lend: Lend) -> None:
    folder, link = lend(fake_stage())

    def tamper(message: Message) -> None:
        if isinstance(message, Finished):
            (folder.attempt("fake", 1).outputs / "words.srt").write_text("something else")

    link.on_worker = tamper
    result = run_job(folder, link, "r1")
    assert result.status == "done"
    manifest = read_manifest(folder)
    assert manifest is not None
    assert manifest.stages["fake"].tries[0]["error"]["code"] == "result_invalid"


def test_a_cancel_ends_the_job_at_once_and_leaves_it_resumable(lend: Lend) -> None:
    folder, link = lend(fake_stage("hangs"))
    link.on_worker = lambda _message: link.inbox.put(Cancel())
    assert run_job(folder, link, "r1").status == "interrupted"
    assert link.worker("fake").poll() is None, "ending it is the coordinator's business"
