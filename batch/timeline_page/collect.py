"""Take a whole record in, line by line; what is kept does not grow with the run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from batch.timeline_page.buckets import Buckets
from batch.timeline_page.curves import Curve, Curves, Holds
from batch.timeline_page.files import Files
from batch.timeline_page.lanes import Lane, Lanes
from batch.timeline_page.record import Attempt, FileEnd, Head, Hold, Line, Sample, WorkerEvent
from batch.timeline_page.totals import Totals


@dataclass(frozen=True, slots=True)
class Collected:
    """All that the page shows. ``exact``: the lanes have their bars; otherwise see ``buckets``.

    ``held`` is for how many seconds nothing new was started.
    """

    head: Head
    totals: Totals
    buckets: Buckets
    lanes: list[Lane]
    exact: bool
    hidden: int
    files: Files
    curves: list[Curve]
    held: float


def collect(lines: Iterable[Line]) -> Collected:
    head = Head("", 0, 0)
    totals, buckets = Totals(), Buckets()
    lanes, files, curves, holds = Lanes(buckets), Files(buckets), Curves(buckets), Holds(buckets)
    for line in lines:
        totals.take(line)
        match line:
            case Attempt():
                lanes.attempt(line)
                files.attempt(line)
            case Sample():
                curves.take(line)
            case FileEnd():
                files.ended(line)
            case WorkerEvent():
                lanes.worker(line)
            case Hold():
                holds.take(line)
            case Head():
                head = line
    end = totals.wall
    found = lanes.finish(end)
    holds.finish(end)
    return Collected(
        head,
        totals,
        buckets,
        found,
        lanes.exact,
        lanes.hidden,
        files,
        curves.finish(end),
        holds.seconds,
    )
