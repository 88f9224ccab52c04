"""What is known about the run right now: cheap to change with each event, copied out to draw.

A file that is waiting costs one dictionary entry, a finished or skipped one a counter, so that
100,000 of them neither slow the run down nor fill the memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from batch import events
from batch.view.eta import Amount, InProgress, estimate, share_done


@dataclass(frozen=True, slots=True)
class FileLine:
    """One file in progress. ``share`` (0 to 1) is that of the stage; None: not known."""

    path: str
    stage: str
    share: float | None
    elapsed: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that a frame of the live view shows. Times in seconds.

    ``media`` is None until discovery has ended. ``audio_total`` is None while no length is known,
    and partly estimated from sizes when ``audio_estimated``. ``eta`` covers the ``queued`` files.
    ``throttled`` holds the reason and how long it has lasted, ``draining`` the reason and how long
    the files in progress still have.
    """

    elapsed: float = 0.0
    media: int | None = None
    checked: int = 0
    queued: int = 0
    done: int = 0
    failed: int = 0
    interrupted: int = 0
    skipped: int = 0
    already_done: int = 0
    audio_done: float = 0.0
    audio_total: float | None = None
    audio_estimated: bool = False
    speed: float | None = None
    eta: float | None = None
    files: tuple[FileLine, ...] = ()
    load: events.LoadSampled | None = None
    throttled: tuple[str, float] | None = None
    draining: tuple[str, float] | None = None


@dataclass(slots=True)
class _Active:
    started: float
    size_bytes: int
    audio_seconds: float | None
    stages: tuple[str, ...] = ()
    stage: str = ""
    stage_share: float | None = None


@dataclass(slots=True)
class _Counts:
    media: int | None = None
    queued: int = 0
    finished: Counter[str] = field(default_factory=Counter)
    failed_earlier: int = 0
    skipped: int = 0
    already_done: int = 0
    decided: bool = False

    def checked(self) -> int:
        """Files of which it is known what becomes of them; all of them once that is told."""
        if self.decided and self.media is not None:
            return self.media
        return self.queued + self.skipped + self.failed_earlier


