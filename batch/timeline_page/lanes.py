"""Rows of what ran where: one for each worker, and for each place where processes of their own ran.

A worker that has ended leaves its row to the next one of its stage. Attempts in processes of their
own are packed into as few rows as can hold them. Bars of a row never overlap.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from itertools import count
from typing import Literal, NamedTuple

from batch.timeline_page.buckets import Buckets
from batch.timeline_page.record import Attempt, WorkerEvent
from batch.workers import LAUNCHED, READY

MAX_LANES = 64
MAX_BARS = 3000
"""With more bars than this the rows show how busy they were, not what they did."""

_REMEMBERED = 500
"""Workers that have ended and may still be named by an attempt that is written down late."""

Phase = Literal["alive", "load", "run"]


class Bar(NamedTuple):
    """``attempt`` None: a worker that loads, or lives."""

    phase: Phase
    stage: str
    start: float
    end: float
    attempt: Attempt | None = None


@dataclass(slots=True)
class Lane:
    """``stage`` "": processes of their own, of any stage. ``full_until``: its last bar ends there.

    ``stages`` are those that were seen in it.
    """

    number: int
    stage: str
    device: str
    full_until: float = 0.0
    taken: bool = False
    bars: list[Bar] = field(default_factory=list)
    stages: dict[str, None] = field(default_factory=dict)


@dataclass(slots=True)
class _Life:
    lane: Lane
    launched: float
    ready: bool = False
    ended: float | None = None


class Lanes:
    """``exact`` tells whether the lanes have their bars; otherwise only ``buckets`` has them.

    Its keys are ``("lane", number, phase, stage)``. ``hidden`` attempts found no row.
    """

    def __init__(
        self, buckets: Buckets, max_lanes: int = MAX_LANES, max_bars: int = MAX_BARS
    ) -> None:
        self.exact = True
        self.hidden = 0
        self._buckets = buckets
        self._lanes: list[Lane] = []
        self._max_lanes = max_lanes
        self._bars_left = max_bars
        self._lives: OrderedDict[str, _Life] = OrderedDict()

    def worker(self, event: WorkerEvent) -> None:
        if event.what == LAUNCHED:
            lane = self._lane(event.stage, event.device, event.at)
            if lane is not None:
                lane.taken = True
                self._lives[event.id] = _Life(lane, event.at)
            return
        life = self._lives.get(event.id)
        if life is None or life.ended is not None:
            return
        if not life.ready:
            self._add(life.lane, Bar("load", event.stage, life.launched, event.at))
        life.ready = True
        if event.what != READY:
            self._end(life, event.id, event.at)

    def attempt(self, attempt: Attempt) -> None:
        """In the order in which attempts ended."""
        life = self._lives.get(attempt.worker) if attempt.worker is not None else None
        lane = self._lane("", attempt.device, attempt.start) if life is None else life.lane
        if lane is None:
            self.hidden += 1
            return
        # The next attempt has leave to run before the job of the last one has said goodbye.
        start = max(attempt.start, lane.full_until)
        end = attempt.end if life is None or life.ended is None else min(attempt.end, life.ended)
        runs = min(end, max(start, attempt.runs_from))
        if runs > start:
            self._add(lane, Bar("load", attempt.stage, start, runs, attempt))
        if end > runs:
            self._add(lane, Bar("run", attempt.stage, runs, end, attempt))

    def finish(self, end: float) -> list[Lane]:
        """All lanes, as they are shown: GPUs first, workers before processes of their own."""
        for life in self._lives.values():
            if life.ended is None:
                if not life.ready:
                    self._add(life.lane, Bar("load", life.lane.stage, life.launched, end))
                self._alive(life, end)
        order: dict[str, int] = {}
        numbers = count()
        for lane in self._lanes:
            order.setdefault(lane.stage, next(numbers))
        return sorted(
            self._lanes,
            key=lambda one: (one.device == "cpu", one.device, not one.stage, order[one.stage]),
        )

    def _lane(self, stage: str, device: str, start: float) -> Lane | None:
        """The free row that was used last, or a new one."""
        free = [
            lane
            for lane in self._lanes
            if not lane.taken
            and lane.stage == stage
            and lane.device == device
            and lane.full_until <= start
        ]
        if free:
            return max(free, key=lambda lane: lane.full_until)
        if len(self._lanes) == self._max_lanes:
            return None
        self._lanes.append(Lane(len(self._lanes), stage, device))
        return self._lanes[-1]

    def _end(self, life: _Life, worker: str, at: float) -> None:
        life.ended = at
        life.lane.taken = False
        life.lane.full_until = max(life.lane.full_until, at)
        self._alive(life, at)
        self._lives.move_to_end(worker)
        oldest, first = next(iter(self._lives.items()))
        if len(self._lives) > _REMEMBERED and first.ended is not None:
            del self._lives[oldest]

    def _alive(self, life: _Life, end: float) -> None:
        self._add(life.lane, Bar("alive", life.lane.stage, life.launched, end))

    def _add(self, lane: Lane, bar: Bar) -> None:
        self._buckets.add(("lane", lane.number, bar.phase, bar.stage), bar.start, bar.end)
        lane.stages.setdefault(bar.stage)
        if bar.phase != "alive":
            lane.full_until = max(lane.full_until, bar.end)
        if not self.exact:
            return
        lane.bars.append(bar)
        self._bars_left -= 1
        if self._bars_left < 0:
            self.exact = False
            for one in self._lanes:
                one.bars.clear()
