"""What became of each file, in rows; of many files, how many were in which stage at one time."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from batch.timeline_page.buckets import Buckets
from batch.timeline_page.record import Attempt, FileEnd
from batch.timeline_page.totals import PARKED

MAX_ROWS = 60
"""With more files than this, they are shown as numbers."""
LONGEST = 10

State = Literal["waiting", "load", "run", "parked"]


class Span(NamedTuple):
    """``attempt`` None: parked."""

    state: State
    stage: str
    start: float
    end: float
    attempt: Attempt | None = None


@dataclass(slots=True)
class Row:
    """One file. ``status``: how it ended, "" while its job runs. Times in seconds."""

    file: str
    start: float
    end: float = 0.0
    status: str = ""
    verified: bool | None = None
    waited: float = 0.0
    ran: float = 0.0
    spans: list[Span] = field(default_factory=list)


class Files:
    """``rows`` has every file that was worked on, or is None where there are too many.

    The keys in ``buckets`` are ``("files", state, stage)``.
    """

    def __init__(self, buckets: Buckets, max_rows: int = MAX_ROWS, longest: int = LONGEST) -> None:
        self.rows: dict[str, Row] | None = {}
        self._buckets = buckets
        self._max_rows = max_rows
        self._max_longest = longest
        self._open: dict[str, Row] = {}
        self._ended: list[tuple[float, int, Row]] = []
        self._number = 0

    def attempt(self, attempt: Attempt) -> None:
        row = self._row(attempt.file, attempt.asked)
        row.waited += attempt.start - attempt.asked
        row.ran += attempt.end - attempt.start
        runs = attempt.runs_from
        self._add(row, "waiting", attempt, attempt.asked, attempt.start)
        self._add(row, "load", attempt, attempt.start, runs)
        self._add(row, "run", attempt, runs, attempt.end)

    def ended(self, end: FileEnd) -> None:
        row = self._open.get(end.file)
        if row is None:
            if end.status not in ("done", "failed"):
                return  # it was merely made ready
            row = self._row(end.file, end.start)
        row.start = min(row.start, end.start)
        row.end, row.status, row.verified = end.end, end.status, end.verified
        if end.status == PARKED:
            return
        del self._open[end.file]
        self._number += 1
        entry = (row.end - row.start, -self._number, row)
        if len(self._ended) < self._max_longest:
            heapq.heappush(self._ended, entry)
        else:
            heapq.heappushpop(self._ended, entry)

    @property
    def unfinished(self) -> int:
        """Files that were begun and have no end."""
        return len(self._open)

    def longest(self) -> list[Row]:
        """The files whose jobs took longest from begin to end, the longest first."""
        return [row for _, _, row in sorted(self._ended, reverse=True)]

    def _row(self, file: str, start: float) -> Row:
        row = self._open.get(file)
        if row is None:
            row = self._open[file] = self._known(file) or Row(file, start)
            if self.rows is not None:
                self.rows[file] = row
                if len(self.rows) > self._max_rows:
                    self._give_up_rows()
        elif row.status == PARKED:
            self._span(row, Span("parked", "", row.end, max(start, row.end)))
            row.status = ""
        return row

    def _known(self, file: str) -> Row | None:
        return None if self.rows is None else self.rows.get(file)

    def _give_up_rows(self) -> None:
        assert self.rows is not None
        for row in self.rows.values():
            row.spans.clear()
        self.rows = None

    def _add(self, row: Row, state: State, attempt: Attempt, start: float, end: float) -> None:
        if end > start:
            self._span(row, Span(state, attempt.stage, start, end, attempt))

    def _span(self, row: Row, span: Span) -> None:
        stage = span.stage if span.state == "run" else ""
        self._buckets.add(("files", span.state, stage), span.start, span.end)
        if self.rows is not None:
            row.spans.append(span)
