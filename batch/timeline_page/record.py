"""The lines of a run's ``timeline.jsonl`` as values; :mod:`batch.timeline` says what they mean.

A run that was killed leaves a torn last line, and a full disk may have torn one in the middle: what
cannot be read is left out.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple


class Head(NamedTuple):
    """The machine that the run had: CPU threads, bytes of RAM."""

    run_id: str
    threads: int
    ram_bytes: int


class Attempt(NamedTuple):
    """One stage of one file. ``asked`` for leave, ``start`` when it had it.

    ``runs_from``: it had loaded; before that a process of its own starts, and a model is loaded.
    """

    file: str
    stage: str
    asked: float
    start: float
    runs_from: float
    end: float
    worker: str | None
    device: str
    threads: int
    ok: bool | None


class FileEnd(NamedTuple):
    """A job has ended. ``status``: done, failed, interrupted or parked.

    ``verified`` False: nobody knows how long its sound should have been.
    """

    file: str
    status: str
    start: float
    end: float
    verified: bool | None = None


class WorkerEvent(NamedTuple):
    """``what``: ``launched``, ``ready``, or why it has ended."""

    id: str
    stage: str
    device: str
    at: float
    what: str


class Hold(NamedTuple):
    """From then on nothing new was started, for this reason; an empty one: it was again."""

    at: float
    reason: str


class Sample(NamedTuple):
    """Percent of the machine; ``own_…`` is this run's part. None where there is no GPU."""

    at: float
    cpu: float
    own_cpu: float
    memory: float
    own_memory: float
    gpu: float | None
    vram: float | None


Line = Head | Attempt | FileEnd | WorkerEvent | Hold | Sample


def read_lines(path: Path) -> Iterator[Line]:
    """All lines that can be read, one at a time.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        for text in file:
            line = parse(text)
            if line is not None:
                yield line


def parse(text: bytes) -> Line | None:
    """One line; None if it is torn, or of a kind that is not shown."""
    try:
        values = json.loads(text)
        maker = _MAKERS.get(values["kind"])
        return None if maker is None else maker(values)
    except (ValueError, KeyError, TypeError, OverflowError):
        return None


def _head(values: dict[str, Any]) -> Head:
    return Head(str(values["run_id"]), int(values["threads"]), int(values["ram_bytes"]))


def _attempt(values: dict[str, Any]) -> Attempt:
    asked, start = _moment(values["asked"]), _moment(values["start"])
    end = max(start, _moment(values["end"]))
    worker, load, run = values["worker"], _optional(values["load"]), _optional(values["run"])
    lead = (load or 0.0) if worker is not None or run is None else end - start - run
    return Attempt(
        file=str(values["file"]),
        stage=str(values["stage"]),
        asked=min(asked, start),
        start=start,
        runs_from=min(end, start + max(0.0, lead)),
        end=end,
        worker=None if worker is None else str(worker),
        device=str(values["device"]),
        threads=int(values["threads"]),
        ok=values["ok"],
    )


def _file(values: dict[str, Any]) -> FileEnd:
    start = _moment(values["start"])
    return FileEnd(
        file=str(values["file"]),
        status=str(values["status"]),
        start=start,
        end=max(start, _moment(values["end"])),
        verified=values.get("length_verified"),
    )


def _hold(values: dict[str, Any]) -> Hold:
    return Hold(_moment(values["at"]), str(values["reason"]))


def _worker(values: dict[str, Any]) -> WorkerEvent:
    return WorkerEvent(
        id=str(values["id"]),
        stage=str(values["stage"]),
        device=str(values["device"]),
        at=_moment(values["at"]),
        what=str(values["what"]),
    )


def _sample(values: dict[str, Any]) -> Sample:
    cpu, memory = _moment(values["cpu"]), _moment(values["memory"])
    return Sample(
        at=_moment(values["at"]),
        cpu=cpu,
        own_cpu=min(cpu, _moment(values["own_cpu"])),
        memory=memory,
        # Pages that our processes share were counted for each of them.
        own_memory=min(memory, _moment(values["own_memory"])),
        gpu=_optional(values["gpu"]),
        vram=_optional(values["vram"]),
    )


def _moment(value: object) -> float:
    """A number that is not negative. Raises: ValueError, TypeError."""
    if not isinstance(value, int | float):
        raise TypeError("not a number")
    if not math.isfinite(value):
        raise ValueError("not finite")
    return max(0.0, float(value))


def _optional(value: object) -> float | None:
    return None if value is None else _moment(value)


_MAKERS: dict[str, Callable[[dict[str, Any]], Line]] = {
    "run": _head,
    "attempt": _attempt,
    "file": _file,
    "worker": _worker,
    "hold": _hold,
    "sample": _sample,
}
