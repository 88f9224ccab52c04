"""When a worker must go, and when one is stuck: pure rules, told the time by the caller."""

from __future__ import annotations

from dataclasses import dataclass, replace

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How much wear a worker may show before it is replaced.

    ``growth_bytes`` is over the memory it had after its first attempt, when its model and buffers
    are in place; of a large model, ``growth_share`` of that memory. A new process costs a load, a
    few seconds: once in ``attempts`` that is nothing, and a leak of 1 MiB a file stays harmless.
    """

    attempts: int = 200
    growth_bytes: int = 400 * MIB
    growth_share: float = 0.5


@dataclass(frozen=True, slots=True)
class Wear:
    """What a worker has been through: resident bytes after its first and its last attempt."""

    attempts: int = 0
    first_rss: int | None = None
    last_rss: int | None = None

    def after(self, rss_bytes: int | None) -> Wear:
        """The wear after one more attempt; ``rss_bytes`` None: it did not say."""
        first = rss_bytes if self.first_rss is None else self.first_rss
        last = self.last_rss if rss_bytes is None else rss_bytes
        return replace(self, attempts=self.attempts + 1, first_rss=first, last_rss=last)


def why_recycle(wear: Wear, ok: bool, limits: Tolerance = Tolerance()) -> str | None:
    """Why a worker must go after an attempt that ended ``ok`` or not; None: it may stay."""
    if not ok:
        return "after a failure"
    if wear.attempts >= limits.attempts:
        return f"after {wear.attempts} attempts"
    if wear.first_rss is None or wear.last_rss is None:
        return None
    growth = wear.last_rss - wear.first_rss
    if growth > max(limits.growth_bytes, limits.growth_share * wear.first_rss):
        return f"grew by {growth // MIB} MiB"
    return None


class Silence:
    """How long a worker has made no progress. Heartbeats are no progress.

    Only time in which somebody watched counts, at most twice ``tick_s`` for each look: while the
    machine slept, or we were stopped, the worker had no chance to get on either.
    """

    def __init__(self, now: float, tick_s: float) -> None:
        self._looked = now
        self._longest = 2 * tick_s
        self.seconds = 0.0

    def sign(self, now: float) -> None:
        """The worker got on."""
        self._looked, self.seconds = now, 0.0

    def look(self, now: float) -> float:
        """Seconds without progress, as of now."""
        self.seconds += min(max(0.0, now - self._looked), self._longest)
        self._looked = now
        return self.seconds
