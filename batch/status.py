"""What a running batch says of itself: ``runs/<run id>/status.json``, at most a second old.

One JSON object: ``version``, ``run_id``, ``pid``, ``updated`` (UTC), ``max_workers``, ``holding``
(why nothing new starts, or empty), ``draining``, ``queued`` (files that are not open), ``more``
(discovery is still going on), and two lists:

``files``    open and next ones: ``file``, ``state`` (``prepared``: its job makes ready or ends;
             ``waiting``; ``running``; ``queued``), ``stage``, ``seconds`` in that state, ``code``
             and ``words`` of why it waits, ``worker`` (null: a process of its own), ``device``,
             ``threads``
``workers``  ``id``, ``stage``, ``state``, ``device``, ``threads``, ``ram_bytes``, ``vram_bytes``,
             ``seconds`` since it was last used
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import trio

from batch.desk import Desk
from batch.schedule import explain
from batch.schedule.model import Reason, Snapshot
from batch.view.words import utc_now, utc_stamp
from orchestrator.contract.atomic import temporary_name

VERSION = 1
NAME = "status.json"
EVERY_SECONDS = 1.0


def status_of(snapshot: Snapshot, desks: Mapping[str, Desk], queued: int) -> dict[str, Any]:
    """The status as JSON, all but who wrote it and when."""
    reasons = {reason.file: reason for reason in explain(snapshot)}
    files = [_open(desk, snapshot.now, reasons.get(path)) for path, desk in desks.items()]
    files += [_queued(file.file, reasons.get(file.file)) for file in snapshot.queue]
    return {
        "max_workers": snapshot.max_workers,
        "holding": snapshot.holding,
        "queued": queued,
        "more": snapshot.more,
        "files": files,
        "workers": [
            {
                "id": worker.id,
                "stage": worker.key.rpartition("-")[0],
                "state": worker.state,
                "device": worker.device,
                "threads": worker.threads,
                "ram_bytes": worker.held.ram_bytes,
                "vram_bytes": worker.held.vram_bytes,
                "seconds": round(snapshot.now - worker.last_used, 1),
            }
            for worker in snapshot.workers
        ],
    }


def _open(desk: Desk, now: float, reason: Reason | None) -> dict[str, Any]:
    entry: dict[str, Any] = {"file": desk.path, "stage": desk.left[0] if desk.left else ""}
    if desk.running is not None:
        running = desk.running
        return {
            **entry,
            "state": "running",
            "seconds": round(now - running.granted, 1),
            "worker": running.worker,
            "device": running.device,
            "threads": running.need.cpu_threads,
        }
    if desk.asked is None:
        return {**entry, "state": "prepared", "seconds": round(now - desk.opened, 1)}
    return {
        **entry,
        "state": "waiting",
        "seconds": round(now - desk.asked.since, 1),
        "code": reason.code if reason else "",
        "words": reason.words if reason else "its turn has come",
    }


def _queued(file: str, reason: Reason | None) -> dict[str, Any]:
    words = reason.words if reason else "not started yet: others come before it in the queue"
    return {"file": file, "state": "queued", "code": reason.code if reason else "", "words": words}


async def keep_status(path: Path, run_id: str, now: Callable[[], dict[str, Any]]) -> None:
    """Keep the file fresh for ever; run it in a nursery. ``now`` gives the status, or the same
    object as before where nothing has changed since."""
    last: dict[str, Any] | None = None
    while True:
        status = now()
        if status is not last:
            last = status
            about = {"version": VERSION, "run_id": run_id, "pid": os.getpid()}
            text = json.dumps({**about, "updated": utc_stamp(utc_now()), **status})
            await trio.to_thread.run_sync(_replace, path, text)
        await trio.sleep(EVERY_SECONDS)


def _replace(path: Path, text: str) -> None:
    """Not synced: it is of no use to anybody once the machine is off. A full disk is no matter."""
    temporary = path.with_name(temporary_name(path.name))
    with contextlib.suppress(OSError):
        temporary.write_text(text, encoding="ascii")
        temporary.replace(path)
        return
    with contextlib.suppress(OSError):
        temporary.unlink()


def read_status(runs: Path) -> dict[str, Any] | None:
    """The status of the latest run; None where none can be read."""
    try:
        latest = max(runs.glob(f"*/{NAME}"), key=lambda path: path.parent.name)
        status = json.loads(latest.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return status if isinstance(status, dict) and status.get("version") == VERSION else None
