"""The job process around :func:`orchestrator.job.run.run_job`."""

from __future__ import annotations

import json
import os
from pathlib import Path

from orchestrator.contract.channel import reserve_stdio
from orchestrator.contract.errors import ExitCode, Failure
from orchestrator.contract.job import JobResult
from orchestrator.contract.messages import Finished
from orchestrator.contract.paths import JobFolder
from orchestrator.job.link import Link, supervised
from orchestrator.job.plan import Selection
from orchestrator.job.run import run_job

_EXIT_CODES = {
    "done": ExitCode.OK,
    "failed": ExitCode.SOME_FAILED,
    "interrupted": ExitCode.RESUMABLE,
}


def run_supervised(folder: str, run_id: str, selection: str | None) -> int:
    """Run the job with messages on stdin and stdout. The exit code is only a summary."""
    incoming, outgoing = reserve_stdio()
    link = supervised(incoming, outgoing, run_id)
    chosen = parse_selection(selection)
    try:
        result = run_job(JobFolder(Path(folder)), link, run_id, chosen)
    except Failure as failure:
        link.send(Finished("", False, failure.info.to_json()))
        return ExitCode.SOME_FAILED
    return exit_code(result)


def parse_selection(text: str | None) -> Selection:
    """What ``run-pipeline`` passes on: JSON of :class:`Selection`'s fields."""
    if text is None:
        return Selection()
    asked = json.loads(text)
    return Selection(
        only=tuple(asked.get("only", ())),
        start_from=asked.get("start_from"),
        force=bool(asked.get("force")),
    )


def exit_code(result: JobResult) -> int:
    return _EXIT_CODES[result.status]


def run_stage(job_dir: Path | str, stage_name: str) -> int:
    """Run one stage of a prepared job by hand, and what it needs; returns the exit code.

    Its outputs are committed and, where the job publishes them, published, as in any other run.

    Raises:
        Failure: there is no such job, or it is running already.
    """
    folder = JobFolder(Path(job_dir))
    selection = Selection(only=(stage_name,), force=True)
    return exit_code(run_job(folder, Link(None), f"by-hand-{os.getpid()}", selection))
