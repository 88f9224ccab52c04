"""Counts a run as it happens, and writes ``summary.json`` at its end.

Memory hardly grows with the library: a file that was done before is one increment, any other ends
up as compressed text. So the summary is written piece by piece and never whole in memory.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from batch import events
from batch.summary.causes import Causes
from batch.summary.model import Error, Overview, Setting, StageTime, Totals
from batch.summary.spool import Spool
from batch.view.words import utc_now, utc_stamp
from orchestrator.contract.atomic import fsync_file, fsync_folder, temporary_name
from orchestrator.contract.errors import ErrorInfo

_NOT_LISTED = "already_done"
_EXECUTED = frozenset({"ran", "failed"})


class SummaryBuilder:
    """An observer. ``clock`` counts seconds, ``now`` tells the time for the stamps."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._clock = clock
        self._now = now
        self._run = events.RunStarted("", "", "", 0, False)
        self._began = clock()
        self._started = utc_stamp(now())
        self._ended: tuple[float, str, events.RunFinished] | None = None
        self._media = 0
        self._queued = 0
        self._failed_earlier = 0
        self._quarantined = 0
        self._partial = 0
        self._unverifiable = 0
        self._statuses: Counter[str] = Counter()
        self._skipped: Counter[str] = Counter()
        self._audio_seconds = 0.0
        self._throttled_seconds = 0.0
        self._throttled_since: float | None = None
        self._stages: dict[str, tuple[float, int]] = {}
        self._failures = Causes()
        self._warnings = Causes()
        self._files = Spool()
        self._skips = Spool()
        self._handlers: dict[type[events.Event], Callable[[Any], None]] = {
            events.RunStarted: self._run_started,
            events.Discovered: self._discovered,
            events.Queued: self._file_queued,
            events.Skipped: self._file_skipped,
            events.FileFinished: self._file_finished,
            events.Throttled: self._throttle_began,
            events.ThrottleEnded: self._throttle_ended,
            events.RunFinished: self._run_finished,
        }

    def handle(self, event: events.Event) -> None:
        handler = self._handlers.get(type(event))
        if handler is not None:
            handler(event)

    def overview(self) -> Overview:
        """The run so far, or as it was when it ended."""
        at, finished, last = self._ended or (self._clock(), None, None)
        wall = at - self._began
        held = at - self._throttled_since if self._throttled_since is not None else 0.0
        return Overview(
            run_id=self._run.run_id,
            dry_run=self._run.dry_run,
            input_dir=self._run.input_dir,
            work_dir=self._run.work_dir,
            started=self._started,
            finished=finished,
            exit_code=None if last is None else last.exit_code,
            error=None if last is None or last.error is None else _error(last.error),
            settings=tuple(
                Setting(key=key, value=value, reason=reason)
                for key, value, reason in self._run.settings
            ),
            totals=Totals(
                media=self._media,
                queued=self._queued,
                done=self._statuses["done"],
                failed=self._statuses["failed"],
                failed_earlier=self._failed_earlier,
                quarantined=self._quarantined,
                not_begun=0 if last is None else last.not_begun,
                partial=self._partial,
                length_unverifiable=self._unverifiable,
                interrupted=self._statuses["interrupted"],
                skipped=dict(self._skipped),
            ),
            audio_seconds=round(self._audio_seconds, 3),
            wall_seconds=round(wall, 3),
            speed=round(self._audio_seconds / wall, 3) if wall > 0 else 0.0,
            throttled_seconds=round(self._throttled_seconds + held, 3),
            stages={
                name: StageTime(seconds=round(seconds, 3), count=count)
                for name, (seconds, count) in self._stages.items()
            },
            failures=self._failures.by_size(),
            warnings=self._warnings.by_size(),
        )

    def write(self, path: Path) -> None:
        """Write ``path`` whole or not at all, making its folder (0700) if need be.

        Raises:
            OSError: it could not be written; what was there before is unchanged.
        """
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = path.parent / temporary_name(path.name)
        try:
            with temporary.open("x", encoding="ascii", newline="\n") as file:
                file.writelines(self._pieces())
            fsync_file(temporary)
            temporary.replace(path)
            fsync_folder(path.parent)
        finally:
            with contextlib.suppress(FileNotFoundError):
                temporary.unlink()

    def _pieces(self) -> Iterator[str]:
        head = json.dumps(self.overview().model_dump(by_alias=True), indent=1)
        yield head.removesuffix("\n}")
        yield from _listed("files", self._files)
        yield from _listed("skipped", self._skips)
        yield "\n}\n"

    def _run_started(self, event: events.RunStarted) -> None:
        self._run = event
        self._began = self._clock()
        self._started = utc_stamp(self._now())

    def _discovered(self, event: events.Discovered) -> None:
        self._media = event.media

    def _file_queued(self, event: events.Queued) -> None:
        self._queued += 1

    def _file_skipped(self, event: events.Skipped) -> None:
        self._skipped[event.reason] += 1
        if event.reason != _NOT_LISTED:
            self._skips.add({"path": event.path, "reason": event.reason, "detail": event.detail})

    def _file_finished(self, event: events.FileFinished) -> None:
        if event.earlier:
            self._failed_earlier += 1
            self._quarantined += event.quarantined
        else:
            self._statuses[event.status] += 1
        if event.status == "done":
            self._audio_seconds += event.audio_seconds or 0.0
            self._partial += event.partial
            self._unverifiable += event.length_verified is False
        for stage in event.stages:
            if stage.status in _EXECUTED:
                seconds, count = self._stages.get(stage.name, (0.0, 0))
                self._stages[stage.name] = (seconds + stage.seconds, count + 1)
        if event.error is not None and event.status == "failed":
            error = event.error
            self._failures.add(error.code, error.hint, event.path, error.message)
        for warning in event.warnings:
            self._warnings.add(warning.code, "", event.path, warning.message)
        self._files.add(_file(event))

    def _throttle_began(self, event: events.Throttled) -> None:
        if self._throttled_since is None:
            self._throttled_since = self._clock()

    def _throttle_ended(self, event: events.ThrottleEnded) -> None:
        self._throttled_since = None
        self._throttled_seconds += event.held_seconds

    def _run_finished(self, event: events.RunFinished) -> None:
        self._ended = (self._clock(), utc_stamp(self._now()), event)


