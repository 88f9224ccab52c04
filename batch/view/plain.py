"""The view for pipes, files and dumb terminals: one line per thing, no control characters."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

from batch import events
from batch.view.safe_text import safe_text
from batch.view.sentences import describe
from batch.view.stream import PASSING, LineStream, LineView

PROGRESS_SECONDS = 30.0
"""A file in progress is mentioned at most this often."""

_LEFT_OUT = (events.AllDecided, events.Queued, events.StagesPlanned, events.LoadSampled)
"""What a person does not read as it happens; the log has it."""


class PlainView(LineView):
    """``clock`` counts seconds, ``now`` tells the local time for the stamps."""

    def __init__(
        self,
        lines: LineStream,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = datetime.now,
    ) -> None:
        self._lines = lines
        self._clock = clock
        self._now = now
        self._mentioned: dict[str, float] = {}

    def handle(self, event: events.Event) -> None:
        if isinstance(event, _LEFT_OUT):
            return
        if isinstance(event, events.Skipped) and event.reason == "already_done":
            return
        if isinstance(event, events.StageProgress) and not self._due(event.path):
            return
        if isinstance(event, events.FileStarted):
            self._mentioned[event.path] = self._clock()
        elif isinstance(event, events.FileFinished | events.FileParked):
            self._mentioned.pop(event.path, None)
        stamp = self._now().strftime("%Y-%m-%d %H:%M:%S")
        words = safe_text(describe(event), encoding=self._lines.encoding)
        self._lines.line(f"{stamp} {words}", passing=isinstance(event, PASSING))

    def _due(self, path: str) -> bool:
        now = self._clock()
        last = self._mentioned.get(path)
        if last is not None and now - last < PROGRESS_SECONDS:
            return False
        self._mentioned[path] = now
        return True
