"""While others load the machine for hours one file at a time begins, open already or not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import trio
import trio.testing

from batch.admission import Load, Thresholds
from batch.desk import Desk, Host, let_one_through
from batch.dispatch import Dispatcher, Rules
from batch.events import FileStarted
from batch.folder_view import FolderView
from batch.gate import PATIENCE_SECONDS, Gate
from batch.history import History
from batch.leases import Machine
from batch.listing import DirectoryListing, MediaFile
from batch.measures import Measures
from batch.ownership import DiskLibrary
from batch.queue import Queue, Waiting
from batch.scan import Candidate
from batch.wake import Wake
from orchestrator.contract.messages import Request
from orchestrator.launcher import Orders

from .conftest import Ear, make_recipe

VIEW = FolderView(DirectoryListing("/m", [], set(), []), {}, DiskLibrary())
MACHINE = Machine(8, 8 << 30)
NOBODY = cast(Host, SimpleNamespace(now=lambda: 0.0, asked=lambda desk: None))


def candidate(name: str) -> Candidate:
    return Candidate(MediaFile(name, "/m", 1, 1), VIEW)


def busy(gate: Gate) -> None:
    gate.note(Load(at=0.0, cpu=95.0, own_cpu=0.0, memory=10.0))


def desk(place: float) -> Desk:
    waiting = Waiting(candidate(f"{place}"), (place,), 60.0)
    return Desk(waiting, int(place), NOBODY, ("fake",), 0.0)


def unused() -> Load:
    raise AssertionError("nothing is measured here")


def test_the_first_that_asks_goes_and_the_next_one_waits_again(ear: Ear) -> None:
    gate = Gate(Thresholds(80.0, 90.0, 0.0, 2.0), unused, ear, clock=lambda: 0.0)
    preparing, second, first = desk(0), desk(2), desk(1)
    for asking in (second, first):
        asking.handle(Request("fake", "1"))
    desks = (preparing, second, first)

    def let_through(times: int) -> list[bool]:
        let_one_through(gate, desks, times * PATIENCE_SECONDS)
        return [one.begun for one in desks]

    assert let_through(1) == [False, False, False], "nothing is held back"
    busy(gate)
    assert let_through(0) == [False, False, False]
    assert let_through(1) == [False, False, True]
    assert gate.holding(PATIENCE_SECONDS)
    assert let_through(1) == [False, False, True]
    assert let_through(2) == [False, True, True]
    preparing.parked = True
    assert let_through(3) == [False, True, True]
    assert gate.holding(3 * PATIENCE_SECONDS) == "", "it is the turn of the queue's first"


async def test_with_an_empty_queue_open_files_do_not_all_begin_at_once(ear: Ear) -> None:
    """Only an opened file was counted: four that waited began together, later ones unhindered."""
    now, asking = 0.0, trio.Event()
    wake, queue = Wake(), Queue()
    gate = Gate(Thresholds(80.0, 90.0, 0.0, 2.0), unused, ear, clock=lambda: now)
    gate.note(Load(at=0.0, cpu=10.0, own_cpu=0.0, memory=10.0))
    for number in range(4):
        queue.add(candidate(f"{number}.mkv"), 60.0)
    queue.complete = True

    async def run_job(task: object, begun: object, line: Desk) -> None:
        await asking.wait()
        line.handle(Request("fake", "1"))
        await trio.sleep_forever()

    async def take(candidate: object) -> tuple[object, object]:
        return object(), SimpleNamespace(folder=None, job_id="", job=SimpleNamespace(id="j"))

    dispatcher = Dispatcher(
        Rules(MACHINE, 4),
        queue,
        cast(Any, SimpleNamespace(take=take)),
        cast(Any, SimpleNamespace(run=run_job)),
        cast(Any, SimpleNamespace(workers={}, broken=frozenset(), is_broken=lambda key: False)),
        gate,
        Measures(make_recipe().stages, MACHINE, "cpu", History(), resident=False),
        cast(Any, SimpleNamespace(file=lambda *about: None)),
        cast(Any, None),
        ear,
        Orders(),
        trio.Event(),
        wake,
        lambda error: None,
        lambda error: None,
        clock=lambda: now,
    )

    async def begun_by(seconds: float) -> int:
        nonlocal now
        now = seconds
        wake.set()
        await trio.testing.wait_all_tasks_blocked()
        return len(ear.of(FileStarted))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(dispatcher.run)
        assert (await begun_by(0.0), len(queue)) == (0, 0), "all are open, and none has asked"
        busy(gate)
        asking.set()
        assert await begun_by(1.0) == 0
        assert await begun_by(PATIENCE_SECONDS) == 1
        assert await begun_by(1.5 * PATIENCE_SECONDS) == 1
        assert await begun_by(2 * PATIENCE_SECONDS) == 2
        nursery.cancel_scope.cancel()
