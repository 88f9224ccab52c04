"""Stages that fail and are tried again: real processes, down the ladder."""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestrator.contract.errors import ErrorInfo
from orchestrator.contract.exchange import ModelRef, StageRequest
from orchestrator.contract.job import JobEnvironment, JobOutput, JobResult, JobStage
from orchestrator.contract.messages import Drain, Grant, Message, Request, Started
from orchestrator.contract.paths import JobFolder
from orchestrator.contract.records import from_json
from orchestrator.job import attempts, ladder
from orchestrator.job.link import Link
from orchestrator.job.manifest import StageRecord, read_manifest
from orchestrator.job.run import run_job

from .conftest import FAKES, MakeJob, fake_stage


class Granting(Link):
    """A coordinator that grants at once, as told, and remembers what it was asked."""

    def __init__(self, **grant: Any) -> None:
        super().__init__(None)
        self.asked: list[Request] = []
        self.said: list[Message] = []
        self._grant = grant

    def ask(self, request: Request, threads: int) -> Grant | None:
        self.asked.append(request)
        return Grant(request.stage, request.attempt, **{"threads": threads, **self._grant})

    def send(self, message: Message) -> None:
        self.said.append(message)


def hungry_stage(room: int, batch: int = 8, **changes: Any) -> JobStage:
    values: dict[str, Any] = {
        "name": "hungry",
        "folder": str(FAKES / "hungry"),
        "outputs": (JobOutput("seen", "seen.json"),),
        "requested": {},
        "tuning": {"room": room, "batch_size": batch, "compute_type": "float16"},
        "load": ("compute_type",),
        "compute_types": ("float32", "float16", "int8_float16", "int8"),
        "models": (ModelRef("large", "/large", "l"),),
    }
    return fake_stage(**{**values, **changes})


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ladder, "PAUSE_SECONDS", 0.0)


def record_of(folder: JobFolder, stage: str = "fake") -> StageRecord:
    manifest = read_manifest(folder)
    assert manifest is not None
    return manifest.stages[stage]


def seen_by(folder: JobFolder) -> dict[str, Any]:
    (found,) = (folder.root.parents[1] / "artefacts").rglob("seen.json")
    seen: dict[str, Any] = json.loads(found.read_text())
    return seen


def warnings_of(result: JobResult) -> list[str]:
    return [warning.code for warning in result.warnings]


@pytest.mark.parametrize("fault", ["raises_once", "dies_once"])
def test_a_failure_inside_a_stage_is_tried_once_more_in_a_fresh_process(
    make_job: MakeJob, tmp_path: Path, fault: str
) -> None:
    folder, _ = make_job(fake_stage(fault, tmp_path / "gate"))
    link = Granting()
    result = run_job(folder, link, "r1")
    assert result.status == "done"
    assert warnings_of(result) == ["recovered_after_failure"]
    assert [(one.attempt, one.fresh) for one in link.asked] == [
        ("fake-001", False),
        ("fake-002", True),
    ]
    record = record_of(folder)
    assert [one["attempt"] for one in record.tries] == ["fake-001"]
    assert ErrorInfo.from_json(record.tries[0]["error"]).retryable
    assert record.attempt == "fake-002"
    assert not folder.attempt("fake", 1).outputs.exists()
    assert folder.attempt("fake", 1).log.exists()
    assert [one.type for one in link.said].count("release") == 2


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
@pytest.mark.parametrize(
    ("fault", "warnings"),
    [("leaves_a_fork", []), ("leaves_a_fork_and_dies_once", ["recovered_after_failure"])],
)
def test_a_stage_ends_with_its_process_whoever_holds_its_pipe(
    make_job: MakeJob, tmp_path: Path, fault: str, warnings: list[str]
) -> None:
    """The pipe of what it forked does not end: the stage was taken for one that had stalled."""
    folder, _ = make_job(fake_stage(fault, tmp_path / "gate"))
    try:
        result = run_job(folder, Granting(), "r1")
    finally:
        os.kill(int((tmp_path / "gate").read_text()), signal.SIGKILL)
    assert result.status == "done"
    assert warnings_of(result) == warnings
    assert "stage_stalled" not in str(record_of(folder).tries)


def test_a_stage_that_always_fails_is_tried_twice(make_job: MakeJob) -> None:
    folder, _ = make_job(fake_stage("raises"))
    result = run_job(folder, Link(None), "r1")
    assert result.status == "failed"
    record = record_of(folder)
    assert (record.status, len(record.tries)) == ("failed", 2)
    assert result.error is not None
    assert result.error["message"].endswith("(tried in vain: as asked (twice))")
    assert [(one.rung, one.code) for one in result.stages[0].tries] == [
        ("as asked", "stage_raised")
    ] * 2
    assert record.error is not None
    assert record.error["code"] == "stage_raised"


@pytest.mark.parametrize("fault", ["fails", "disk_full_at_the_end"])
def test_what_would_fail_again_is_not_tried_again(make_job: MakeJob, fault: str) -> None:
    folder, _ = make_job(fake_stage(fault))
    result = run_job(folder, Link(None), "r1")
    assert result.error is not None
    assert result.error["code"] == {"fails": "bad_media"}.get(fault, "disk_full")
    assert len(record_of(folder).tries) == 1
    assert "tried" not in result.error["message"]


