"""What the other tracks of a file tell about the sound.

A file that lost bytes, or its end, lost those of all its tracks.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from itertools import pairwise
from typing import Any

_LONGEST_PAUSE = 0.5
"""Seconds: pictures that go on are never further apart."""
_AFTER = 1.5
"""Seconds for which pictures that follow the last sound show that the file was not cut off there.
Where it was, tracks end within less than a second of each other."""
_SAME = 1.0
"""Seconds by which the ends of a cue and of the file may differ: writers round them."""


_BETWEEN = range(-64, 97)
"""Bytes from the end of one packet of a Matroska file to the next, if that is all there is: the
heads of a block and a cluster, less what a writer strips from the frames of a block."""


class Witness:
    """When there were pictures and cues. All times are seconds of media time."""

    def __init__(self) -> None:
        self._pictures = array("d")
        self._in_order = True
        self._last_cue = (0.0, 0.0)

    def saw_picture(self, time: float) -> None:
        self._pictures.append(time)
        self._in_order = False

    def saw_cue(self, start: float, end: float) -> None:
        self._last_cue = max(self._last_cue, (start, end))

    def covers(self, start: float, end: float) -> bool:
        """Whether the pictures went on through that time without a hole that would explain it."""
        if not self._in_order:  # pictures come in the order in which they are decoded
            self._pictures = array("d", sorted(self._pictures))
            self._in_order = True
        first = bisect_right(self._pictures, start)
        inside = self._pictures[first : bisect_left(self._pictures, end, lo=first)]
        longest = max(b - a for a, b in pairwise([start, *inside, end]))
        return longest < min(_LONGEST_PAUSE, (end - start) / 2)

    def follow(self, end: float, stated: float) -> bool:
        """Whether the pictures went on behind the last sound, of a file that states a later end."""
        return self.covers(end, min(stated, end + _AFTER))

    def cues_reach(self, end: float, stated: float) -> bool:
        """Whether what the file states as its end is that of a cue long behind the last sound.

        A file that was cut off has lost such a cue with the sound.
        """
        start, stop = self._last_cue
        return start > end + _AFTER and abs(stop - stated) < _SAME


class Neighbours:
    """Whether a packet lies in the file next to the one before it, so that none was lost there.

    The frames of one block have the same position.
    """

    def __init__(self, whole: bool) -> None:
        """``whole``: nothing has been taken out of the file; if not, neighbours are by chance."""
        self._whole = whole
        self._block, self._bytes = -1, 0
        self.joined = False

    def saw(self, packet: Any) -> None:
        position = -1 if packet.pos is None else packet.pos
        if position == self._block:
            self._bytes += packet.size
            return
        between = position - (self._block + self._bytes)
        known = self._whole and min(self._block, position) >= 0
        self.joined = known and between in _BETWEEN
        self._block, self._bytes = position, packet.size
