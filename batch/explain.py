"""``--explain``: why a file is waiting, from what the running batch says of itself."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from batch.options import Options
from batch.status import read_status
from batch.view.safe_text import safe_text
from batch.view.words import count, duration, relative_to
from orchestrator.contract.paths import WorkFolder
from orchestrator.settings import work_folder
from orchestrator.turns import batch_is_running


def about_all(status: Mapping[str, Any], root: str) -> Iterator[str]:
    """Lines for people: what holds the run, what runs, and why the rest waits."""
    if status["holding"]:
        yield safe_text(f"Nothing new starts: {status['holding']}")
    for file in status["files"]:
        yield _line(file, root)
    rest = status["queued"] - sum(file["state"] == "queued" for file in status["files"])
    if rest > 0:
        yield f"and {count(rest, 'more file')} in the queue"
    for worker in status["workers"]:
        yield _worker(worker)


def about_file(status: Mapping[str, Any], path: str, root: str) -> str | None:
    """A line about one file; None where the run has not come to it (it may be far back)."""
    for file in status["files"]:
        if file["file"] == path:
            return _line(file, root)
    return None


def _line(file: Mapping[str, Any], root: str) -> str:
    """What is said of one file may name others, such as the one that has the GPU."""
    return safe_text(f"{relative_to(root, file['file'])}: {_state(file)}")


def _state(file: Mapping[str, Any]) -> str:
    stage = file.get("stage", "")
    match file["state"]:
        case "running":
            where = file["worker"] or "a process of its own"
            threads = count(file["threads"], "thread")
            seconds = duration(file["seconds"])
            return f"{stage} runs on {file['device']} ({where}, {threads}) for {seconds}"
        case "waiting":
            code = f" ({file['code']})" if file["code"] else ""
            return f"{file['words']}{code}, for {duration(file['seconds'])}"
        case "prepared":
            return "its job is being prepared, or is ending"
        case _:
            code = f" ({file['code']})" if file["code"] else ""
            return f"{file['words']}{code}"


def _worker(worker: Mapping[str, Any]) -> str:
    memory = f"{worker['ram_bytes'] / 1e6:.0f} MB"
    if worker["vram_bytes"]:
        memory += f", {worker['vram_bytes'] / 1e6:.0f} MB of the GPU's"
    state = worker["state"]
    since = f" for {duration(worker['seconds'])}" if state == "idle" else ""
    return f"{worker['id']} ({worker['stage']} on {worker['device']}): {state}{since}, {memory}"


def from_running_batch(options: Options, file: str) -> list[str] | None:
    """What the batch that is running says of ``file``, or of all files where that is empty.

    None: no batch runs with this work folder, or it has not come to the file.
    """
    work = WorkFolder(work_folder(options.loaded.settings).absolute())
    status = read_status(work.runs)
    if status is None or not batch_is_running(work):
        return None
    root = str(options.loaded.settings.input_dir or "")
    if not file:
        return list(about_all(status, root))
    line = about_file(status, os.path.abspath(file), root)
    return None if line is None else [line]
