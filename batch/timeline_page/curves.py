"""How busy the machine was over time (means of the samples), and when that held the run back."""

from __future__ import annotations

from dataclasses import dataclass

from batch.timeline_page.buckets import Buckets
from batch.timeline_page.record import Hold, Sample

HELD = "held"
_SEEN = "sampled"


@dataclass(frozen=True, slots=True)
class Curve:
    """Percent of the machine in each span, None where nothing was measured; ``own`` of that."""

    name: str
    everything: list[float | None]
    own: list[float | None] | None = None


class Curves:
    """A sample is of the time since the sample before it."""

    def __init__(self, buckets: Buckets) -> None:
        self._buckets = buckets
        self._last = 0.0

    def take(self, sample: Sample) -> None:
        start, self._last = self._last, max(self._last, sample.at)
        if self._last == start:
            return
        for name in ("cpu", "own_cpu", "memory", "own_memory", "gpu", "vram"):
            value: float | None = getattr(sample, name)
            if value is not None:
                self._buckets.add(("sample", name), start, self._last, value)
        self._buckets.add(_SEEN, start, self._last)

    def finish(self, end: float) -> list[Curve]:
        """The curves that there is anything to show of."""
        found = []
        for title, name, own in (
            ("CPU", "cpu", "own_cpu"),
            ("RAM", "memory", "own_memory"),
            ("GPU", "gpu", ""),
            ("VRAM", "vram", ""),
        ):
            if ("sample", name) in self._buckets:
                ours = self._means(own, end) if own else None
                found.append(Curve(title, self._means(name, end), ours))
        return found

    def _means(self, name: str, end: float) -> list[float | None]:
        seen = self._buckets.sums(_SEEN, end)
        sums = self._buckets.sums(("sample", name), end)
        return [one / time if time else None for one, time in zip(sums, seen, strict=True)]


class Holds:
    """``seconds`` in all; ``buckets`` have under :data:`HELD` when that was."""

    def __init__(self, buckets: Buckets) -> None:
        self.seconds = 0.0
        self._buckets = buckets
        self._since: float | None = None

    def take(self, hold: Hold) -> None:
        self.finish(hold.at)
        self._since = hold.at if hold.reason else None

    def finish(self, end: float) -> None:
        """What has begun and not ended lasted until ``end``."""
        if self._since is not None and end > self._since:
            self.seconds += end - self._since
            self._buckets.add(HELD, self._since, end)
        self._since = None
