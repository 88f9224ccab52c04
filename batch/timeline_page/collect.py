"""Take a whole record in, line by line; what is kept does not grow with the run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from batch.timeline_page.buckets import Buckets
from batch.timeline_page.curves import Curve, Curves
from batch.timeline_page.files import Files
from batch.timeline_page.lanes import Lane, Lanes
from batch.timeline_page.record import Attempt, FileEnd, Head, Line, Sample, WorkerEvent
from batch.timeline_page.totals import Totals


@dataclass(frozen=True, slots=True)
class Collected:
    """All that the page shows. ``exact``: the lanes have their bars; otherwise see ``buckets``."""

    head: Head
    totals: Totals
    buckets: Buckets
    lanes: list[Lane]
    exact: bool
    hidden: int
    files: Files
    curves: list[Curve]


def collect(lines: Iterable[Line]) -> Collected:
    head = Head("", 0, 0)
    totals, buckets = Totals(), Buckets()
    lanes, files, curves = Lanes(buckets), Files(buckets), Curves(buckets)
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
            case Head():
                head = line
    end = totals.wall
    found = lanes.finish(end)
    return Collected(
        head, totals, buckets, found, lanes.exact, lanes.hidden, files, curves.finish(end)
    )
