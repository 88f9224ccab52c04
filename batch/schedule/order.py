"""The order of the queue: a sort key for each policy, smaller first."""

from __future__ import annotations

from typing import Literal, get_args

Policy = Literal["fifo", "shortest-first", "longest-first", "priority"]
POLICIES: tuple[Policy, ...] = get_args(Policy)


def order_key(
    policy: Policy, position: int, audio_seconds: float | None, priority: float = 0.0
) -> tuple[float, ...]:
    """The place of a file that discovery found as number ``position``.

    A file whose length is not known is taken as short: it is looked into soon. A higher
    ``priority`` goes first. Files of equal rank keep the order in which they were found, so each
    has a key of its own.
    """
    seconds = audio_seconds or 0.0
    match policy:
        case "fifo":
            return (position,)
        case "shortest-first":
            return (seconds, position)
        case "longest-first":
            return (-seconds, position)
        case "priority":
            return (-priority, position)
