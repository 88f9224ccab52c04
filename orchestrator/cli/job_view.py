"""What ``run-pipeline`` shows: a bar per stage while a job runs, and tables of jobs and stages."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from orchestrator.console import Console
from orchestrator.contract import messages
from orchestrator.contract.errors import Failure
from orchestrator.contract.job import Job, read_job
from orchestrator.contract.messages import Message
from orchestrator.contract.paths import JobFolder, WorkFolder
from orchestrator.job.manifest import read_manifest
from orchestrator.jobs import all_jobs
from orchestrator.terminal import printable_line


class JobView:
    """Live progress of one job on stderr; answers its requests with all of its threads."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._console = Console(stderr=True, markup=False, highlight=False)
        self._bars = Progress(
            TextColumn("{task.description:12}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            console=self._console,
            disable=not sys.stderr.isatty(),
        )
        self._tasks: dict[str, TaskID] = {}
        self.error: Mapping[str, Any] | None = None

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def handle(self, message: Message) -> Message | None:
        match message:
            case messages.Started("", facts):
                for name in facts.get("stages", ()):
                    self._tasks[name] = self._bars.add_task(name, start=False, total=None)
            case messages.Started(stage) if stage in self._tasks:
                self._bars.start_task(self._tasks[stage])
            case messages.Progress(stage, done, total) if stage in self._tasks:
                self._bars.update(self._tasks[stage], completed=done, total=total)
            case messages.Request(stage, attempt):
                return messages.Grant(stage, attempt, self._job.threads)
            case messages.Release(stage) if stage in self._tasks:
                self._bars.stop_task(self._tasks[stage])
            case messages.Finished(_, False, dict(error)):
                self.error = error
            case _:
                pass
        return None


def print_job(folder: JobFolder, job: Job) -> None:
    """One job and its stages."""
    manifest = read_manifest(folder)
    print(f"{job.id}  {manifest.status if manifest else 'not run yet'}")
    print(printable_line(f"media   {job.source.path}"))
    print(printable_line(f"folder  {folder.root}"))
    table = Table(box=None, pad_edge=False)
    for heading in ("stage", "status", "seconds", "why"):
        table.add_column(heading)
    for stage in job.stages:
        record = manifest.stages.get(stage.name) if manifest else None
        if record is None:
            table.add_row(stage.name, "not run", "", "")
            continue
        why = record.reason if record.error is None else str(record.error.get("message", ""))
        table.add_row(stage.name, record.status, f"{record.seconds:.1f}", printable_line(why))
    Console(markup=False, highlight=False).print(table)


def print_jobs(work: WorkFolder) -> None:
    """Every job of the work folder in a line, oldest first."""
    for folder in all_jobs(work):
        manifest = read_manifest(folder)
        status = manifest.status if manifest else "not run"
        try:
            what = read_job(folder).source.path
        except Failure:  # it was killed while it was being made, or a disk lost it
            status, what = "unreadable", f"no job can be read in {folder.root}"
        print(f"{folder.root.name}  {status:12}  {printable_line(what)}")
