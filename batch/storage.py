"""Storage that goes away in the middle of a run, or is full: notice, hold back, wait, go on.

Whoever meets an error asks here whether it is the file's own or that of a disk. Nothing in here
blocks: a disk that hangs keeps a thread, and the same one for every later look.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import trio

from batch.places import Place, Sight, fullest, has_room_again, is_whole, look, trouble
from orchestrator.contract.errors import ErrorClass, ErrorInfo, Failure
from orchestrator.contract.job import Published

LOOK_SECONDS = 5.0
"""The time between two looks; each is a few calls that a network disk answers from its cache."""

LATELY_SECONDS = 1.0
"""A look that is no older will do where a later one follows, so that clips do not pay for more."""

ANSWER_SECONDS = 60.0
"""No disk that works takes this long to answer, not one that has to wake up either."""

HURRIED_SECONDS = 2.0
"""How long it is waited for in a run that is to stop."""

NO_ANSWER = f"it has not answered for {ANSWER_SECONDS:.0f} s"


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Loss:
    """What is lost, and until when (in seconds of the clock) the run waits for it."""

    info: ErrorInfo
    until: float
    full: tuple[str, Sight] | None = None


class Storage:
    """The places of one run.

    ``hold`` hears in words why nothing new may start, and "" when it may again; ``give_up`` hears
    what is lost when the time to wait is over (``wait_seconds`` 0: at once); ``stopping`` is set
    when the run is to end. ``look`` runs in a thread, by ``in_thread``; ``wall`` is the time of day
    in seconds since the epoch, for what a person is told.
    """

    def __init__(
        self,
        places: Sequence[Place],
        wait_seconds: float,
        hold: Callable[[str], None],
        give_up: Callable[[ErrorInfo], None],
        stopping: trio.Event | None = None,
        *,
        look: Callable[[str, frozenset[str]], Sight] = look,
        in_thread: Callable[..., Awaitable[Any]] = trio.to_thread.run_sync,
        clock: Callable[[], float] = trio.current_time,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._places = tuple(places)
        self._wait_seconds = wait_seconds
        self._hold = hold
        self._give_up = give_up
        self._stopping = trio.Event() if stopping is None else stopping
        self._asking: set[trio.CancelScope] = set()
        self._look = look
        self._in_thread = in_thread
        self._clock = clock
        self._wall = wall
        self._first: dict[str, Sight] = {}
        self._threads = {place.path: trio.CapacityLimiter(1) for place in self._places}
        self._answers = trio.CapacityLimiter(math.inf)
        self._loss: _Loss | None = None
        self._former: ErrorInfo | None = None
        self._back_at = -math.inf
        self._looked_at = -math.inf
        self._given_up = False
        self._news = trio.Event()

    async def watch(self) -> None:
        """Look at the places for ever; run it in a nursery."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._hurry)
            await self._look_often()

    async def _hurry(self) -> None:
        """A run that is to stop does not wait for a disk that hangs."""
        await self._stopping.wait()
        for scope in self._asking:
            scope.deadline = min(scope.deadline, trio.current_time() + HURRIED_SECONDS)

    async def _look_often(self) -> None:
        while True:
            await trio.sleep(LOOK_SECONDS)
            deadline = self._loss.until if self._loss is not None else math.inf
            with trio.move_on_after(max(0.0, deadline - self._clock())):
                await self._take_stock()
            if self._loss is not None and self._clock() >= self._loss.until:
                self._end_the_wait(self._loss)

    async def lost(
        self, error: ErrorInfo | None = None, since: float = math.inf
    ) -> ErrorInfo | None:
        """What is lost, or was at any time ``since``; None: nothing. ``error``: what was met."""
        await self._take_stock(error)
        if self._loss is not None:
            return self._loss.info
        return self._former if self._back_at >= since else None

    async def lost_lately(self) -> ErrorInfo | None:
        """What is lost now, or was at a look of this very second."""
        if self._clock() - self._looked_at < LATELY_SECONDS:
            return None if self._loss is None else self._loss.info
        return await self.lost()

    async def comes_back(self, error: ErrorInfo, since: float = math.inf) -> bool:
        """Whether ``error`` came of lost storage that is back by now, so that it pays to try again.

        ``since``: when that began which ended with the error, in seconds of the clock.

        False: nothing is lost, so the error is the file's own.

        Raises:
            Failure: ``storage_lost`` or ``disk_full``; it was waited for in vain.
        """
        if await self.lost(error, since) is None:
            return False
        while self._loss is not None:
            if self._given_up:
                raise Failure(self._loss.info)
            await self._news.wait()
        return True

    async def answer(self, ask: Callable[..., T], *what: object) -> T | None:
        """Ask a disk that may hang, in a thread. None: no answer within reason."""
        return await self._within_reason(ask, *what, limiter=self._answers)

    def holds(self, published: Sequence[Published]) -> bool:
        """Whether what a job has just published is there. Call it in a thread.

        A job that found the empty mount point of a disk has published whole files onto another.
        """
        for place in self._places:
            first = self._first.get(place.path)
            inside = os.path.join(place.path, "")
            if first is None or not any(one.path.startswith(inside) for one in published):
                continue
            if trouble(place, first, self._look(place.path, first.names)):
                return False
        return all(is_whole(one) for one in published)

    async def _take_stock(self, error: ErrorInfo | None = None) -> None:
        self._looked_at = self._clock()
        sights = await self._sights()
        found = self._missing_place(sights)
        full = None if self._loss is None else self._loss.full
        if found is not None:
            self._note(found, full)
        elif error is not None and error.code == "disk_full":
            where = fullest(self._places, sights)
            self._note(error, (where, sights[where]) if where else None)
        elif full is not None and not has_room_again(full[1], sights[full[0]]):
            assert self._loss is not None
            self._note(self._loss.info, full)
        else:
            self._note(None, None)

    def _missing_place(self, sights: Mapping[str, Sight]) -> ErrorInfo | None:
        for place in self._places:
            now = sights[place.path]
            first = self._first.setdefault(place.path, now)
            if words := trouble(place, first, now):
                return _lost(place, words)
            if not first.names:
                self._first[place.path] = now
        return None

    def _note(self, found: ErrorInfo | None, full: tuple[str, Sight] | None) -> None:
        """Take up how things stand, and tell whoever waits for a change."""
        if found is not None and self._loss is None:
            self._loss = _Loss(found, self._clock() + self._wait_seconds, full)
            if self._wait_seconds:
                until = time.strftime("%H:%M", time.localtime(self._wall() + self._wait_seconds))
                self._hold(f"{found.message}; waiting for it until {until}")
            else:
                self._end_the_wait(self._loss)
        elif found is None and self._loss is not None and not self._given_up:
            self._former, self._back_at = self._loss.info, self._clock()
            self._loss = None
            self._hold("")
            self._tell()

    def _end_the_wait(self, loss: _Loss) -> None:
        if not self._given_up:
            self._given_up = True
            self._give_up(loss.info)
            self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = trio.Event()

    async def _sights(self) -> dict[str, Sight]:
        """Look at all places at once."""
        sights: dict[str, Sight] = {}

        async def see(place: Place) -> None:
            first = self._first.get(place.path)
            known = first.names if first is not None else frozenset()
            sight = await self._within_reason(
                self._look, place.path, known, limiter=self._threads[place.path]
            )
            sights[place.path] = sight or Sight(NO_ANSWER)

        async with trio.open_nursery() as nursery:
            for place in self._places:
                nursery.start_soon(see, place)
        return sights

    async def _within_reason(
        self, ask: Callable[..., T], *what: object, limiter: trio.CapacityLimiter
    ) -> T | None:
        """Ask a disk in a thread. None: no answer."""
        with trio.move_on_after(
            HURRIED_SECONDS if self._stopping.is_set() else ANSWER_SECONDS
        ) as scope:
            self._asking.add(scope)
            try:
                answer: T = await self._in_thread(
                    ask, *what, abandon_on_cancel=True, limiter=limiter
                )
                return answer
            finally:
                self._asking.discard(scope)
        return None


def _lost(place: Place, words: str) -> ErrorInfo:
    return ErrorInfo(
        "storage_lost",
        f"{place.what} {place.path} went away: {words}",
        "Mount the disk or network share again, then run the same command again.",
        ErrorClass.STORAGE,
        retryable=True,
    )
