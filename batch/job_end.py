"""How a job ended, and that its end is recorded once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from batch.events import FileFinished
from orchestrator.contract.errors import ErrorClass, ErrorInfo
from orchestrator.contract.job import Job, JobResult
from orchestrator.contract.paths import JobFolder

DIED = "job_died"


@dataclass(slots=True)
class Outcome:
    """How a job ended: what it left, and the error it ended with (neither: it was stopped).

    ``lost`` is the storage that was gone then. The file is to be done again, whatever the error
    looks like.
    """

    result: JobResult | None = None
    error: ErrorInfo | None = None
    lost: ErrorInfo | None = None


class End:
    """The end of a job, which one thread records: the one that looked for what was published, or
    whoever has given up waiting for the answer of that disk."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._finished: FileFinished | None = None
        self._given_up = False

    def record(self, record: Callable[[], FileFinished]) -> FileFinished | None:
        """Record it, unless nobody waits for that any more."""
        with self._lock:
            if not self._given_up:
                self._finished = record()
            return self._finished

    def without_answer(self) -> FileFinished | None:
        """Give up; what was recorded in the last moment is returned. It may wait for the state."""
        with self._lock:
            self._given_up = True
            return self._finished


def work_folder_error(error: OSError) -> ErrorInfo:
    return ErrorInfo(
        "work_folder_error",
        f"the job could not be made or started: {error}",
        "Check the space and the permissions of the work folder, then run again.",
        ErrorClass.STORAGE,
        retryable=True,
    )


def published_elsewhere(path: str) -> ErrorInfo:
    return ErrorInfo(
        "storage_error",
        f"{path}: what was published of it is not there any more",
        "Check the disk or the network share, then run again.",
        ErrorClass.STORAGE,
        retryable=True,
    )


def job_died(job: Job, folder: JobFolder, status: int) -> ErrorInfo:
    how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
    return ErrorInfo(
        DIED,
        f"job {job.id} {how} and left no result; what it printed is in {folder.log}",
        "If memory ran out, use a smaller model or fewer workers. Run again.",
        ErrorClass.INTERNAL,
        retryable=True,
    )
