"""Where each decoded frame belongs on one straight line of time."""

from __future__ import annotations

from typing import NamedTuple

TOLERANCE = 0.05
"""Seconds by which a time stamp may be off before it means something.

Containers round time stamps to as much as 1 ms and some writers let them wander by a frame (20 to
40 ms); what a viewer notices begins at about 50 ms.
"""
LONGEST_OVERLAP = 0.5
"""Time that runs back by more than this many seconds is a new beginning, not an overlap."""
LONGEST_JUMP = 10.0
"""In a transport stream, a jump by more than this many seconds is a cut (FFmpeg: the same)."""
LONGEST_GAP = 6 * 3600.0
"""No file has a longer silence; a time stamp that claims one is damaged."""


class Placement(NamedTuple):
    """``time``: seconds at which the frame belongs. ``fresh``: it does not follow on the last."""

    time: float
    fresh: bool


class Timeline:
    """Keeps audio time linear: gaps stay gaps, cuts are closed, jitter is ignored.

    Attributes:
        gaps: start and end, in media time, of what has no audio and so becomes silence.
        cuts: media times at which the source's clock jumped; what follows was moved to join on.
    """

    def __init__(self, *, may_be_cut: bool) -> None:
        """``may_be_cut``: the container is one whose clock may jump (a transport stream)."""
        self._longest = LONGEST_JUMP if may_be_cut else LONGEST_GAP
        self._shift = 0.0
        self._origin: float | None = None
        self._length = 0.0
        self.gaps: list[tuple[float, float]] = []
        self.cuts: list[float] = []

    def place(self, time: float | None, seconds: float) -> Placement:
        """Place a frame of ``seconds`` stamped ``time``; one without a stamp follows the last."""
        if self._origin is None:
            return self._begin(0.0 if time is None else time, seconds)
        expected = self._origin + self._length
        late = 0.0 if time is None else time + self._shift - expected
        if abs(late) <= TOLERANCE:
            self._length += seconds
            return Placement(expected, False)
        if late < -LONGEST_OVERLAP or late > self._longest:
            self._shift -= late
            self.cuts.append(expected)
            self._length += seconds
            return Placement(expected, False)
        if late > 0:
            self.gaps.append((expected, expected + late))
        return self._begin(expected + late, seconds)

    def _begin(self, time: float, seconds: float) -> Placement:
        self._origin, self._length = time, seconds
        return Placement(time, True)
