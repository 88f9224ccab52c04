"""Where each decoded frame belongs on one straight line of time."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from .witness import Witness

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
        joined: those of the gaps on both sides of which packets are neighbours in the file.
        cuts: media times at which the source's clock jumped; what follows was moved to join on.
        earliest: the smallest time stamp; less than the first one where the clock jumped back.
    """

    def __init__(self, *, may_be_cut: bool, end: float | None = None) -> None:
        """``may_be_cut``: the container is one whose clock may jump (a transport stream).

        ``end``: media time at which the file says it ends; a jump past it is not believed.
        """
        self._longest = LONGEST_JUMP if may_be_cut else LONGEST_GAP
        self._end = float("inf") if end is None else end + LONGEST_JUMP
        self._shift = 0.0
        self._origin: float | None = None
        self._length = 0.0
        self.gaps: list[tuple[float, float]] = []
        self.joined: list[tuple[float, float]] = []
        self.cuts: list[float] = []
        self.earliest = float("inf")

    def place(
        self, time: float | None, seconds: float, *, torn: bool = False, joined: bool = False
    ) -> Placement:
        """Place a frame of ``seconds`` stamped ``time``; one without a stamp follows the last.

        Args:
            torn: there was damage just before it, so a long jump is a hole and no cut.
            joined: its packet and the last are neighbours in the file.
        """
        if time is not None:
            self.earliest = min(self.earliest, time)
        if self._origin is None:
            return self._begin(0.0 if time is None else time, seconds)
        expected = self._origin + self._length
        late = 0.0 if time is None else time + self._shift - expected
        if abs(late) <= TOLERANCE:
            self._length += seconds
            return Placement(expected, False)
        longest = LONGEST_GAP if torn else self._longest
        if late < -LONGEST_OVERLAP or late > longest or expected + late > self._end:
            self._shift -= late
            self.cuts.append(expected)
            self._length += seconds
            return Placement(expected, False)
        if late > 0:
            self.gaps.append((expected, expected + late))
            self.joined += self.gaps[-1:] if joined else ()
        return self._begin(expected + late, seconds)

    def _begin(self, time: float, seconds: float) -> Placement:
        self._origin, self._length = time, seconds
        return Placement(time, True)


def pauses(
    gaps: Sequence[tuple[float, float]],
    damaged: Sequence[float],
    *,
    indexed: bool,
    witness: Witness,
    joined: Collection[tuple[float, float]] = (),
) -> list[tuple[float, float]]:
    """Those gaps that the maker of the file meant.

    Nothing in them was damaged (``damaged``: times of packets that could not be decoded), and
    either the index of the file has nothing there, or the pictures go on, or the packets on both
    sides are neighbours in a whole file (``joined``), as where a microphone was muted.
    """
    return [
        (start, end)
        for start, end in gaps
        if not any(start - LONGEST_OVERLAP <= time <= end + LONGEST_OVERLAP for time in damaged)
        and (indexed or (start, end) in joined or witness.covers(start, end))
    ]
