"""What a stage can say while it works, and how it learns that it should stop."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable

from orchestrator.contract.channel import Sender
from orchestrator.contract.exchange import StageWarning
from orchestrator.contract.messages import Heartbeat, Metric, Progress, Warning

PROGRESS_SECONDS = 0.2
HEARTBEAT_SECONDS = 5.0


class Cancelled(Exception):
    """The job asked this attempt to stop."""


class Report:
    """Handed to ``run(request, model, report)``. Safe to use from any thread."""

    def __init__(
        self, sender: Sender, stage: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._sender = sender
        self._stage = stage
        self._clock = clock
        self._last_progress = float("-inf")
        self._cancelled = threading.Event()
        self.warnings: list[StageWarning] = []
        self.metrics: dict[str, float] = {}

    def progress(self, done: float, total: float | None = None, unit: str = "s") -> None:
        """Say how far the work is; call it as often as is convenient, it is sent 5 times a second.

        A stage that calls it neither nor ends within its ``stall_seconds`` is taken for stuck.
        """
        now = self._clock()
        complete = total is not None and done >= total
        if not complete and now - self._last_progress < PROGRESS_SECONDS:
            return
        self._last_progress = now
        self._sender.send(Progress(self._stage, round(done, 3), total, unit))

    def warning(self, code: str, message: str) -> None:
        """Tell the user something that did not stop the work; it ends up in the report."""
        self.warnings.append(StageWarning(code, message))
        self._sender.send(Warning(self._stage, code, message))

    def metric(self, name: str, value: float, unit: str = "") -> None:
        """Record a figure in the manifest."""
        self.metrics[name] = value
        self._sender.send(Metric(self._stage, name, value, unit))

    def check_cancelled(self) -> None:
        """Call it between pieces of work. Raises: Cancelled."""
        if self._cancelled.is_set():
            raise Cancelled

    def cancel(self) -> None:
        self._cancelled.set()

    def beat(self) -> None:
        with contextlib.suppress(OSError):  # the next one may be heard
            self._sender.send(Heartbeat(self._stage))
