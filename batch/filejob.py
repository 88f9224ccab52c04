"""One file through one job process: make (or take up) its job, run it, record what became of it."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import trio

from batch.decide import Reason, Work
from batch.events import FileFinished
from batch.file_record import DONE, FAILED, INTERRUPTED, STARTED, Content, FileRecord
from batch.job_end import (
    DIED,
    End,
    Outcome,
    job_died,
    published_elsewhere,
    work_folder_error,
)
from batch.listing import MediaFile
from batch.recovery import clear_up
from batch.retry import Count, after_failure
from batch.state import State
from batch.storage import Storage
from orchestrator.child import Log
from orchestrator.contract.errors import ErrorInfo, Failure
from orchestrator.contract.job import (
    Job,
    JobResult,
    JobStage,
    Publication,
    Source,
    read_job,
    read_job_result,
)
from orchestrator.contract.messages import Message
from orchestrator.contract.naming import media_stem
from orchestrator.contract.paths import JobFolder
from orchestrator.contract.records import to_json
from orchestrator.launcher import (
    JobCommand,
    Orders,
    job_argv,
    job_environment,
    run_job_process,
)
from orchestrator.outbox import Outbox
from orchestrator.prepare import JobMaker, Recipe


@dataclass(frozen=True, slots=True)
class Task:
    """A file that was decided to be worked on."""

    item: MediaFile
    target_folder: str
    work: Work
    fingerprint: str
    audio_seconds: float | None
    record: FileRecord | None = None


@dataclass(frozen=True, slots=True)
class Begun:
    """The job of a task, ready to be started."""

    folder: JobFolder
    job: Job
    log: Log


class Line(Protocol):
    """Whoever talks with the job. ``error`` is what it said was wrong with it as a whole."""

    error: ErrorInfo | None
    outbox: Outbox

    def handle(self, message: Message) -> None: ...


class FileRunner:
    """Makes and runs the jobs of tasks, and records what became of them.

    ``now`` tells seconds since the epoch, ``jitter`` gives a number from 0 up to 1.
    """

    def __init__(
        self,
        recipe: Recipe,
        maker: JobMaker,
        state: State,
        orders: Orders,
        run_id: str,
        storage: Storage,
        argv: Callable[[Path], list[str]] = job_argv,
        now: Callable[[], float] = time.time,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._recipe = recipe
        self._maker = maker
        self._state = state
        self._orders = orders
        self._run_id = run_id
        self._storage = storage
        self._argv = argv
        self._now = now
        self._jitter = jitter
        self._environ = job_environment(os.environ)
        self._died: set[str] = set()

    def begin(self, task: Task) -> Begun | ErrorInfo:
        """Make the task's job, or take up its unfinished one, and record that it is begun.

        Call it in a thread. An error is that of the work folder, and so everybody's.

        Raises:
            Failure: our own state cannot be written any more.
        """
        try:
            return self._begin(task)
        except OSError as error:
            return work_folder_error(error)

    async def run(self, task: Task, begun: Begun | ErrorInfo, line: Line) -> FileFinished:
        """Run the task to its end, and say how it ended.

        Raises:
            Failure: our own state cannot be written any more.
        """
        path = task.item.path
        if isinstance(begun, ErrorInfo):
            return FileFinished(path, "failed", error=begun)
        folder, job = begun.folder, begun.job
        command = JobCommand(
            self._argv(folder.root), job.id, self._run_id, begun.log, self._environ
        )
        started, began = time.monotonic(), trio.current_time()
        error = None
        # A job takes the folder that it finds for the one to publish into.
        lost = await self._storage.lost_lately()
        if lost is not None:
            outcome = Outcome(error=lost, lost=lost)
            return await trio.to_thread.run_sync(self._end, task, folder, job, outcome, 0.0)
        try:
            status = await run_job_process(command, line.handle, self._orders, line.outbox)
        except OSError as os_error:
            status, error = 1, work_folder_error(os_error)
        seconds = time.monotonic() - started
        end = End()
        told = await self._storage.answer(
            self._look_and_end, end, task, begun, status, error or line.error, seconds
        )
        if told is None:
            told = await trio.to_thread.run_sync(end.without_answer) or Outcome(
                error=published_elsewhere(path)
            )
        if isinstance(told, FileFinished):
            return told
        if told.error is not None:
            told.lost = await self._storage.lost(told.error, began)
        return await trio.to_thread.run_sync(self._end, task, folder, job, told, seconds)

    def _begin(self, task: Task) -> Begun:
        continued = self._job_to_continue(task)
        if continued is not None:
            # Else what it says would pass for the end of a process that left nothing.
            continued[0].result.unlink(missing_ok=True)
        folder, job = continued or self._new_job(task)
        self._state.record_started(
            task.item.path,
            self._content(task),
            self._recipe.settings_key,
            str(folder.root),
            self._now(),
            task.record.outputs_json if task.record else None,
        )
        return Begun(folder, job, Log(folder.log))

    def _new_job(self, task: Task) -> tuple[JobFolder, Job]:
        if task.record is not None and task.record.status != DONE:
            clear_up(JobFolder(Path(os.fsdecode(task.record.job_dir))))
        return self._maker.make(
            self._recipe,
            Source(task.item.path, task.item.size, task.item.mtime_ns, task.fingerprint),
            Publication(
                task.target_folder,
                media_stem(task.item.name),
                self._recipe.extensions,
                task.work.owned,
                task.work.present,
            ),
        )

    def _job_to_continue(self, task: Task) -> tuple[JobFolder, Job] | None:
        """The unfinished job of an earlier run, where it would do exactly the same."""
        record = task.record
        if record is None or record.status not in (STARTED, INTERRUPTED, FAILED):
            return None
        folder = JobFolder(Path(os.fsdecode(record.job_dir)))
        try:
            job = read_job(folder)
        except Failure:
            return None
        same = (
            job.settings_key == self._recipe.settings_key
            and job.source
            == Source(task.item.path, task.item.size, task.item.mtime_ns, task.fingerprint)
            and job.publication.folder == task.target_folder
            and job.publication.present == task.work.present
            # A smaller batch or another device is no other result, but it is another job.
            and (job.device, job.keep) == (self._recipe.device, self._recipe.keep)
            and _plain(job.stages) == _plain(self._recipe.stages)
        )
        return (folder, job) if same else None

    def _look_and_end(
        self,
        end: End,
        task: Task,
        begun: Begun,
        status: int,
        error: ErrorInfo | None,
        seconds: float,
    ) -> FileFinished | Outcome | None:
        """Read what the job left, and where all is well record it in the same trip to a thread."""
        folder, job = begun.folder, begun.job
        outcome = self._outcome(task.item.path, folder, job, status, error)
        if outcome.error is not None:
            return outcome  # whose error it is remains to be seen
        return end.record(lambda: self._end(task, folder, job, outcome, seconds))

    def _outcome(
        self, path: str, folder: JobFolder, job: Job, status: int, error: ErrorInfo | None
    ) -> Outcome:
        """Read what the job left, and look for what it has published."""
        result = read_job_result(folder)
        if result is None or result.run_id != self._run_id:
            if error is None and self._orders.cancelling.is_set():
                return Outcome()
            return Outcome(error=error or job_died(job, folder, status))
        if result.status == "failed":
            assert result.error is not None
            return Outcome(result, ErrorInfo.from_json(result.error))
        if result.status == "done" and not self._storage.holds(result.published):
            return Outcome(result, published_elsewhere(path))
        return Outcome(result)

    def _end(
        self, task: Task, folder: JobFolder, job: Job, outcome: Outcome, seconds: float
    ) -> FileFinished:
        result, error = outcome.result, outcome.error
        if outcome.lost is not None:
            return self._stopped(task, folder, job, seconds, result, outcome.lost)
        if error is not None and error.code == DIED and task.item.path not in self._died:
            self._died.add(task.item.path)
            return self._stopped(task, folder, job, seconds, result, error)
        if error is not None:
            return self._failed(task, folder, job, error, seconds, result)
        if result is None or result.status == "interrupted":
            return self._stopped(task, folder, job, seconds, result)
        audio_seconds = _number(result.facts.get("audio_seconds"))
        self._state.record_done(
            task.item.path,
            self._content(task),
            self._recipe.settings_key,
            result.published,
            self._now(),
            audio_seconds=audio_seconds or 0.0,
            seconds=seconds,
        )
        return _finished(task, "done", folder, job, seconds, result)

    def _failed(
        self,
        task: Task,
        folder: JobFolder,
        job: Job,
        error: ErrorInfo,
        seconds: float,
        result: JobResult | None = None,
    ) -> FileFinished:
        self._record_failed(task, error, FAILED)
        return _finished(task, "failed", folder, job, seconds, result, error)

    def _stopped(
        self,
        task: Task,
        folder: JobFolder,
        job: Job,
        seconds: float,
        result: JobResult | None = None,
        lost: ErrorInfo | None = None,
    ) -> FileFinished:
        stopped = lost or ErrorInfo(
            "interrupted", "stopped on request", "Run again to go on.", retryable=True
        )
        self._record_failed(task, stopped, INTERRUPTED)
        return _finished(task, "interrupted", folder, job, seconds, result, lost)

    def _record_failed(self, task: Task, error: ErrorInfo, status: str) -> None:
        now = self._now()
        count = _failures_before(task)
        self._state.record_failed(
            task.item.path,
            self._content(task),
            self._recipe.settings_key,
            error,
            now,
            status=status,
            count=after_failure(count, error, now, self._jitter) if status == FAILED else count,
            version=self._recipe.versions.get("batch-subtitles", ""),
        )

    @staticmethod
    def _content(task: Task) -> Content:
        return Content(task.item.size, task.item.mtime_ns, task.fingerprint)


def _failures_before(task: Task) -> Count:
    """Failures with other content or settings say nothing about this one."""
    if task.record is None or task.work.reason in (Reason.CHANGED, Reason.SETTINGS_CHANGED):
        return Count()
    return task.record.past


def _finished(
    task: Task,
    status: str,
    folder: JobFolder,
    job: Job,
    seconds: float,
    result: JobResult | None,
    error: ErrorInfo | None = None,
) -> FileFinished:
    facts = result.facts if result else {}
    language, verified = facts.get("language"), facts.get("length_verified")
    return FileFinished(
        path=task.item.path,
        status=status,
        job_id=job.id,
        job_folder=str(folder.root),
        seconds=seconds,
        audio_seconds=_number(facts.get("audio_seconds")),
        language=language if isinstance(language, str) else None,
        stages=result.stages if result else (),
        published=result.published if result and status == "done" else (),
        warnings=result.warnings if result else (),
        error=error,
        length_verified=verified if isinstance(verified, bool) else None,
        lost_seconds=_number(facts.get("lost_seconds")) or 0.0,
        missing=_spans(facts.get("missing")),
    )


def _plain(stages: Sequence[JobStage]) -> str:
    """The stages as text, so that those read from a job's file can be compared with ours."""
    return json.dumps([to_json(stage) for stage in stages], sort_keys=True)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _spans(value: object) -> tuple[tuple[float, float], ...]:
    try:
        return tuple((float(start), float(end)) for start, end in value)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        return ()
