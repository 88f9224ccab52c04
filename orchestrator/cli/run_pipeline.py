"""``run-pipeline``: run a prepared job by itself, look at jobs, free what they left."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import trio

from orchestrator.child import Log
from orchestrator.cli import models, pipeline
from orchestrator.cli.job_view import JobView, print_job, print_jobs
from orchestrator.cli.supervise import supervise
from orchestrator.contract.errors import (
    ErrorClass,
    ErrorInfo,
    ExitCode,
    Failure,
    fail,
)
from orchestrator.contract.job import Job, JobResult, read_job, read_job_result
from orchestrator.contract.paths import JobFolder, WorkFolder
from orchestrator.guardian import guarded
from orchestrator.jobs import BY_HAND_RUN, LATEST, find_job
from orchestrator.launcher import JobCommand, job_argv
from orchestrator.retention import choose, free, freeable
from orchestrator.settings import Settings, load_settings, work_folder
from orchestrator.terminal import accept_any_text, print_failure, printable_line, run_command
from orchestrator.turns import BY_HAND, turn

_DAY = 86400.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the first word says: run (the default), status, clean, pipeline or models."""
    accept_any_text()
    words = sys.argv[1:] if arguments is None else list(arguments)
    if words[:1] == ["pipeline"]:
        return pipeline.main(words[1:])
    if words[:1] == ["models"]:
        return models.main(words[1:])
    given = _parser().parse_args(words)
    act = {"status": _status, "clean": _clean}.get(given.action, _run)
    return run_command(lambda: act(given, _settings(given)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="run-pipeline",
        description="Run a job that prepare-job made. Stages that are done are not done again.",
        epilog="Also: run-pipeline pipeline shows a workflow as a picture; run-pipeline models "
        "lists, fetches and removes models. Each has its own --help.",
    )
    parser.add_argument(
        "action",
        nargs="?",
        choices=["run", "status", "clean"],
        default="run",
        help="run a job; show one job's stages (or, without --job, all jobs); free disk space",
    )
    parser.add_argument("--job", metavar="ID|FOLDER|latest", help="which job (run: latest)")
    parser.add_argument(
        "--stages", default="", metavar="LIST", help="only these stages, and what they need"
    )
    parser.add_argument("--from", dest="start", metavar="STAGE", help="again from this stage on")
    parser.add_argument("--force", action="store_true", help="again, also where done before")
    parser.add_argument("--work-dir", type=Path, metavar="DIR")
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings file to use")
    cleaning = parser.add_argument_group("clean")
    cleaning.add_argument(
        "--older-than", type=float, default=30.0, metavar="DAYS", help="default: 30"
    )
    cleaning.add_argument(
        "--max-gb", type=float, metavar="GB", help="and the oldest, until so much is left"
    )
    cleaning.add_argument("--dry-run", action="store_true", help="say only how much it would be")
    return parser


def _settings(given: argparse.Namespace) -> Settings:
    cli = {"work_dir": str(given.work_dir)} if given.work_dir else {}
    return load_settings(cli=cli, environ=os.environ, config_path=given.config).settings


def _work(settings: Settings) -> WorkFolder:
    return WorkFolder(work_folder(settings).absolute())


def _run(given: argparse.Namespace, settings: Settings) -> int:
    work = _work(settings)
    folder = find_job(work, given.job or LATEST)
    job = read_job(folder)
    selection = _selection(given, job)
    run_id = f"{BY_HAND_RUN}{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{os.getpid()}"
    command = JobCommand(job_argv(folder.root, selection), job.id, run_id, Log(folder.log))
    with turn(work, BY_HAND, _say), guarded(run_id), JobView(job) as view:
        code = trio.run(supervise, command, view.handle, settings.drain_seconds)
    result = read_job_result(folder)
    if result is None or result.run_id != run_id:
        if view.error is not None:
            raise Failure(ErrorInfo.from_json(view.error))
        if code is not ExitCode.OK:
            return code
        raise fail(
            "job_died",
            f"job {job.id} left no result",
            f"See {folder.log}; run it again.",
            error_class=ErrorClass.INTERNAL,
            retryable=True,
        )
    return _conclude(result, folder, code)


def _say(text: str) -> None:
    print(printable_line(text), file=sys.stderr, flush=True)


def _conclude(result: JobResult, folder: JobFolder, code: ExitCode) -> int:
    for account in result.stages:
        print(f"{account.name:12} {account.status:8} {account.seconds:7.1f} s  {account.reason}")
    for warning in result.warnings:
        print(f"warning: {printable_line(warning.message)} ({warning.code})")
    for published in result.published:
        print(f"wrote {printable_line(published.path)}")
    if result.status == "interrupted":
        print("Stopped. Run it again to go on.")
        return code or ExitCode.RESUMABLE
    if result.error is not None:
        error = ErrorInfo.from_json(result.error)
        print_failure(error, sys.stderr)
        goes_on = error.is_of_storage and error.retryable
        return ExitCode.RESUMABLE if goes_on else ExitCode.SOME_FAILED
    where = printable_line(str(folder.root))
    print(f"done in {result.seconds:.1f} s; everything about it is in {where}")
    return ExitCode.OK


def _selection(given: argparse.Namespace, job: Job) -> str | None:
    names = [stage.name for stage in job.stages]
    only = [name.strip() for name in given.stages.split(",") if name.strip()]
    for name in (*only, *([given.start] if given.start else [])):
        if name not in names:
            raise fail(
                "usage", f"job {job.id} has no stage {name!r}", f"Its stages: {', '.join(names)}."
            )
    if not only and not given.start and not given.force:
        return None
    return json.dumps({"only": only, "start_from": given.start, "force": given.force})


def _status(given: argparse.Namespace, settings: Settings) -> int:
    work = _work(settings)
    if given.job:
        folder = find_job(work, given.job)
        print_job(folder, read_job(folder))
    else:
        print_jobs(work)
    return ExitCode.OK


def _clean(given: argparse.Namespace, settings: Settings) -> int:
    max_bytes = None if given.max_gb is None else int(given.max_gb * 1e9)
    chosen = choose(freeable(_work(settings)), time.time(), given.older_than * _DAY, max_bytes)
    if given.dry_run:
        count, size = len(chosen), sum(one.size for one in chosen)
        print(f"{count} folders with {size / 1e6:.1f} MB would be freed")
    else:
        count, size = free(chosen)
        print(f"freed {count} folders with {size / 1e6:.1f} MB")
    return ExitCode.OK


if __name__ == "__main__":
    sys.exit(main())
