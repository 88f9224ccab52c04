"""Files through warm workers in a whole run: with jobs, workers and a probe that really run."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import trio

from batch import measures
from batch.events import FileFinished, FileParked, FileStarted, RunFinished, StageProgress
from batch.history import Record
from batch.schedule.model import Limits
from batch.state import State
from batch.status import read_status
from batch.steps import profile
from orchestrator.contract.exchange import ModelRef
from orchestrator.contract.job import JobOutput
from orchestrator.contract.processes import JOB_VARIABLE, RUN_VARIABLE
from orchestrator.contract.records import changed

from .conftest import FAKES, RUN_ID, Ear, Run, add, make_recipe


def lines(run: Run, kind: str) -> list[dict[str, Any]]:
    path = run.plan.work.runs / run.plan.run_id / "timeline.jsonl"
    found = [json.loads(line) for line in path.read_text().splitlines()]
    return [line for line in found if line["kind"] == kind]


def processes(mark: str) -> list[psutil.Process]:
    """Living processes of this run whose job id begins with ``mark``."""
    found = []
    for process in psutil.process_iter():
        try:
            environ = process.environ()
        except (psutil.Error, OSError):
            continue
        if environ.get(RUN_VARIABLE) == RUN_ID and environ.get(JOB_VARIABLE, "").startswith(mark):
            found.append(process)
    return [one for one in found if one.pid != os.getpid()]


@pytest.fixture
def run(library: Path, state: State, ear: Ear, tmp_path: Path) -> Run:
    return Run(library, state, ear, tmp_path)


async def test_one_worker_serves_many_files(run: Run, library: Path) -> None:
    run.plan = replace(run.plan, max_workers=1)
    for number in range(5):
        add(library, f"{number}.mkv")
    assert await run() == 0
    attempts = lines(run, "attempt")
    assert len(attempts) == 5
    assert {(one["worker"], one["warm"], one["ok"]) for one in attempts} == {
        ("worker-1", True, True)
    }
    said = [line["what"] for line in lines(run, "worker")]
    assert said == ["launched", "ready", "at the end of the run"]
    assert [line["status"] for line in lines(run, "file")] == ["done"] * 5
    assert processes("") == []


async def test_without_residents_each_attempt_has_a_process_of_its_own(
    run: Run, library: Path
) -> None:
    run.plan = replace(run.plan, resident=False)
    for name in ("a.mkv", "b.mkv"):
        add(library, name)
    assert await run() == 0
    assert {(one["worker"], one["warm"]) for one in lines(run, "attempt")} == {(None, False)}
    assert lines(run, "worker") == []


async def test_what_stages_take_is_remembered(run: Run, library: Path, state: State) -> None:
    add(library, "a.mkv")
    assert await run() == 0
    ((subject, record),) = state.history()
    assert (subject.stage, subject.model, subject.device) == ("fake", "", "cpu")
    assert record.weight == 1.0
    assert (record.load_seconds or 0) > 0
    assert (record.peak_rss or 0) >= (record.held_rss or 0) > 0


async def test_killing_a_worker_costs_its_attempt_only(
    run: Run, library: Path, tmp_path: Path
) -> None:
    """The job tries once more, in a process of its own."""
    gate = tmp_path / "gate"
    run.with_recipe(make_recipe("waits", gate))
    for name in ("a.mkv", "b.mkv"):
        add(library, name)
    killed: list[int] = []

    def kill_one() -> None:
        gate.touch()
        for process in processes("worker-1")[:1]:
            if not killed:
                killed.append(process.pid)
                process.kill()

    run.ear.on(StageProgress, kill_one)
    assert await run() == 0
    assert len(killed) == 1
    assert run.statuses == {"a.mkv": "done", "b.mkv": "done"}


async def test_a_job_that_is_killed_takes_its_workers_attempt_along_and_is_run_once_more(
    run: Run, library: Path, tmp_path: Path
) -> None:
    run.plan = replace(run.plan, max_workers=1)
    run.with_recipe(make_recipe("waits", tmp_path / "gate"))
    for name in ("a.mkv", "b.mkv"):
        add(library, name)
    killed: list[str] = []

    def kill_the_job() -> None:
        if killed or not list(tmp_path.glob("gate.*.waiting")):
            return
        job_id = run.ear.of(FileStarted)[0].job_id
        for process in processes(job_id):
            killed.append(job_id)
            process.kill()

    run.ear.on(StageProgress, kill_the_job)
    run.ear.on(FileParked, (tmp_path / "gate").touch)
    assert await run() == 0
    assert run.statuses == {"a.mkv": "done", "b.mkv": "done"}
    assert len(run.ear.of(FileParked)) == len(set(killed)) == 1
    assert "its job is gone" in [line["what"] for line in lines(run, "worker")]


async def test_a_cancel_ends_the_attempts_on_workers(
    run: Run, library: Path, tmp_path: Path
) -> None:
    run.plan = replace(run.plan, drain_seconds=0.1)
    run.with_recipe(make_recipe("hangs"))
    add(library, "a.mkv")
    signals = iter([signal.SIGTERM])

    def once() -> None:
        for number in signals:
            os.kill(os.getpid(), number)

    run.ear.on(StageProgress, once)
    with trio.fail_after(60):
        assert await run() == 143
    assert run.statuses == {"a.mkv": "interrupted"}
    *_, ended = [line["what"] for line in lines(run, "worker")]
    assert ended in ("stopped on request", "its job is gone"), "whichever is heard of first"
    assert processes("") == []


async def test_a_worker_loads_once_where_a_lower_rung_is_remembered(
    run: Run, library: Path, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measures, "CLIMB", 0.0)
    recipe = make_recipe()
    stage = changed(
        recipe.stages[0],
        name="hungry",
        folder=str(FAKES / "hungry"),
        outputs=(JobOutput("seen", "seen.json", publish="srt"),),
        requested={},
        tuning={"batch_size": 400.0, "compute_type": "float32"},  # no batch that can be halved
        load=("compute_type",),
        compute_types=("float32", "int8"),
        models=(ModelRef("small", "/small", "s"),),
    )
    run.with_recipe(replace(recipe, stages=(stage,)))
    subject = profile(stage, run.plan.machine, "cpu").subject
    state.save_history([(subject, Record(rung=1))])
    add(library, "a.mkv")
    assert await run() == 0
    (attempt,) = lines(run, "attempt")
    assert (attempt["warm"], attempt["ok"], attempt["load"]) == (True, True, 0.0)


async def test_a_stage_that_stalls_is_replaced_and_told(run: Run, library: Path) -> None:
    (stage,) = make_recipe("silent").stages
    run.with_recipe(replace(make_recipe("silent"), stages=(changed(stage, stall_seconds=1.0),)))
    add(library, "a.mkv")
    with trio.fail_after(120):
        assert await run() == 5
    assert run.errors == {"stage_stalled"}


async def test_where_no_worker_can_be_started_the_jobs_say_why(run: Run, library: Path) -> None:
    """All others would fail alike, so none of them is begun."""
    run.plan = replace(run.plan, max_workers=1)
    recipe = make_recipe()
    (stage,) = recipe.stages
    nothing = changed(stage.environment, python="/no/such/python")
    run.with_recipe(replace(recipe, stages=(changed(stage, environment=nothing),)))
    for number in range(9):
        add(library, f"{number}.mkv")
    with trio.fail_after(60):
        assert await run() == 4
    assert run.errors == {"environment_missing"}
    assert run.error is not None
    assert run.error.code == "environment_missing"
    (ended,) = run.ear.of(RunFinished)
    assert len(run.statuses) + ended.not_begun == 9
    assert ended.not_begun >= 4, "none but those that were ready, and what was beside them"
    assert {one["warm"] for one in lines(run, "attempt")} == {False}


async def test_a_file_that_has_waited_too_long_is_parked_and_goes_on(
    run: Run, library: Path, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    run.plan = replace(run.plan, max_workers=1, limits=Limits(park_after_s=0.2))
    run.with_recipe(make_recipe("waits", gate))
    for name in ("a.mkv", "b.mkv"):
        add(library, name)
    run.ear.on(FileParked, gate.touch)
    with trio.fail_after(120):
        assert await run() == 0
    assert len(run.ear.of(FileParked)) >= 1
    assert run.statuses == {"a.mkv": "done", "b.mkv": "done"}
    assert len(list(run.plan.work.jobs.glob("*/*/*/*/*"))) == 2, "its job was taken up again"


async def test_the_order_of_the_queue_is_the_users(run: Run, library: Path) -> None:
    def loved(path: str) -> float:
        return 1.0 if path.endswith("c.mkv") else 0.0

    run.plan = replace(run.plan, max_workers=1, order="priority", priority=loved)
    for name in ("a.mkv", "b.mkv", "c.mkv"):
        add(library, name)
    run.ear.on(FileFinished, lambda: None)
    assert await run() == 0
    assert set(run.statuses) == {"a.mkv", "b.mkv", "c.mkv"}


async def test_a_running_batch_says_why_a_file_waits(
    run: Run, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batch.status.EVERY_SECONDS", 0.02)
    gate = tmp_path / "gate"
    run.plan = replace(run.plan, max_workers=1)
    run.with_recipe(make_recipe("waits", gate))
    for number in range(4):
        add(library, f"{number}.mkv")
    seen: list[dict[str, Any]] = []

    def look() -> None:
        status = read_status(run.plan.work.runs)
        states = {one["state"] for one in status["files"]} if status else set()
        if status is not None and {"running", "waiting"} <= states:
            seen.append(status)
            gate.touch()

    run.ear.on(StageProgress, look)
    with trio.fail_after(60):
        assert await run() == 0
    states = {one["state"] for one in seen[0]["files"]}
    assert {"running", "waiting", "queued"} <= states
    waiting = next(one for one in seen[0]["files"] if one["state"] == "waiting")
    assert waiting["code"] == "turn"
    assert seen[0]["workers"][0]["state"] == "busy"