def test_out_of_memory_goes_down_until_it_fits(make_job: MakeJob) -> None:
    folder, _ = make_job(hungry_stage(room=104, models=(ModelRef("large", "/large", "l"),)))
    link = Granting(device="cuda")
    result = run_job(folder, link, "r1")
    assert result.status == "done"
    assert warnings_of(result) == ["recovered_out_of_memory"]
    assert "(batch size 2); tried in vain: as asked (twice), batch" in result.warnings[0].message
    assert result.stages[-1].rung_label == "batch size 2"
    record = record_of(folder, "hungry")
    assert (record.rung, record.rung_label, record.changed) == (
        2,
        "batch size 2",
        {"batch_size": 2},
    )
    assert [one["rung"] for one in record.tries] == [0, 0, 1]
    assert [one.fresh for one in link.asked] == [False, True, True, True]
    assert result.stages[0].rung == 2
    assert seen_by(folder)["batch_size"] == 2


def test_smaller_arithmetic_and_a_smaller_model(make_job: MakeJob) -> None:
    small = ModelRef("small", "/small", "s", revision="main")
    folder, _ = make_job(hungry_stage(room=1, batch=1, fallback_models=(small,)))
    link = Granting(device="cuda")
    assert run_job(folder, link, "r1").status == "done"
    assert seen_by(folder) == {
        "compute_type": "int8_float16",
        "model": "small",
        "device": "cuda",
        "batch_size": 1,
    }
    assert record_of(folder, "hungry").models == (
        {"name": "small", "key": "s", "revision": "main"},
    )
    assert link.asked[-1].need["load"] == {"compute_type": "int8_float16"}


def test_the_cpu_only_where_it_is_allowed_and_then_it_is_said(make_job: MakeJob) -> None:
    folder, _ = make_job(hungry_stage(room=0, batch=1))
    assert run_job(folder, Granting(device="cuda"), "r1").status == "failed"
    folder, _ = make_job(hungry_stage(room=0, batch=1), device="cuda:1", allow_cpu_fallback=True)
    result = run_job(folder, Granting(), "r1")
    assert warnings_of(result) == ["recovered_out_of_memory", "ran_on_cpu"]
    assert (result.stages[0].device, seen_by(folder)["device"]) == ("cpu", "cpu")


def test_it_begins_at_the_rung_that_is_remembered(make_job: MakeJob) -> None:
    folder, _ = make_job(hungry_stage(room=104))
    link = Granting(device="cuda", rung=3)
    result = run_job(folder, link, "r1")
    assert len(link.asked) == 1
    assert warnings_of(result) == ["ran_with_less_memory"]
    assert seen_by(folder)["batch_size"] == 1
    again, _ = make_job(hungry_stage(room=0, batch=1, requested={"other": 1}))
    failed = run_job(again, Granting(device="cpu", rung=99), "r1")
    assert failed.stages[0].rung == 1, "a remembered rung that is not there is the last one"


def test_a_rung_changes_how_and_not_what(make_job: MakeJob) -> None:
    folder, _ = make_job(hungry_stage(room=104), keep="all")
    run_job(folder, Granting(device="cuda", rung=2), "r1")
    again = run_job(make_job(hungry_stage(room=104))[0], Link(None), "r2")
    assert [account.status for account in again.stages] == ["reused"]


def test_the_job_can_be_stopped_between_two_attempts(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ladder, "PAUSE_SECONDS", 60.0)
    folder, _ = make_job(fake_stage("out_of_memory"))

    class Draining(Granting):
        def send(self, message: Message) -> None:
            if message.type == "release":
                self.inbox.put(Drain())

    assert run_job(folder, Draining(), "r1").status == "interrupted"


def test_pauses_are_spread() -> None:
    assert 0.0 <= attempts._random() < 1.0


def test_the_device_that_is_granted_is_the_only_one_seen(make_job: MakeJob) -> None:
    stage = fake_stage(
        name="reveals",
        folder=str(FAKES / "reveals"),
        outputs=(JobOutput("seen", "seen.json"),),
        environment=JobEnvironment("bare", "key", fake_stage().environment.python, {"av": "1.0"}),
    )
    folder, _ = make_job(stage, device="cuda")
    link = Granting(device="cuda:1", threads=3)
    run_job(folder, link, "r1")
    assert seen_by(folder)["environ"]["CUDA_VISIBLE_DEVICES"] == "1"
    request = from_json(StageRequest, json.loads(folder.attempt("reveals", 1).request.read_bytes()))
    assert (request.device, request.threads) == ("cuda", 3)
    record = record_of(folder, "reveals")
    assert (record.device, record.threads, record.warm) == ("cuda:1", 3, False)
    assert record.environment == {"name": "bare", "key": "key", "packages": {"av": "1.0"}}
    started = [one for one in link.said if isinstance(one, Started) and one.stage]
    assert started == [
        Started("reveals", {"attempt": "reveals-001", "reason": "not done yet with these settings"})
    ]
