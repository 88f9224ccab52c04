"""One file through a job process that really runs; faults are those of the process."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from batch.decide import Reason, Work
from batch.desk import Desk, Running
from batch.events import (
    Event,
    FileFinished,
    FileStarted,
    FileWarning,
    StageProgress,
    StagesPlanned,
)
from batch.file_record import DONE, FAILED, INTERRUPTED, STARTED, FileRecord
from batch.filejob import Begun, FileRunner, Task
from batch.folder_view import FolderView
from batch.listing import DirectoryListing, MediaFile
from batch.ownership import DiskLibrary
from batch.places import Place
from batch.queue import Waiting
from batch.recovery import with_published
from batch.scan import Candidate
from batch.schedule.model import Need, Step
from batch.state import State
from batch.storage import Storage
from orchestrator.contract.errors import ErrorClass, ErrorInfo, Failure
from orchestrator.contract.files import sha256_file
from orchestrator.contract.job import JOB_RESULT_VERSION, JobResult
from orchestrator.contract.keys import fingerprint
from orchestrator.contract.paths import JobFolder, WorkFolder
from orchestrator.contract.records import to_json
from orchestrator.job.manifest import Intent, open_manifest
from orchestrator.launcher import Orders, job_argv
from orchestrator.prepare import JobMaker, Recipe

from .conftest import Ear, add, make_recipe

RUN = f"run-{os.urandom(4).hex()}"


class Consent:
    """A host that lets every attempt run, cold, as soon as it is asked."""

    def __init__(self, ear: Ear) -> None:
        self._ear = ear

    def now(self) -> float:
        return 0.0

    def emit(self, event: Event) -> None:
        self._ear(event)

    def asked(self, desk: Desk) -> None:
        assert desk.asked is not None
        desk.grant(Running(desk.asked, NO_STEP, Need(2), "cpu", None, 0.0), rung=0)

    def began(self, desk: Desk, running: Running) -> None:
        self.attempt = running.asked.attempt

    def released(self, desk: Desk, running: Running) -> None:
        assert running.asked.attempt == self.attempt


NO_STEP = Step("fake", Need(), 0.0)
NO_FOLDER = FolderView(DirectoryListing("", [], set(), []), {}, DiskLibrary())


class Runner:
    """``FileRunner`` with its surroundings. ``script``: what runs in place of the job process."""

    def __init__(self, folder: Path, state: State, ear: Ear) -> None:
        self.work = WorkFolder(folder / "work")
        self.state = state
        self.ear = ear
        self.orders = Orders(cancel_seconds=0.2)
        self.storage = Storage((), 0.0, lambda reason: None, lambda error: None)
        self.media = add(folder / "library", "film.mkv")
        self.script: str | None = None
        self.executable = sys.executable
        self._runner: FileRunner | None = None

    @property
    def task(self) -> Task:
        status = self.media.stat()
        item = MediaFile("film.mkv", str(self.media.parent), status.st_size, status.st_mtime_ns)
        work = Work(Reason.NEW)
        record = self.record
        if record is not None:
            owned = {Path(one.path).name: one.sha256 for one in record.published(item.folder)}
            work = replace(work, owned=owned)
        mark = fingerprint(self.media)
        return Task(item, str(self.media.parent), work, mark, 60.0, record)

    @property
    def record(self) -> FileRecord | None:
        return self.state.record(str(self.media))

    def argv(self, folder: Path) -> list[str]:
        if self.script is None:
            return job_argv(folder)
        return [self.executable, "-c", self.script, str(folder)]

    def stays(self) -> None:
        """Let the files that follow be of one run."""
        maker = JobMaker(self.work, "me")
        self._runner = FileRunner(
            make_recipe(), maker, self.state, self.orders, RUN, self.storage, argv=self.argv
        )

    async def run(self, recipe: Recipe | None = None) -> FileFinished:
        recipe = recipe or make_recipe()
        maker = JobMaker(self.work, "me")
        runner = self._runner or FileRunner(
            recipe, maker, self.state, self.orders, RUN, self.storage, argv=self.argv
        )
        task = self.task
        waiting = Waiting(Candidate(task.item, NO_FOLDER), (0.0,), 60.0)
        desk = Desk(waiting, 0, Consent(self.ear), ("fake",), 0.0)
        begun = runner.begin(task)
        if not isinstance(begun, ErrorInfo):
            desk.folder, desk.job_id = begun.folder, begun.job.id
        return await runner.run(task, begun, desk)

    @property
    def jobs(self) -> int:
        return len(list(self.work.jobs.glob("*/*/*/*/*")))


@pytest.fixture
def runner(tmp_path: Path, state: State, ear: Ear) -> Runner:
    return Runner(tmp_path, state, ear)


def status_of(runner: Runner) -> str:
    assert runner.record is not None
    return runner.record.status


async def test_a_job_that_succeeds_is_recorded_with_what_it_published(
    runner: Runner, ear: Ear
) -> None:
    finished = await runner.run()
    srt = str(runner.media.with_name("film.en.srt"))
    assert (finished.status, finished.language, finished.audio_seconds) == ("done", "en", 1.0)
    assert [one.path for one in finished.published] == [srt]
    assert [(stage.name, stage.status) for stage in finished.stages] == [("fake", "ran")]
    assert runner.record is not None
    assert (runner.record.status, runner.record.output_paths) == (DONE, ["film.en.srt"])
    kinds = [type(event) for event in ear.events]
    assert kinds[:2] == [FileStarted, StagesPlanned], "told once its first stage may run"
    assert StageProgress in kinds
    assert ear.of(StagesPlanned)[0].stages == ("fake",)
    spec = json.loads((Path(finished.job_folder) / "job.json").read_text())
    assert spec["source"]["path"] == str(runner.media)


async def test_a_job_that_fails_is_recorded_with_its_cause(runner: Runner) -> None:
    finished = await runner.run(make_recipe("fails"))
    assert finished.error is not None
    assert (finished.status, finished.error.code) == ("failed", "bad_media")
    assert runner.record is not None
    assert runner.record.error == finished.error


DIES = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
EXITS = "raise SystemExit(7)"
PRINTS = 'print(\'no message\'); print(\'{"v": 99, "type": "progress"}\')'


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (DIES, "was killed by signal 9"),
        (EXITS, "ended with status 7"),
        (PRINTS, "ended with status 0"),
    ],
)
async def test_a_job_that_leaves_no_result_has_died(
    runner: Runner, script: str, words: str
) -> None:
    """Once it may be by chance: the file goes on. Twice it has failed."""
    runner.script = script
    runner.stays()
    finished = await runner.run()
    assert finished.status == status_of(runner) == INTERRUPTED
    finished = await runner.run()
    assert finished.error is not None
    assert (finished.error.code, finished.error.retryable) == ("job_died", True)
    assert words in finished.error.message
    assert str(finished.job_folder) in finished.error.message
    assert status_of(runner) == FAILED


async def test_the_result_of_an_earlier_opening_is_none(runner: Runner) -> None:
    """A parked file is opened again in the same run, and its process is killed at once."""
    runner.stays()
    parked = JobResult(JOB_RESULT_VERSION, "1", RUN, "interrupted", ())
    runner.script = (
        "import sys, pathlib\n"
        f"pathlib.Path(sys.argv[1], 'job_result.json').write_text({json.dumps(to_json(parked))!r})"
    )
    first = await runner.run()
    assert (first.status, first.error) == ("interrupted", None)
    runner.script = DIES
    again = await runner.run()
    assert again.error is not None
    assert (again.job_folder, again.error.code) == (first.job_folder, "job_died")


async def test_the_result_of_another_run_is_none(runner: Runner) -> None:
    stale = JobResult(JOB_RESULT_VERSION, "1", "run-0", "done", ())
    runner.script = (
        "import sys, pathlib\n"
        f"pathlib.Path(sys.argv[1], 'job_result.json').write_text({json.dumps(to_json(stale))!r})"
    )
    finished = await runner.run()
    assert finished.error is not None
    assert finished.error.code == "job_died"


@pytest.mark.parametrize(
    ("facts", "verified", "lost", "missing"),
    [
        ({}, None, 0.0, ()),
        ({"length_verified": True}, True, 0.0, ()),
        (
            {"length_verified": False, "lost_seconds": 2.5, "missing": [[1, 3.5]]},
            *(False, 2.5, ((1.0, 3.5),)),
        ),
        ({"length_verified": "yes", "lost_seconds": "2", "missing": [[1], 2]}, None, 0.0, ()),
    ],
)
async def test_what_was_found_out_about_the_sound_is_passed_on(
    runner: Runner,
    facts: dict[str, object],
    verified: bool | None,
    lost: float,
    missing: tuple[tuple[float, float], ...],
) -> None:
    result = JobResult(JOB_RESULT_VERSION, "1", RUN, "done", (), facts=facts)
    runner.script = (
        "import sys, pathlib\n"
        f"pathlib.Path(sys.argv[1], 'job_result.json').write_text({json.dumps(to_json(result))!r})"
    )
    finished = await runner.run()
    assert finished.status == "done"
    assert (finished.length_verified, finished.lost_seconds) == (verified, lost)
    assert (finished.missing, finished.partial) == (missing, lost > 0)


async def test_what_a_job_said_before_it_went_without_a_result_is_its_cause(
    runner: Runner,
) -> None:
    error = {"code": "disk_full", "message": "full", "hint": "free some", "class": "storage"}
    message = {"v": 1, "run": RUN, "type": "finished", "ok": False, "error": error}
    runner.script = f"print({json.dumps(message)!r})"
    finished = await runner.run()
    assert finished.error is not None
    assert finished.error.code == "disk_full"


async def test_a_file_that_failed_while_the_storage_was_lost_is_to_be_done_again(
    runner: Runner,
) -> None:
    """However it looks: a file that was cut off reads like one that is damaged."""
    places = (Place("the library", str(runner.media.parent), written=True),)
    given_up: list[ErrorInfo] = []
    runner.storage = Storage(places, 0.0, lambda reason: None, given_up.append)
    await runner.storage.lost()
    away = runner.media.parent.with_name("unmounted")
    runner.script = (
        "import json, os, pathlib, sys\n"
        f"os.rename({str(runner.media.parent)!r}, {str(away)!r})\n"
        "print(json.dumps({'v': 1, 'run': 'r', 'type': 'finished', 'ok': False, 'error':"
        " {'code': 'bad_media', 'message': 'noise', 'hint': '', 'class': 'input'}}))"
    )
    finished = await runner.run()
    assert finished.error is not None
    assert (finished.status, finished.error.code) == ("interrupted", "storage_lost")
    assert finished.published == ()
    assert given_up == [finished.error]
    assert runner.record is not None
    assert (runner.record.status, runner.record.error) == (INTERRUPTED, finished.error)


async def test_warnings_come_through(runner: Runner, ear: Ear) -> None:
    message = {"v": 1, "run": RUN, "type": "warning", "stage": "fake", "code": "odd"}
    runner.script = f"print({json.dumps({**message, 'message': 'how odd'})!r})"
    await runner.run()
    (warning,) = ear.of(FileWarning)
    assert (warning.warning.code, warning.warning.message) == ("odd", "how odd")


async def test_a_job_that_cannot_be_started_is_our_problem(runner: Runner) -> None:
    runner.script, runner.executable = "", "/no/such/python"
    finished = await runner.run()
    assert finished.error is not None
    assert (finished.error.code, finished.error.error_class) == (
        "work_folder_error",
        ErrorClass.STORAGE,
    )


async def test_a_work_folder_that_cannot_be_written_is_our_problem(runner: Runner) -> None:
    runner.work.root.write_text("a file in its place")
    finished = await runner.run()
    assert finished.error is not None
    assert finished.error.code == "work_folder_error"
    assert runner.record is None


def test_a_state_that_cannot_be_written_is_raised(runner: Runner, state: State) -> None:
    task = runner.task
    state.close()
    maker = JobMaker(runner.work, "me")
    file_runner = FileRunner(make_recipe(), maker, state, runner.orders, RUN, runner.storage)
    with pytest.raises(Failure):
        file_runner.begin(task)


async def test_a_job_told_to_cancel_is_interrupted(runner: Runner, tmp_path: Path) -> None:
    recipe = make_recipe("waits", tmp_path / "gate")
    runner.ear.on(StageProgress, runner.orders.cancel)
    finished = await runner.run(recipe)
    assert (finished.status, finished.error) == ("interrupted", None)
    assert status_of(runner) == INTERRUPTED


async def test_a_job_deaf_to_a_cancel_is_killed_and_interrupted(runner: Runner) -> None:
    runner.script = "import time, sys\nprint('{}', flush=True)\nwhile True: time.sleep(1)"
    runner.orders.cancel()
    with trio.fail_after(60):
        finished = await runner.run()
    assert finished.status == "interrupted"
    assert status_of(runner) == INTERRUPTED


async def test_cancelling_the_run_kills_the_job_and_leaves_it_to_be_continued(
    runner: Runner, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    with trio.CancelScope() as scope:
        runner.ear.on(StageProgress, scope.cancel)
        await runner.run(make_recipe("waits", gate))
    assert scope.cancelled_caught
    assert status_of(runner) == STARTED
    gate.touch()
    runner.ear = Ear()

    finished = await runner.run(make_recipe("waits", gate))

    assert finished.status == "done"
    assert runner.jobs == 1


def changed_settings(recipe: Recipe) -> Recipe:
    return replace(recipe, settings_key="another")


def smaller_batch(recipe: Recipe) -> Recipe:
    (stage,) = recipe.stages
    return replace(recipe, stages=(replace(stage, tuning={**stage.tuning, "batch": 1}),))


def rebuilt_environment(recipe: Recipe) -> Recipe:
    (stage,) = recipe.stages
    return replace(
        recipe, stages=(replace(stage, environment=replace(stage.environment, key="new")),)
    )


def other_device(recipe: Recipe) -> Recipe:
    return replace(recipe, device="cuda:0")


@pytest.mark.parametrize(
    ("change", "jobs"),
    [
        (lambda recipe: recipe, 1),
        (changed_settings, 2),
        (smaller_batch, 2),
        (rebuilt_environment, 2),
        (other_device, 2),
    ],
)
async def test_an_unfinished_job_is_taken_up_if_it_would_be_made_the_same(
    runner: Runner, change: object, jobs: int
) -> None:
    assert (await runner.run(make_recipe("dies"))).status == "failed"
    await runner.run(change(make_recipe("dies")))  # type: ignore[operator]
    assert runner.jobs == jobs


async def test_a_job_of_a_file_that_changed_is_not_taken_up(runner: Runner) -> None:
    await runner.run(make_recipe("dies"))
    add(runner.media.parent, "film.mkv", "another cut")
    assert (await runner.run()).status == "done"
    assert runner.jobs == 2


async def test_a_job_that_cannot_be_read_is_not_taken_up(runner: Runner) -> None:
    finished = await runner.run(make_recipe("dies"))
    (Path(finished.job_folder) / "job.json").write_text("{")
    assert (await runner.run(make_recipe("dies"))).status == "failed"
    assert runner.jobs == 2


async def test_a_job_that_is_given_up_leaves_nothing_behind_and_is_not_forgotten(
    runner: Runner,
) -> None:
    """The power went while it published; the settings are others now, and it goes once more."""
    first = await runner.run(make_recipe("dies"))
    folder = JobFolder(Path(first.job_folder))
    mine, leftover = runner.media.with_name("film.en.srt"), runner.media.with_name(".half.tmp")
    mine.write_text("ours")
    leftover.write_text("ha")
    manifest = open_manifest(folder, first.job_id)
    manifest.intents = (
        Intent(str(mine), sha256_file(mine), str(mine) + ".tmp"),
        Intent(str(mine.with_suffix(".vtt")), "0" * 64, str(leftover)),
    )
    manifest.save(folder)
    record = runner.record
    assert record is not None
    task = replace(runner.task, record=with_published(record))

    maker, recipe = JobMaker(runner.work, "me"), changed_settings(make_recipe("dies"))
    begun = FileRunner(recipe, maker, runner.state, runner.orders, RUN, runner.storage).begin(task)

    assert isinstance(begun, Begun)
    assert begun.folder != folder
    assert not leftover.exists()
    record = runner.record
    assert record is not None
    assert [one.path for one in record.published(str(mine.parent))] == [str(mine)]


async def test_a_finished_file_gets_a_new_job(runner: Runner) -> None:
    await runner.run()
    finished = await runner.run()
    assert [stage.status for stage in finished.stages] == ["reused"]
    assert runner.jobs == 2
