"""The door that new files go through: closed while the machine is busy, shut for good on a stop."""

from __future__ import annotations

from collections.abc import Callable

import trio

from batch.admission import Hold, Load, Thresholds, next_hold
from batch.events import Event, LoadSampled, Throttled, ThrottleEnded

SAMPLE_SECONDS = 1.0
FIRST_SAMPLE_SECONDS = 0.25
"""The first file waits for a sample over at least this time, so that it is held back as well."""

PATIENCE_SECONDS = 300.0
"""How long busy programs can hold back one file."""


class Gate:
    """``watch`` samples the load and opens or closes; ``wait_open`` lets one new file through."""

    def __init__(
        self,
        limits: Thresholds,
        sample: Callable[[], Load],
        emit: Callable[[Event], None],
    ) -> None:
        self._limits = limits
        self._sample = sample
        self._emit = emit
        self._hold: Hold | None = None
        self._open = trio.Event()

    async def watch(self) -> None:
        """Sample for ever; run it in a nursery."""
        await trio.sleep(FIRST_SAMPLE_SECONDS)
        while True:
            # A probe of the machine may hang in a driver; then the last state stands.
            load = await trio.to_thread.run_sync(self._sample, abandon_on_cancel=True)
            self.note(load)
            await trio.sleep(SAMPLE_SECONDS)

    def note(self, load: Load) -> None:
        """Take up one sample."""
        self._emit(LoadSampled(load.cpu, load.memory, load.gpu, load.vram))
        before, self._hold = self._hold, next_hold(self._hold, load, self._limits)
        if self._hold is None:
            self._open.set()
            if before is not None:
                self._emit(ThrottleEnded(load.at - before.since))
        else:
            if self._open.is_set():
                self._open = trio.Event()
            if before is None or before.cause != self._hold.cause:
                self._emit(Throttled(self._hold.reason))

    async def wait_open(self) -> None:
        """Return when a new file may start.

        While other programs keep the CPU busy for hours, a file gets through all the same every
        :data:`PATIENCE_SECONDS`: slow progress is worth more than a night without any. Full memory
        lets nothing through.
        """
        while not self._open.is_set():
            with trio.move_on_after(PATIENCE_SECONDS):
                await self._open.wait()
                continue
            if self._hold is not None and self._hold.cause == "cpu":
                return
