"""The door that new files go through: closed while the machine is busy, shut for good on a stop."""

from __future__ import annotations

from collections.abc import Callable

import trio

from batch.admission import Hold, Load, Thresholds, next_hold
from batch.events import Event, LoadSampled, Throttled, ThrottleEnded
from batch.leases import Measured

SAMPLE_SECONDS = 1.0
FIRST_SAMPLE_SECONDS = 0.25
"""The first file waits for a sample over at least this time, so that it is held back as well."""

PATIENCE_SECONDS = 300.0
"""How long busy programs can hold back one file."""

MEASURING = "the machine's load is being measured"


class Gate:
    """``watch`` samples the load and opens or closes; ``holding`` says how it stands.

    The first sample is taken after ``first_after`` seconds.
    """

    def __init__(
        self,
        limits: Thresholds,
        sample: Callable[[], Load],
        emit: Callable[[Event], None],
        changed: Callable[[], None] = lambda: None,
        on_sample: Callable[[Load], None] = lambda load: None,
        clock: Callable[[], float] = trio.current_time,
        first_after: float = FIRST_SAMPLE_SECONDS,
    ) -> None:
        self._limits = limits
        self._sample = sample
        self._emit = emit
        self._changed = changed
        self._on_sample = on_sample
        self._clock = clock
        self._first_after = first_after
        self._hold: Hold | None = None
        self._sampled = False
        self.measured: Measured | None = None
        """What was free at the last sample."""
        self._patient_until: float | None = None
        self._shut = ""
        self._shut_since = 0.0

    async def watch(self) -> None:
        """Sample for ever; run it in a nursery.

        The last state stands while a probe of the machine hangs in a driver, or fails.

        Raises: OSError (the first one failed: there is no state).
        """
        await trio.sleep(self._first_after)
        while True:
            try:
                load = await trio.to_thread.run_sync(self._sample, abandon_on_cancel=True)
            except OSError:
                if not self._sampled:
                    raise
            else:
                self.note(load)
            await trio.sleep(SAMPLE_SECONDS)

    def note(self, load: Load) -> None:
        """Take up one sample."""
        self.measured = load.measured
        self._on_sample(load)
        self._emit(LoadSampled(load.cpu, load.memory, load.gpu, load.vram))
        before, self._hold = self._hold, next_hold(self._hold, load, self._limits)
        was_open, self._sampled = self._sampled and before is None, True
        if self._hold is None:
            self._patient_until = None
            if before is not None:
                self._say(ThrottleEnded(load.at - before.since))
        elif before is None or before.cause != self._hold.cause:
            patient = self._hold.cause == "cpu"
            self._patient_until = self._clock() + PATIENCE_SECONDS if patient else None
            self._say(Throttled(self._hold.reason))
        if was_open != (self._hold is None):
            self._changed()

    def shut(self, reason: str) -> None:
        """Let nothing through for this reason, whatever the load is, until ``reason`` is ""."""
        if reason and not self._shut:
            self._shut, self._shut_since = reason, self._clock()
            self._emit(Throttled(reason))
        elif self._shut and not reason:
            self._shut = ""
            self._emit(ThrottleEnded(self._clock() - self._shut_since))
            if self._hold is not None:
                self._emit(Throttled(self._hold.reason))
        self._changed()

    def _say(self, event: Event) -> None:
        """The load is no news while the door is shut for another reason."""
        if not self._shut:
            self._emit(event)

    def holding(self, now: float) -> str:
        """Why nothing new may start at ``now``, in words; empty: it may.

        While other programs keep the CPU busy for hours, a file gets through all the same every
        :data:`PATIENCE_SECONDS`: slow progress is worth more than a night without any. Full memory
        lets nothing through.
        """
        if self._shut:
            return self._shut
        if self._hold is None:
            return "" if self._sampled else MEASURING
        if self._patient_until is not None and now >= self._patient_until:
            return ""
        return self._hold.reason

    @property
    def is_patient(self) -> bool:
        """Whether what :meth:`holding` lets through now is the one file of a busy while."""
        return self._hold is not None and not self._shut

    def lets_one_through(self, now: float) -> bool:
        """Whether it is time for that one file."""
        return self.is_patient and not self.holding(now)

    def passed(self, now: float) -> None:
        """The one file has been let through; the next one waits again."""
        self._patient_until = now + PATIENCE_SECONDS
