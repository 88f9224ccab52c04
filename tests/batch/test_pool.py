from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from batch.pool import run_pool


class Items:
    """Numbers from 0, given out as they are asked for."""

    def __init__(self, count: int) -> None:
        self.given = 0
        self._count = count

    def __aiter__(self) -> AsyncIterator[int]:
        return self

    async def __anext__(self) -> int:
        await trio.lowlevel.checkpoint()
        if self.given == self._count:
            raise StopAsyncIteration
        self.given += 1
        return self.given - 1


class Work:
    """Work that goes on until it is told to end; remembers how it went."""

    def __init__(self) -> None:
        self.running: set[int] = set()
        self.most = 0
        self.done: list[int] = []
        self.cancelled: list[int] = []
        self.gates: dict[int, trio.Event] = {}

    async def __call__(self, item: int) -> None:
        self.running.add(item)
        self.most = max(self.most, len(self.running))
        try:
            await self.gates.setdefault(item, trio.Event()).wait()
        except trio.Cancelled:
            self.cancelled.append(item)
            raise
        finally:
            self.running.remove(item)
        self.done.append(item)

    async def end(self, *items: int) -> None:
        for item in items:
            self.gates.setdefault(item, trio.Event()).set()
        await wait_all_tasks_blocked()


async def admit() -> None:
    return


async def test_each_item_is_worked_on_once_and_never_more_than_allowed() -> None:
    done: list[int] = []
    running = most = 0

    async def work(item: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(10 + item % 4):
            await trio.lowlevel.checkpoint()
        running -= 1
        done.append(item)

    await run_pool(Items(100), 3, admit, work, trio.Event())
    assert sorted(done) == list(range(100))
    assert most == 3


async def test_items_are_pulled_when_a_place_is_free() -> None:
    items, work, stop = Items(1000), Work(), trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run_pool, items, 2, admit, work, stop)
        await wait_all_tasks_blocked()
        assert (items.given, work.running) == (2, {0, 1})
        await work.end(1)
        assert (items.given, work.running) == (3, {0, 2})
        await work.end(0, 2)
        assert (items.given, work.running) == (5, {3, 4})
        nursery.cancel_scope.cancel()
    assert sorted(work.cancelled) == [3, 4]


async def test_nothing_starts_before_it_is_admitted() -> None:
    work, stop, door = Work(), trio.Event(), trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run_pool, Items(2), 2, door.wait, work, stop)
        await wait_all_tasks_blocked()
        assert work.running == set()
        door.set()
        await wait_all_tasks_blocked()
        assert work.running == {0, 1}
        await work.end(0, 1)


async def test_after_a_stop_nothing_starts_and_what_runs_may_end() -> None:
    items, work, stop = Items(10), Work(), trio.Event()
    ended = trio.Event()

    async def run() -> None:
        await run_pool(items, 2, admit, work, stop)
        ended.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        await wait_all_tasks_blocked()
        stop.set()
        await work.end(0)
        assert (items.given, work.running, ended.is_set()) == (2, {1}, False)
        await work.end(1)
    assert ended.is_set()
    assert (work.done, work.cancelled) == ([0, 1], [])


@pytest.mark.parametrize("where", ["before", "while it waits at the door", "in the same moment"])
async def test_a_stop_keeps_an_item_out_that_was_pulled(where: str) -> None:
    items, work, stop, door = Items(10), Work(), trio.Event(), trio.Event()

    async def stopping() -> None:
        stop.set()

    if where == "before":
        stop.set()
    admission = stopping if where == "in the same moment" else door.wait
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run_pool, items, 2, admission, work, stop)
        await wait_all_tasks_blocked()
        stop.set()
    assert work.done == []
    assert work.most == 0


async def test_an_exception_in_the_work_cancels_the_rest() -> None:
    work = Work()

    async def sometimes_broken(item: int) -> None:
        if item == 2:
            raise ZeroDivisionError
        await work(item)

    with pytest.RaisesGroup(ZeroDivisionError, flatten_subgroups=True):
        await run_pool(Items(10), 3, admit, sometimes_broken, trio.Event())
    assert sorted(work.cancelled) == [0, 1]
    assert work.done == []


async def test_an_exception_from_the_items_comes_through() -> None:
    class Broken(Items):
        async def __anext__(self) -> int:
            raise ZeroDivisionError

    with pytest.RaisesGroup(ZeroDivisionError, flatten_subgroups=True):
        await run_pool(Broken(1), 3, admit, Work(), trio.Event())
