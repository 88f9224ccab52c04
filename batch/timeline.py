"""What ran when, on what, and how busy the machine was: ``runs/<run id>/timeline.jsonl``.

One JSON object a line. All times are seconds since the run began (``at``, ``start``, ``end``, ...).
The first line is of kind ``run``; the order of the others is that in which things ended:

``run``      version, run_id, started (UTC), threads, ram_bytes, vram_bytes {device: bytes}
``attempt``  file, job, stage, asked (for leave), start (leave given), end, worker (id or null),
             warm (it ran in a resident worker), device, threads, ok, load and run (seconds as the
             stage measured them, null where it did not say)
``worker``   id, stage, key, device, what: ``launched``, ``ready``, or why it has ended
``file``     file, job, status (done, failed, interrupted, parked), start (its job), end,
             length_verified (true, false, or null where nothing was said of it)
``hold``     at, reason: from then on nothing new was started; an empty one: it was again
``sample``   cpu, memory, gpu, vram (percent of the machine), own_cpu, own_memory (of that, ours),
             running (attempts), workers (processes), open (files with a job)

Files and attempts make it grow by some lines for each file. Samples are thinned out the longer the
run takes: the first thousand are a second apart, the next thousand two, then four.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import trio

from batch.admission import Load
from batch.background import BackgroundFile
from batch.desk import Desk, Running
from batch.workers import Worker

VERSION = 1
NAME = "timeline.jsonl"
SAMPLES_BEFORE_THINNING = 1000


class Timeline:
    """Writes the lines; ``path`` None writes nothing."""

    def __init__(self, path: Path | None, clock: Callable[[], float] = trio.current_time) -> None:
        self._path = path
        self._clock = clock
        self._began = 0.0
        self._file: BackgroundFile | None = None
        self._samples = 0
        self._every = 1
        self._skipped = 0

    def begin(self, **about: Any) -> None:
        """The run begins now. Raises: OSError (the file cannot be made)."""
        self._began = self._clock()
        if self._path is not None:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = BackgroundFile(self._path, "wb")
        self.write("run", {"version": VERSION, **about})

    def at(self, moment: float) -> float:
        """A moment of the clock as seconds since the run began."""
        return round(moment - self._began, 3)

    def write(self, kind: str, values: Mapping[str, Any]) -> None:
        if self._file is not None:
            self._file.write(json.dumps({"kind": kind, **values}, separators=(",", ":")))

    def attempt(self, desk: Desk, running: Running, now: float) -> None:
        """An attempt of the file has ended."""
        told = running.told
        self.write(
            "attempt",
            {
                "file": desk.path,
                "job": desk.job_id,
                "stage": running.asked.stage,
                "asked": self.at(running.asked.since),
                "start": self.at(running.granted),
                "end": self.at(now),
                "worker": running.worker,
                "warm": running.worker is not None,
                "device": running.device,
                "threads": running.need.cpu_threads,
                "ok": told.ok if told is not None else None,
                "load": told.data.get("load_seconds") if told is not None else None,
                "run": told.data.get("run_seconds") if told is not None else None,
            },
        )

    def file(self, desk: Desk, status: str, now: float, verified: bool | None = None) -> None:
        """The job of the file has ended; ``verified``: what it said of the length of its sound."""
        self.write(
            "file",
            {
                "file": desk.path,
                "job": desk.job_id,
                "status": status,
                "start": self.at(desk.opened),
                "end": self.at(now),
                "length_verified": verified,
            },
        )

    def hold(self, reason: str) -> None:
        """Nothing new is started from now on, for this reason; empty: it is again."""
        self.write("hold", {"at": self.at(self._clock()), "reason": reason})

    def worker(self, worker: Worker, what: str) -> None:
        """A worker began, is ready, or has ended."""
        kind = worker.kind
        self.write(
            "worker",
            {
                "id": worker.id,
                "stage": kind.stage.name,
                "key": kind.key,
                "device": kind.device,
                "at": self.at(self._clock()),
                "what": what,
            },
        )

    def sample(self, load: Load, counts: tuple[int, int, int]) -> None:
        """One look at the machine."""
        self._skipped += 1
        if self._skipped < self._every:
            return
        self._skipped = 0
        self._samples += 1
        running, workers, files = counts
        if self._samples % SAMPLES_BEFORE_THINNING == 0:
            self._every *= 2
        self.write(
            "sample",
            {
                "at": self.at(self._clock()),
                "cpu": _short(load.cpu),
                "own_cpu": _short(load.own_cpu),
                "memory": _short(load.memory),
                "own_memory": _short(load.own_memory),
                "gpu": _short(load.gpu),
                "vram": _short(load.vram),
                "running": running,
                "workers": workers,
                "open": files,
            },
        )

    def end(self) -> None:
        """Write what is left; nothing is taken any more."""
        file, self._file = self._file, None
        if file is not None:
            file.close()


def _short(percent: float | None) -> float | None:
    return None if percent is None else round(percent, 1)
