"""Lost storage in a run, with a clock that jumps and disks that do as they are told."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from batch.places import ROOM_BYTES, Place, Sight
from batch.storage import ANSWER_SECONDS, HURRIED_SECONDS, LOOK_SECONDS, Storage
from orchestrator.contract.errors import ErrorClass, ErrorInfo, Failure
from orchestrator.contract.job import Published

LIBRARY = Place("the library", "/films", written=False)
WORK = Place("the work folder", "/batch", written=True)
THERE = Sight("", (1, 1), frozenset({"a"}), free_bytes=100)
OWN = ErrorInfo("bad_media", "noise")
FULL = ErrorInfo("disk_full", "no space", error_class=ErrorClass.STORAGE, retryable=True)


async def at_once(ask: Callable[..., Any], *what: object, **_: object) -> Any:
    """A thread would let the clock jump while it works."""
    await trio.lowlevel.checkpoint()
    return ask(*what)


class World:
    """Two disks as they are, what was said at the door, and what was given up."""

    def __init__(self, wait_seconds: float) -> None:
        self.sights = {"/films": THERE, "/batch": THERE}
        self.asked = 0
        self.said: list[str] = []
        self.given_up: list[ErrorInfo] = []
        self.storage = Storage(
            (LIBRARY, WORK),
            wait_seconds,
            self.said.append,
            self.given_up.append,
            look=self.look,
            in_thread=at_once,
            wall=lambda: 0.0,
        )

    def look(self, path: str, known: frozenset[str]) -> Sight:
        self.asked += 1
        return self.sights[path]

    def lose(self) -> None:
        self.sights["/films"] = Sight("Stale file handle")

    def heal(self) -> None:
        self.sights["/films"] = THERE


async def test_an_error_with_all_disks_there_is_the_files_own() -> None:
    world = World(0.0)
    assert await world.storage.lost() is None
    assert await world.storage.comes_back(OWN) is False
    assert (world.said, world.given_up) == ([], [])


async def test_without_a_time_to_wait_a_loss_ends_the_run_at_once() -> None:
    world = World(0.0)
    await world.storage.lost()
    world.lose()
    with pytest.raises(Failure) as caught:
        await world.storage.comes_back(OWN)
    assert caught.value.info.code == "storage_lost"
    assert "the library /films went away: Stale file handle" in caught.value.info.message
    assert world.given_up == [caught.value.info]
    assert world.said == [], "the door is shut by the end of the run"
    assert await world.storage.lost() == caught.value.info
    assert len(world.given_up) == 1, "told once"


async def test_it_waits_says_until_when_and_goes_on(autojump_clock: trio.testing.MockClock) -> None:
    world = World(600.0)
    await world.storage.lost()
    world.lose()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.storage.watch)
        with trio.fail_after(100):
            await trio.sleep(2 * LOOK_SECONDS)
            assert "Stale file handle; waiting for it until " in world.said[0]
            results: list[bool] = []

            async def meet() -> None:
                results.append(await world.storage.comes_back(OWN))

            nursery.start_soon(meet)
            await trio.sleep(2 * LOOK_SECONDS)
            assert results == []
            world.heal()
            await trio.sleep(2 * LOOK_SECONDS)
        assert results == [True]
        nursery.cancel_scope.cancel()
    assert (world.said[1:], world.given_up) == ([""], [])
    assert await world.storage.lost() is None


async def test_what_failed_while_a_disk_was_away_is_not_the_files_own() -> None:
    """Also where the disk is back before anybody asks."""
    world = World(600.0)
    await world.storage.lost()
    before = trio.current_time()
    world.lose()
    assert await world.storage.lost() is not None
    world.heal()
    assert await world.storage.lost() is None
    info = await world.storage.lost(OWN, before)
    assert info is not None
    assert info.code == "storage_lost"
    assert await world.storage.comes_back(OWN, before)
    assert not await world.storage.comes_back(OWN, trio.current_time() + 1.0)


async def test_after_the_time_to_wait_it_gives_up(autojump_clock: trio.testing.MockClock) -> None:
    world = World(600.0)
    await world.storage.lost()
    world.lose()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.storage.watch)
        began = trio.current_time()
        with pytest.raises(Failure):
            await world.storage.comes_back(OWN)
        waited = trio.current_time() - began
        assert 600.0 <= waited <= 600.0 + LOOK_SECONDS
        world.heal()
        await trio.sleep(2 * LOOK_SECONDS)
        assert world.said[1:] == [], "the run is ending: nothing new starts"
        nursery.cancel_scope.cancel()
    assert [one.code for one in world.given_up] == ["storage_lost"]


async def test_a_full_disk_is_back_when_there_is_room(
    autojump_clock: trio.testing.MockClock,
) -> None:
    world = World(600.0)
    await world.storage.lost()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.storage.watch)
        assert await world.storage.lost(FULL) == FULL
        await trio.sleep(5 * LOOK_SECONDS)
        assert await world.storage.lost() == FULL, "no more room than there was"
        world.sights["/batch"] = Sight("", (1, 1), frozenset({"a"}), free_bytes=100 + ROOM_BYTES)
        await trio.sleep(2 * LOOK_SECONDS)
        nursery.cancel_scope.cancel()
    assert world.said == [world.said[0], ""]
    assert world.said[0].startswith("no space; waiting for it until ")


async def test_a_full_disk_that_nothing_is_known_of_is_waited_for_in_vain(
    autojump_clock: trio.testing.MockClock,
) -> None:
    world = World(600.0)
    await world.storage.lost()
    world.sights["/batch"] = Sight("gone")
    world.storage = Storage(
        (LIBRARY,),
        600.0,
        world.said.append,
        world.given_up.append,
        look=world.look,
        in_thread=at_once,
    )
    assert await world.storage.lost(FULL) == FULL


async def test_a_disk_that_does_not_answer_is_lost_and_keeps_one_thread() -> None:
    released = threading.Event()
    hanging = 0

    def look(path: str, known: frozenset[str]) -> Sight:
        nonlocal hanging
        hanging += 1
        released.wait()
        return THERE

    clock = trio.testing.MockClock(rate=ANSWER_SECONDS * 20)

    async def main() -> None:
        given_up: list[ErrorInfo] = []
        storage = Storage((LIBRARY,), 0.0, lambda reason: None, given_up.append, look=look)
        for _ in range(3):
            info = await storage.lost()
            assert info is not None
            assert "has not answered" in info.message
        assert hanging == 1
        released.set()

    await trio.to_thread.run_sync(lambda: trio.run(main, clock=clock))


async def test_a_run_that_is_to_stop_does_not_wait_for_an_answer(
    autojump_clock: trio.testing.MockClock,
) -> None:
    stopping = trio.Event()

    async def hangs(*_: object, **__: object) -> Any:
        await trio.sleep_forever()

    ignore: Callable[[object], None] = lambda what: None  # noqa: E731
    storage = Storage((LIBRARY,), 600.0, ignore, ignore, stopping, in_thread=hangs)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(storage.watch)
        nursery.start_soon(storage.lost)
        await trio.sleep(LOOK_SECONDS + 1.0)  # the watch has asked as well
        stopping.set()
        with trio.fail_after(3 * HURRIED_SECONDS):
            assert await storage.lost() is not None
            assert await storage.answer(storage.holds, []) is None
        nursery.cancel_scope.cancel()


async def test_a_place_that_is_lost_at_the_first_look(tmp_path: Path) -> None:
    world = World(0.0)
    world.lose()
    info = await world.storage.lost()
    assert info is not None
    assert info.code == "storage_lost"


def published(path: Path) -> Published:
    status = path.stat()
    return Published(str(path), status.st_size, status.st_mtime_ns, "")


def unmount(output: Path) -> None:
    """Leave an empty mount point behind, into which something is written."""
    output.rename(output.with_name("on the disk"))
    output.mkdir()
    (output / "new.srt").write_text("new")


@pytest.fixture
def output(tmp_path: Path) -> Path:
    folder = tmp_path / "output"
    folder.mkdir()
    (folder / "kept.srt").write_text("kept")
    return folder


async def test_a_look_of_this_second_will_do_where_a_later_one_follows() -> None:
    world = World(0.0)
    assert await world.storage.lost_lately() is None
    world.lose()
    assert await world.storage.lost_lately() is None
    assert await world.storage.lost() is not None
    assert await world.storage.lost_lately() == await world.storage.lost()


async def test_what_was_published_is_where_it_belongs(output: Path) -> None:
    ignore: Callable[[object], None] = lambda what: None  # noqa: E731
    storage = Storage((Place("the output folder", str(output), True),), 0.0, ignore, ignore)
    await storage.lost()
    one = published(output / "kept.srt")
    assert storage.holds([one])
    assert storage.holds([])
    os.unlink(output / "kept.srt")
    assert not storage.holds([one])


async def test_what_was_published_on_an_empty_mount_point_is_not(output: Path) -> None:
    ignore: Callable[[object], None] = lambda what: None  # noqa: E731
    storage = Storage((Place("the output folder", str(output), True),), 0.0, ignore, ignore)
    await storage.lost()
    unmount(output)
    assert not storage.holds([published(output / "new.srt")])
