"""The pool with workers that really run; faults are those of a stage."""

from __future__ import annotations

import json
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import trio

from batch.schedule.model import CPU
from batch.wear import Tolerance
from batch.workers import (
    COLD_SECONDS,
    LAUNCHES,
    UNPREPARED_SECONDS,
    Exchange,
    Kind,
    Phase,
    Pool,
    Worker,
    cold_warning,
)
from orchestrator.contract.exchange import RESULT_VERSION, StageRequest
from orchestrator.contract.job import JobStage
from orchestrator.contract.messages import Finished, Message, Progress
from orchestrator.contract.paths import AttemptFolder
from orchestrator.contract.processes import JOB_VARIABLE, RUN_VARIABLE
from orchestrator.contract.records import changed
from orchestrator.job.stageprocess import prepare_attempt

from .conftest import FAKES, make_recipe

RUN = f"run-{os.urandom(4).hex()}"
"""Its own in each session: processes are found, and killed, by the run they belong to."""
LOAD: dict[str, object] = {"model_path": None, "models": [], "device": "cpu", "threads": 1}


@dataclass
class Exchanged:
    """An attempt that was handed to the pool, and what came of it."""

    folder: AttemptFolder
    messages: list[Message] = field(default_factory=list)
    finished: Finished | None = None
    ended: trio.Event = field(default_factory=trio.Event)

    def end(self, message: Finished) -> None:
        assert self.finished is None, "told twice"
        self.finished = message
        self.ended.set()

    @property
    def error_code(self) -> str | None:
        assert self.finished is not None
        return self.finished.error["code"] if self.finished.error else None


class Bench:
    """A pool in a folder, the fake stage, and attempts for it."""

    def __init__(self, folder: Path, nursery: trio.Nursery, tolerance: Tolerance) -> None:
        self.folder = folder
        self.changed = trio.Event()
        self.told: list[tuple[str, str]] = []
        self.cold: list[Worker] = []
        self.later = 0.0
        self.pool = Pool(
            folder / "workers",
            RUN,
            nursery,
            lambda: self.changed.set(),
            lambda worker, what: self.told.append((worker.id, what)),
            self.cold.append,
            tolerance,
            clock=lambda: trio.current_time() + self.later,
        )
        self._attempts = 0

    def launch(self, stage: JobStage | None = None, **load: object) -> Worker:
        (fake,) = make_recipe().stages
        kind = Kind("fake-1", stage or fake, CPU, 1, {**LOAD, **load})
        return self.pool.launch(kind)

    async def until(self, worker: Worker, phase: Phase) -> None:
        with trio.fail_after(60):
            while worker.phase is not phase:
                await self._change()

    async def until_gone(self, *workers: Worker) -> None:
        with trio.fail_after(60):
            while any(worker.id in self.pool.workers for worker in workers):
                await self._change()

    async def _change(self) -> None:
        await self.changed.wait()
        self.changed = trio.Event()

    async def ready(self) -> Worker:
        worker = self.launch()
        await self.until(worker, Phase.IDLE)
        return worker

    def attempt(self, fault: str = "none", gate: str = "") -> Exchanged:
        self._attempts += 1
        folder = AttemptFolder(self.folder / f"fake-{self._attempts:03d}")
        request = StageRequest(
            run_id=RUN,
            job_id="1",
            stage="fake",
            attempt=folder.root.name,
            media=str(self.folder / "film.mkv"),
            inputs={},
            outputs={"words": "words.srt", "bulk": "bulk.bin"},
            outputs_dir=str(folder.outputs),
            scratch_dir=str(folder.scratch),
            settings={"fault": fault, "gate": gate},
        )
        prepare_attempt(request, folder)
        return Exchanged(folder)

    def run(self, worker: Worker, attempt: Exchanged, stall_seconds: float = 60.0) -> None:
        owner = attempt.folder.root.name
        self.pool.reserve(worker.id, owner)
        exchange = Exchange(
            attempt.folder.root, attempt.messages.append, attempt.end, stall_seconds
        )
        self.pool.run(worker.id, owner, exchange)

    async def serve(self, worker: Worker, fault: str = "none") -> Exchanged:
        attempt = self.attempt(fault)
        self.run(worker, attempt)
        with trio.fail_after(60):
            await attempt.ended.wait()
        return attempt


@asynccontextmanager
async def a_bench(folder: Path, tolerance: Tolerance = Tolerance()) -> AsyncIterator[Bench]:
    async with trio.open_nursery() as nursery:
        bench = Bench(folder, nursery, tolerance)
        yield bench
        bench.pool.close()
    assert bench.pool.workers == {}
    assert survivors() == []