class Board:
    """Takes every event (an :class:`~batch.events.Observer`); ``clock`` counts seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._began = clock()
        self._first_file: float | None = None
        self._counts = _Counts()
        self._waiting_sizes: dict[str, int] = {}
        self._waiting_lengths: dict[str, float] = {}
        self._active: dict[str, _Active] = {}
        self._queued = Amount()
        self._finished = Amount()
        self._expected: dict[str, float] = {}
        self._unexpected = False
        self._workers = 1
        self._known_seconds = 0.0
        self._known_bytes = 0
        self._stage_times: dict[str, tuple[float, int]] = {}
        self._load: events.LoadSampled | None = None
        self._throttled: tuple[str, float] | None = None
        self._draining: tuple[str, float] | None = None
        self._handlers: dict[type[events.Event], Callable[[Any], None]] = {
            events.RunStarted: self._run_started,
            events.Discovered: self._discovered,
            events.AllDecided: self._all_decided,
            events.Queued: self._file_queued,
            events.Skipped: self._file_skipped,
            events.FileStarted: self._file_started,
            events.FileParked: self._file_parked,
            events.StagesPlanned: self._stages_planned,
            events.StageProgress: self._stage_progress,
            events.FileFinished: self._file_finished,
            events.LoadSampled: self._load_sampled,
            events.Throttled: self._throttle_began,
            events.ThrottleEnded: self._throttle_ended,
            events.Draining: self._drain_began,
        }

    def handle(self, event: events.Event) -> None:
        handler = self._handlers.get(type(event))
        if handler is not None:
            handler(event)

    def snapshot(self) -> Snapshot:
        now = self._clock()
        counts = self._counts
        known = self._known_seconds > 0.0 and self._known_bytes > 0
        per_byte = self._known_seconds / self._known_bytes if known else 1.0
        means = {name: total / count for name, (total, count) in self._stage_times.items()}
        work = [_in_progress(one, per_byte, means, now) for one in self._active.values()]
        finished = self._finished.scaled(per_byte)
        queued = self._queued.scaled(per_byte)
        busy = now - self._first_file if self._first_file is not None else 0.0
        audio_done = finished + sum(one.amount * one.share for one in work) if known else 0.0
        return Snapshot(
            elapsed=now - self._began,
            media=counts.media,
            checked=counts.checked(),
            queued=counts.queued,
            done=counts.finished["done"],
            failed=counts.finished["failed"],
            interrupted=counts.finished["interrupted"],
            skipped=counts.skipped,
            already_done=counts.already_done,
            audio_done=audio_done,
            audio_total=finished + queued + sum(one.amount for one in work) if known else None,
            audio_estimated=self._queued.other_bytes > 0,
            speed=audio_done / busy if audio_done > 0.0 and busy > 0.0 else None,
            eta=self._eta(finished, queued, work, busy),
            files=tuple(
                FileLine(path, one.stage, one.stage_share, now - one.started)
                for path, one in self._active.items()
            ),
            load=self._load,
            throttled=self._throttled and (self._throttled[0], now - self._throttled[1]),
            draining=self._draining and (self._draining[0], max(0.0, self._draining[1] - now)),
        )

    def _eta(
        self, finished: float, queued: float, work: Sequence[InProgress], busy: float
    ) -> float | None:
        """By the pace of this run; before there is one, by what such files took before."""
        pace = estimate(finished=finished, queued=queued, in_progress=work, elapsed=busy)
        if pace is not None or self._unexpected or not self._expected:
            return pace
        return max(0.0, sum(self._expected.values()) / self._workers - busy)

    def _run_started(self, event: events.RunStarted) -> None:
        self._began = self._clock()
        self._workers = max(1, event.max_workers)

    def _discovered(self, event: events.Discovered) -> None:
        self._counts.media = event.media

    def _all_decided(self, _event: events.AllDecided) -> None:
        self._counts.decided = True

    def _file_queued(self, event: events.Queued) -> None:
        self._counts.queued += 1
        if event.expected_seconds is None:
            self._unexpected = True
        elif not self._unexpected:
            self._expected[event.path] = event.expected_seconds
        self._waiting_sizes[event.path] = event.size_bytes
        if event.audio_seconds is not None:
            self._waiting_lengths[event.path] = event.audio_seconds
            self._learn(event.audio_seconds, event.size_bytes)
        self._queued.add(event.audio_seconds, event.size_bytes)

    def _file_skipped(self, event: events.Skipped) -> None:
        self._counts.skipped += 1
        if event.reason == "already_done":
            self._counts.already_done += 1
        elif event.path in self._waiting_sizes:  # found out only when its turn came
            self._take_waiting(event.path)
            self._counts.queued -= 1

    def _file_started(self, event: events.FileStarted) -> None:
        now = self._clock()
        if self._first_file is None:
            self._first_file = now
        self._active[event.path] = _Active(now, *self._take_waiting(event.path))

    def _file_parked(self, event: events.FileParked) -> None:
        """It waits again; what was done of it counts when it goes on."""
        active = self._active.pop(event.path, None)
        if active is None:
            return
        self._waiting_sizes[event.path] = active.size_bytes
        if active.audio_seconds is not None:
            self._waiting_lengths[event.path] = active.audio_seconds
        self._queued.add(active.audio_seconds, active.size_bytes)

    def _take_waiting(self, path: str) -> tuple[int, float | None]:
        size = self._waiting_sizes.pop(path, None)
        length = self._waiting_lengths.pop(path, None)
        if size is None:
            return 0, length
        self._queued.remove(length, size)
        return size, length

    def _stages_planned(self, event: events.StagesPlanned) -> None:
        if (active := self._active.get(event.path)) is not None:
            active.stages = event.stages
            active.stage = event.stages[0] if event.stages else ""
            active.stage_share = None

    def _stage_progress(self, event: events.StageProgress) -> None:
        if (active := self._active.get(event.path)) is not None:
            active.stage = event.stage
            active.stage_share = min(1.0, event.done / event.total) if event.total else None

    def _file_finished(self, event: events.FileFinished) -> None:
        active = self._active.pop(event.path, None)
        size, length = (
            self._take_waiting(event.path)
            if active is None
            else (active.size_bytes, active.audio_seconds)
        )
        if event.earlier:
            self._counts.failed_earlier += 1
            return
        self._expected.clear()  # from here on there is a pace
        self._unexpected = True
        self._counts.finished[event.status] += 1
        for stage in event.stages:
            if stage.status == "ran":
                total, count = self._stage_times.get(stage.name, (0.0, 0))
                self._stage_times[stage.name] = (total + stage.seconds, count + 1)
        if event.audio_seconds is not None and length is None:
            self._learn(event.audio_seconds, size)
        if event.status == "done":
            measured = length if event.audio_seconds is None else event.audio_seconds
            self._finished.add(measured, size)

    def _learn(self, audio_seconds: float, size_bytes: int) -> None:
        self._known_seconds += audio_seconds
        self._known_bytes += size_bytes

    def _load_sampled(self, event: events.LoadSampled) -> None:
        self._load = event

    def _throttle_began(self, event: events.Throttled) -> None:
        since = self._throttled[1] if self._throttled else self._clock()
        self._throttled = (event.reason, since)

    def _throttle_ended(self, event: events.ThrottleEnded) -> None:
        self._throttled = None

    def _drain_began(self, event: events.Draining) -> None:
        self._draining = (event.reason, self._clock() + event.deadline_seconds)


def _in_progress(
    one: _Active, seconds_per_byte: float, means: Mapping[str, float], now: float
) -> InProgress:
    length = one.audio_seconds
    return InProgress(
        amount=one.size_bytes * seconds_per_byte if length is None else length,
        share=share_done(one.stages, one.stage, one.stage_share or 0.0, means),
        elapsed=now - one.started,
    )
