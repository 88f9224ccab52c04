"""A bounded pool: so many files at a time, pulled from an iterator as places become free."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

import trio

T = TypeVar("T")


async def run_pool(
    items: AsyncIterator[T],
    workers: int,
    admit: Callable[[], Awaitable[None]],
    work: Callable[[T], Awaitable[None]],
    stop: trio.Event,
) -> None:
    """Run ``work`` on each item, at most ``workers`` at once, until the items end or ``stop``.

    An item is pulled only when a place is free, and started only after ``admit`` has returned. One
    task exists per item in progress, so memory does not grow with the number of items. On ``stop``
    nothing new is started, and this returns when the items in progress have ended.
    """
    places = trio.Semaphore(workers)

    async def run(item: T) -> None:
        try:
            await work(item)
        finally:
            places.release()

    async with trio.open_nursery() as watching:
        async with trio.open_nursery() as nursery:
            with trio.CancelScope() as feeding:
                watching.start_soon(cancel_on, stop, feeding)
                while True:
                    await places.acquire()
                    try:
                        item = await anext(items)
                    except StopAsyncIteration:
                        break
                    await admit()
                    if stop.is_set():
                        break
                    nursery.start_soon(run, item)
        watching.cancel_scope.cancel()


async def cancel_on(event: trio.Event, scope: trio.CancelScope) -> None:
    """Cancel ``scope`` when ``event`` is set."""
    await event.wait()
    scope.cancel()