def survivors() -> list[psutil.Process]:
    """Processes of this test's run that are still alive."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(RUN_VARIABLE) == RUN and process.pid != os.getpid():
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def pid_of(worker: Worker) -> int:
    (pid,) = [one.pid for one in survivors() if one.environ()[JOB_VARIABLE] == worker.id]
    return pid


async def test_a_worker_serves_one_attempt_after_another(tmp_path: Path) -> None:
    async with a_bench(tmp_path) as bench:
        worker = await bench.ready()
        pid = pid_of(worker)
        for _ in range(3):
            attempt = await bench.serve(worker)
            assert attempt.finished is not None
            assert attempt.finished.ok
            assert json.loads(attempt.folder.result.read_text())["version"] == RESULT_VERSION
            assert any(isinstance(message, Progress) for message in attempt.messages)
            assert worker.phase is Phase.IDLE
        assert pid_of(worker) == pid
        assert worker.wear.attempts == 3
        assert worker.last_used > worker.launched
    assert bench.told == [
        ("worker-1", "launched"),
        ("worker-1", "ready"),
        ("worker-1", "at the end of the run"),
    ]


async def test_it_runs_in_a_session_of_its_own_with_its_own_scratch(tmp_path: Path) -> None:
    async with a_bench(tmp_path) as bench:
        worker = await bench.ready()
        process = psutil.Process(pid_of(worker))
        assert os.getsid(process.pid) == process.pid
        environ = process.environ()
        assert (environ["OMP_NUM_THREADS"], environ["HF_HUB_OFFLINE"]) == ("1", "1")
        assert environ["TMPDIR"] == process.cwd() == str(tmp_path / "workers/worker-1/scratch")


async def test_a_worker_that_is_killed_costs_its_attempt_only(tmp_path: Path) -> None:
    async with a_bench(tmp_path) as bench:
        one, other = await bench.ready(), await bench.ready()
        attempt = bench.attempt("waits", str(tmp_path / "gate"))
        bench.run(one, attempt)
        await until(lambda: any(tmp_path.glob("gate.*.waiting")))
        os.kill(pid_of(one), 9)
        with trio.fail_after(60):
            await attempt.ended.wait()
        assert attempt.error_code == "worker_died"
        await bench.until_gone(one)
        assert (await bench.serve(other)).error_code is None
        assert not bench.pool.is_broken("fake-1")


async def test_the_death_of_a_worker_is_noticed_though_what_it_forked_has_its_pipe(
    tmp_path: Path,
) -> None:
    """Nobody looks for one that is stuck here: that may take a quarter of an hour."""
    async with a_bench(tmp_path) as bench:
        worker = await bench.ready()
        attempt = bench.attempt("leaves_a_fork_and_dies_once", str(tmp_path / "gate"))
        bench.run(worker, attempt)
        with trio.fail_after(60):
            await attempt.ended.wait()
        assert attempt.error_code == "worker_died"
        await bench.until_gone(worker)
    assert bench.told[-1] == ("worker-1", "ended with status -9")


async def test_a_worker_that_died_while_idle_is_gone(tmp_path: Path) -> None:
    async with a_bench(tmp_path) as bench:
        worker = await bench.ready()
        os.kill(pid_of(worker), 9)
        await bench.until_gone(worker)
    assert bench.told[-1] == ("worker-1", "ended with status -9")


async def test_after_a_failure_it_is_replaced(tmp_path: Path) -> None:
    async with a_bench(tmp_path) as bench:
        worker = await bench.ready()
        attempt = await bench.serve(worker, "fails")
        assert attempt.error_code == "bad_media"
        assert worker.phase is Phase.ENDING
        await bench.until_gone(worker)
    assert bench.told[-1] == ("worker-1", "after a failure")


async def test_a_worker_that_leaks_is_replaced(tmp_path: Path) -> None:
    async with a_bench(tmp_path, Tolerance(growth_bytes=100 << 20, growth_share=0.0)) as bench:
        worker = await bench.ready()
        for _ in range(3):
            assert worker.phase is Phase.IDLE
            assert (await bench.serve(worker, "leaks")).error_code is None
        await bench.until_gone(worker)
    assert bench.told[-1][1].startswith("grew by 1")


async def test_after_enough_attempts_it_is_replaced(tmp_path: Path) -> None:
    async with a_bench(tmp_path, Tolerance(attempts=1)) as bench:
        worker = await bench.ready()
        await bench.serve(worker)
        await bench.until_gone(worker)
    assert bench.told[-1] == ("worker-1", "after 1 attempts")


async def test_a_stage_that_makes_no_progress_is_killed_whole(tmp_path: Path) -> None:
    async with a_bench(tmp_path) as bench:
        worker = await bench.ready()
        attempt = bench.attempt("leaves_grandchild_and_stalls", str(tmp_path / "gate"))
        bench.run(worker, attempt, stall_seconds=3.0)
        await until((tmp_path / "gate").exists)
        now = trio.current_time()
        for tick in range(5):
            bench.pool.look(now + tick)
        assert attempt.error_code == "stage_stalled"
        await bench.until_gone(worker)


async def test_a_worker_can_be_killed_in_the_middle(tmp_path: Path) -> None:
    async with a_bench(tmp_path) as bench:
        busy, idle = await bench.ready(), await bench.ready()
        attempt = bench.attempt("hangs")
        bench.run(busy, attempt)
        bench.pool.kill_busy("stopped on request")
        await bench.until_gone(busy)
        assert attempt.error_code == "worker_died"
        assert attempt.finished is not None
        assert attempt.finished.error is not None
        assert "stopped on request" in attempt.finished.error["message"]
        assert idle.phase is Phase.IDLE


async def test_cancelling_kills_everything(tmp_path: Path) -> None:
    with trio.CancelScope() as scope:
        async with a_bench(tmp_path) as bench:
            worker = await bench.ready()
            bench.run(worker, bench.attempt("hangs"))
            scope.cancel()
            await trio.sleep_forever()
    assert survivors() == []


def a_broken_stage() -> JobStage:
    (fake,) = make_recipe().stages
    return make_stage(fake, environment=type(fake.environment)("bare", "x", "/no/such/python"))


async def test_what_cannot_be_loaded_runs_cold_after_some_tries(tmp_path: Path) -> None:
    async with a_bench(tmp_path) as bench:
        for _ in range(LAUNCHES):
            assert not bench.pool.is_broken("fake-1")
            assert bench.cold == []
            await bench.until_gone(bench.launch(a_broken_stage()))
        assert bench.pool.is_broken("fake-1")
        assert bench.pool.broken == {"fake-1"}
        assert "No such file" in bench.told[-1][1]
        (worker,) = bench.cold
    warning = cold_warning(worker)
    assert warning.code == "stage_runs_cold"
    assert all(word in warning.message for word in ("stage fake", "No such file", worker.id))


async def test_what_ran_cold_is_tried_again_and_told_once(tmp_path: Path) -> None:
    """What was in the way, as another program on the GPU, may be gone."""
    async with a_bench(tmp_path) as bench:
        for _ in range(LAUNCHES):
            await bench.until_gone(bench.launch(a_broken_stage()))
        bench.later += COLD_SECONDS
        assert bench.pool.broken == frozenset()
        await bench.until_gone(bench.launch(a_broken_stage()))
        assert bench.pool.is_broken("fake-1"), "one try more, not as many as at first"
        assert len(bench.cold) == 1
        bench.later += COLD_SECONDS
        await bench.ready()
        await bench.until_gone(bench.launch(a_broken_stage()))
        assert not bench.pool.is_broken("fake-1"), "one that began has set the count back"


async def test_a_folder_that_cannot_be_made_says_nothing_of_the_worker(tmp_path: Path) -> None:
    async with a_bench(tmp_path) as bench:
        (tmp_path / "workers").write_text("a file in its place")
        for _ in range(LAUNCHES):
            await bench.until_gone(bench.launch())
            assert bench.pool.is_broken("fake-1"), "else it would be tried without end"
            bench.later += UNPREPARED_SECONDS
            assert not bench.pool.is_broken("fake-1")
        assert bench.cold == []


async def test_workers_that_are_cancelled_are_not_broken(tmp_path: Path) -> None:
    with trio.CancelScope() as scope:
        async with a_bench(tmp_path) as bench:
            for _ in range(LAUNCHES):
                bench.launch()
            scope.cancel()
            await trio.sleep_forever()
    assert bench.pool.broken == frozenset()
    assert bench.cold == []


async def test_a_model_that_cannot_be_loaded_is_told(tmp_path: Path) -> None:
    (fake,) = make_recipe().stages
    async with a_bench(tmp_path) as bench:
        worker = bench.launch(make_stage(fake, folder=str(FAKES / "needs_missing")))
        await bench.until_gone(worker)
    assert bench.told[-1] == ("worker-1", "its model could not be loaded")


async def test_a_reserved_worker_is_nobody_elses_until_it_is_given_back(tmp_path: Path) -> None:
    async with a_bench(tmp_path) as bench:
        worker = await bench.ready()
        bench.pool.reserve(worker.id, "mine")
        bench.pool.retire(worker.id, "to make room")
        bench.pool.give_back(worker.id, "yours")
        assert worker.phase.value == "busy"
        bench.pool.give_back(worker.id, "mine")
        assert worker.phase.value == "idle"
        bench.pool.give_back("worker-99", "mine")


async def test_an_attempt_for_a_worker_that_is_gone_fails_at_once(tmp_path: Path) -> None:
    async with a_bench(tmp_path) as bench:
        worker = await bench.ready()
        bench.pool.reserve(worker.id, "mine")
        os.kill(pid_of(worker), 9)
        await bench.until_gone(worker)
        attempt = bench.attempt()
        bench.pool.run(
            worker.id,
            "mine",
            Exchange(attempt.folder.root, attempt.messages.append, attempt.end, 60.0),
        )
        assert attempt.error_code == "worker_died"


async def test_an_idle_worker_is_ended_gently(tmp_path: Path) -> None:
    async with a_bench(tmp_path) as bench:
        worker = await bench.ready()
        bench.pool.retire(worker.id, "to make room")
        assert worker.phase is Phase.ENDING
        assert worker.id in bench.pool.workers, "its memory is not free yet"
        await bench.until_gone(worker)
    assert bench.told[-1] == ("worker-1", "to make room")


def make_stage(stage: JobStage, **changes: object) -> JobStage:
    return changed(stage, **changes)


async def until(condition: Callable[[], bool]) -> None:
    with trio.fail_after(60):
        while not condition():
            await trio.to_thread.run_sync(time.sleep, 0.01)
