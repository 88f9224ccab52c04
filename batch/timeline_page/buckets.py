"""Sums over time in a fixed number of equal spans, which get wider as the run turns out longer.

So a run of any length is taken in one pass and in the same memory.
"""

from __future__ import annotations

from array import array
from collections.abc import Hashable

SPANS = 512
"""Between half of these and all are in use: about two pixels each on a wide screen."""

FIRST_WIDTH = 1 / 32
"""Seconds. A power of two, so that widths stay exact."""


class Buckets:
    """Many series on one time axis, each with a value that holds from one moment to another."""

    def __init__(self, spans: int = SPANS, width: float = FIRST_WIDTH) -> None:
        self._spans = spans
        self.width = width
        self._series: dict[Hashable, array[float]] = {}

    def add(self, key: Hashable, start: float, end: float, value: float = 1.0) -> None:
        """``value`` held from ``start`` to ``end`` (seconds, not negative)."""
        if end <= start:
            return
        while end > self._spans * self.width:
            self._widen()
        sums = self._series.get(key)
        if sums is None:
            sums = self._series[key] = array("d", bytes(8 * self._spans))
        width = self.width
        first, last = int(start / width), min(int(end / width), self._spans - 1)
        if first == last:
            sums[first] += value * (end - start)
            return
        sums[first] += value * ((first + 1) * width - start)
        for index in range(first + 1, last):
            sums[index] += value * width
        sums[last] += value * (end - last * width)

    def sums(self, key: Hashable, until: float) -> list[float]:
        """Value times seconds in each span that begins before ``until``."""
        count = self._count(until)
        sums = self._series.get(key)
        return [0.0] * count if sums is None else list(sums[:count])

    def means(self, key: Hashable, until: float) -> list[float]:
        """The mean value in each span; the last span ends at ``until``."""
        means = [one / self.width for one in self.sums(key, until)]
        rest = until - (len(means) - 1) * self.width
        if means and rest > 0:
            means[-1] *= self.width / rest
        return means

    def __contains__(self, key: Hashable) -> bool:
        return key in self._series

    def _count(self, until: float) -> int:
        whole = int(until / self.width)
        return min(self._spans, whole + (whole * self.width < until))

    def _widen(self) -> None:
        half = self._spans // 2
        for sums in self._series.values():
            for index in range(half):
                sums[index] = sums[2 * index] + sums[2 * index + 1]
            sums[half:] = array("d", bytes(8 * (self._spans - half)))
        self.width *= 2