def _listed(key: str, records: Spool) -> Iterator[str]:
    """A JSON list under ``key``, one record a line."""
    yield f',\n "{key}": ['
    separator = "\n  "
    for record in records:
        yield separator + record
        separator = ",\n  "
    yield "\n ]"


def _error(error: ErrorInfo) -> Error:
    return Error.model_validate(error.to_json())


def _file(event: events.FileFinished) -> dict[str, Any]:
    """A :class:`~batch.summary.model.FileRecord` as JSON; models are too slow for each file."""
    return {
        "path": event.path,
        "status": event.status,
        "job_id": event.job_id,
        "job_folder": event.job_folder,
        "language": event.language,
        "audio_seconds": event.audio_seconds,
        "seconds": round(event.seconds, 3),
        "stages": [
            {
                "name": one.name,
                "status": one.status,
                "reason": one.reason,
                "seconds": round(one.seconds, 3),
                "device": one.device,
                "rung": one.rung_label,
                "tries": [{"rung": attempt.rung, "code": attempt.code} for attempt in one.tries],
            }
            for one in event.stages
        ],
        "published": [one.path for one in event.published],
        "warnings": [{"code": one.code, "message": one.message} for one in event.warnings],
        "error": None if event.error is None else event.error.to_json(),
        "earlier": event.earlier,
        "held": event.held,
        "length_verified": event.length_verified,
        "partial": event.partial,
        "lost_seconds": event.lost_seconds,
        "missing": event.missing,
    }
