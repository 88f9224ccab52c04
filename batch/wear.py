"""When a worker must go, and when one is stuck: pure rules, told the time by the caller."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How much wear a worker may show before it is replaced.

    ``growth_bytes`` is over the memory, of the machine or of a GPU, that it had after its first
    attempt, when its model and buffers are in place; of a large model, ``growth_share`` of that.
    A new process costs a load, a few seconds: once in ``attempts`` that is nothing, and a leak of
    1 MiB a file stays harmless.
    """

    attempts: int = 200
    growth_bytes: int = 400 * MIB
    growth_share: float = 0.5


@dataclass(frozen=True, slots=True)
class Held:
    """Bytes that a worker held after its first and its last attempt; None: it never said."""

    first: int | None = None
    last: int | None = None

    def after(self, held: int | None) -> Held:
        if held is None:
            return self
        return Held(held if self.first is None else self.first, held)

    def growth(self, limits: Tolerance) -> int | None:
        """Bytes by which it grew, if these are more than it may."""
        if self.first is None or self.last is None:
            return None
        growth = self.last - self.first
        most = max(limits.growth_bytes, limits.growth_share * self.first)
        return growth if growth > most else None


@dataclass(frozen=True, slots=True)
class Wear:
    """What a worker has been through. ``rss`` is its resident memory, ``tensors`` are torch's on
    its GPU."""

    attempts: int = 0
    rss: Held = Held()
    tensors: Held = Held()

    def after(self, rss_bytes: int | None, tensor_bytes: int | None = None) -> Wear:
        """The wear after one more attempt; None: it did not say."""
        return Wear(self.attempts + 1, self.rss.after(rss_bytes), self.tensors.after(tensor_bytes))


def why_recycle(wear: Wear, ok: bool, limits: Tolerance = Tolerance()) -> str | None:
    """Why a worker must go after an attempt that ended ``ok`` or not; None: it may stay."""
    if not ok:
        return "after a failure"
    if wear.attempts >= limits.attempts:
        return f"after {wear.attempts} attempts"
    if (growth := wear.rss.growth(limits)) is not None:
        return f"grew by {growth // MIB} MiB"
    if (growth := wear.tensors.growth(limits)) is not None:
        return f"grew by {growth // MIB} MiB on the GPU"
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
