"""Records of runs, as the coordinator would write them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from batch.timeline_page.record import Attempt, FileEnd, WorkerEvent

HEAD = {
    "kind": "run",
    "version": 1,
    "run_id": "20260131T220000Z-1a2b3c",
    "threads": 2,
    "ram_bytes": 16_000_000_000,
    "vram_bytes": {},
}


def attempt(
    file: str = "/m/a.mkv",
    stage: str = "asr",
    start: float = 1.0,
    end: float = 2.0,
    *,
    asked: float | None = None,
    worker: str | None = None,
    runs_from: float | None = None,
    device: str = "cpu",
    ok: bool | None = True,
) -> Attempt:
    return Attempt(
        file,
        stage,
        start if asked is None else asked,
        start,
        start if runs_from is None else runs_from,
        end,
        worker,
        device,
        1,
        ok,
    )


def worker(id: str, at: float, what: str, stage: str = "asr", device: str = "cpu") -> WorkerEvent:
    return WorkerEvent(id, stage, device, at, what)


def ended(file: str, start: float, end: float, status: str = "done") -> FileEnd:
    return FileEnd(file, status, start, end)


def attempt_line(**values: Any) -> dict[str, Any]:
    return {
        "kind": "attempt",
        "file": "/m/a.mkv",
        "job": "j",
        "stage": "asr",
        "asked": 0.0,
        "start": 1.0,
        "end": 5.0,
        "worker": None,
        "warm": False,
        "device": "cpu",
        "threads": 1,
        "ok": True,
        "load": None,
        "run": None,
        **values,
    }


def sample_line(at: float, **values: Any) -> dict[str, Any]:
    return {
        "kind": "sample",
        "at": at,
        "cpu": 80.0,
        "own_cpu": 60.0,
        "memory": 40.0,
        "own_memory": 25.0,
        "gpu": None,
        "vram": None,
        "running": 1,
        "workers": 1,
        "open": 1,
        **values,
    }


def file_line(file: str, start: float, end: float, status: str = "done") -> dict[str, Any]:
    return {"kind": "file", "file": file, "job": "j", "status": status, "start": start, "end": end}


def record(folder: Path, lines: Iterable[dict[str, Any]], torn: str = "") -> Path:
    """Write ``timeline.jsonl`` into ``folder``; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(line) + "\n" for line in (HEAD, *lines))
    (folder / "timeline.jsonl").write_text(text + torn, encoding="ascii")
    return folder
