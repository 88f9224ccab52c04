"""How long the rest will take: pure arithmetic on what this run has measured.

Work is counted in seconds of audio, since that is what recognition time follows. A file whose
length nobody knows yet is counted by its size, scaled by the seconds of audio per byte of the files
whose length is known; while no length is known at all, bytes serve as the measure throughout.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

_ENOUGH = 0.1
"""Share of a file that must be done before its own pace says anything about its rest."""


@dataclass(slots=True)
class Amount:
    """Work as a sum over files: seconds of audio, and bytes of the files of unknown length."""

    audio_seconds: float = 0.0
    other_bytes: int = 0

    def add(self, audio_seconds: float | None, size_bytes: int) -> None:
        if audio_seconds is None:
            self.other_bytes += size_bytes
        else:
            self.audio_seconds += audio_seconds

    def remove(self, audio_seconds: float | None, size_bytes: int) -> None:
        if audio_seconds is None:
            self.other_bytes -= size_bytes
        else:
            self.audio_seconds -= audio_seconds

    def scaled(self, seconds_per_byte: float) -> float:
        """Seconds of audio, measured or by size."""
        return self.audio_seconds + self.other_bytes * seconds_per_byte


@dataclass(frozen=True, slots=True)
class InProgress:
    """A file being worked on: its ``amount`` in seconds of audio (or scaled bytes), the share of
    it that is done (0 to 1), and the seconds spent on it."""

    amount: float
    share: float
    elapsed: float


def share_done(
    planned: Sequence[str], stage: str, stage_share: float, seconds_of: Mapping[str, float]
) -> float:
    """Share of a file's work that is done (0 to 1), ``stage_share`` of ``stage`` included.

    A stage weighs what it took on average in this run (``seconds_of``); one that was not measured
    yet weighs as much as the average measured one. Before the plan is known nothing is done.
    """
    if stage not in planned:
        return 0.0
    unmeasured = _mean(seconds_of.values()) or 1.0
    weights = [seconds_of.get(name, unmeasured) for name in planned]
    whole = sum(weights)
    if whole <= 0.0:
        return 0.0
    place = planned.index(stage)
    return (sum(weights[:place]) + weights[place] * min(1.0, max(0.0, stage_share))) / whole


def estimate(
    *, finished: float, queued: float, in_progress: Sequence[InProgress], elapsed: float
) -> float | None:
    """Seconds until everything queued is done, or None while nothing has been measured.

    ``finished`` and ``queued`` are amounts like those of ``in_progress``; ``elapsed`` are the
    seconds since the first file was started. The rest goes on at the pace so far, but no sooner
    than the slowest file in progress ends at its own pace (the last film has one worker, not all).
    """
    rest = queued + sum(one.amount * (1.0 - one.share) for one in in_progress)
    if rest <= 0.0:
        return 0.0
    behind = finished + sum(one.amount * one.share for one in in_progress)
    if behind <= 0.0 or elapsed <= 0.0:
        return None
    own = (
        one.elapsed * (1.0 - one.share) / one.share for one in in_progress if one.share >= _ENOUGH
    )
    return max(rest * elapsed / behind, *own, 0.0)


def _mean(values: Iterable[float]) -> float:
    known = list(values)
    return sum(known) / len(known) if known else 0.0
