"""From candidates to tasks: look into each file ahead of its turn, and decide for good at it."""

from __future__ import annotations

import itertools
import math
import os
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

import trio

from batch.decide import Decision, Deferred, Failed, NeedsProbe, Policy, Reason, Skip, Work, decide
from batch.events import AllDecided, Event, FileFinished, Queued
from batch.filejob import Task
from batch.folder_view import FolderView
from batch.listing import DirectoryListing, MediaFile
from batch.queue import Queue
from batch.scan import Candidate, Scan, news_of
from batch.state import State
from orchestrator.contract.errors import ErrorClass, ErrorInfo, Failure
from orchestrator.contract.media import ProbeResult
from orchestrator.prober import Prober

PROBES_PER_COMMIT = 64
_THREADS = 256
"""For calls that hang as long as a disk does; nobody else waits because of them."""

_SCANNED_AT_ONCE = 500
_GROWING = Skip(Reason.STILL_GROWING, "it is still being written to; run again later")


Begun = TypeVar("Begun")
T = TypeVar("T")

_Judged = tuple[ProbeResult, Decision]
_Found = tuple[Candidate, _Judged | None]


@dataclass(frozen=True, slots=True)
class _Afresh(Generic[Begun]):
    """A file as it is at its turn. ``started`` is there where it is to be worked on."""

    item: MediaFile
    decision: Decision
    started: tuple[Task, Begun] | None = None


class Candidates(Generic[Begun]):
    """Looks into every file ahead of the work and puts what needs work into the queue.

    The survey runs ahead of the work through the whole library, so that the time left can be told
    early. What it learns goes into the state; in memory it keeps the candidates alone, and each is
    decided again at its turn, hours later perhaps, by the file as it is then. ``begin`` makes the
    first preparations for a task; it runs in the thread in which that is decided. ``comes_back``
    waits for lost storage; False: nothing is lost (see ``Storage``).
    """

    def __init__(
        self,
        scan: Scan,
        policy: Policy,
        state: State,
        prober: Prober,
        emit: Callable[[Event], None],
        begin: Callable[[Task], Begun],
        queue: Queue,
        limit: int | None = None,
        priority: Callable[[str], float] = lambda path: 0.0,
        expected: Callable[[float | None], float | None] = lambda audio_seconds: None,
        changed: Callable[[], None] = lambda: None,
        now_ns: Callable[[], int] = time.time_ns,
        comes_back: Callable[[ErrorInfo, float], Awaitable[bool]] | None = None,
    ) -> None:
        self._scan = scan
        self._policy = policy
        self._state = state
        self._prober = prober
        self._emit = emit
        self._begin = begin
        self._queue = queue
        self._comes_back = comes_back or _nothing_is_lost
        self._threads = trio.CapacityLimiter(_THREADS)
        self._priority = priority
        self._expected = expected
        self._changed = changed
        self._now_ns = now_ns
        self._left = math.inf if limit is None else limit
        self._unsaved: dict[str, tuple[MediaFile, ProbeResult]] = {}

    async def survey(self, listings: Iterable[DirectoryListing]) -> None:
        """Find and look into all files; those still being written come last.

        Raises:
            Failure: from the scan.
        """
        found, candidates = trio.open_memory_channel[_Found](math.inf)
        waiting: list[Candidate] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._walk, listings, found)
            async for candidate, known in candidates:
                if candidate.deferred:
                    waiting.append(candidate)
                elif self._left > 0:
                    await self._look(candidate, known)
            for candidate in waiting:
                if self._left > 0:
                    await self._look_late(candidate)
            await self._save_probes()
        self._emit(AllDecided())

    async def take(self, candidate: Candidate) -> tuple[Task, Begun] | None:
        """Decide afresh, now that it is the file's turn; None, and reported, if it needs no work.

        Raises:
            Failure: our own state cannot be read or written.
        """
        probed: tuple[MediaFile, ProbeResult] | None = None
        while (afresh := await self._afresh(candidate, probed)) is not None:
            if afresh.started is not None:
                return afresh.started
            if not isinstance(afresh.decision, NeedsProbe):
                growing = isinstance(afresh.decision, Deferred)
                await self._settle(
                    afresh.item, candidate.view, _GROWING if growing else afresh.decision
                )
                return None
            probed = afresh.item, await self._probe(afresh.item)
        return None

    async def _afresh(
        self, candidate: Candidate, probed: tuple[MediaFile, ProbeResult] | None
    ) -> _Afresh[Begun] | None:
        """One trip to the disk; None, reported as a failure, when the file is gone."""
        while True:
            began = trio.current_time()
            try:
                afresh = await self._in_thread(
                    self._decide_afresh, candidate, probed, self._now_ns()
                )
            except _GoneError as gone:
                if await self._comes_back(gone.info, began):
                    continue
                self._emit(FileFinished(candidate.item.path, "failed", error=gone.info))
                return None
            decision = afresh.decision
            if not isinstance(decision, Failed) or not await self._comes_back(
                decision.error, began
            ):
                return afresh
            self._unsaved.pop(candidate.item.path, None)
            candidate.view.look_again()

    async def _in_thread(self, ask: Callable[..., T], *about: object) -> T:
        """Ask a disk that may hang."""
        return await trio.to_thread.run_sync(
            ask, *about, abandon_on_cancel=True, limiter=self._threads
        )

    def _decide_afresh(
        self,
        candidate: Candidate,
        probed: tuple[MediaFile, ProbeResult] | None,
        now_ns: int,
    ) -> _Afresh[Begun]:
        item, view = _as_it_is(candidate.item), candidate.view
        probe = probed[1] if probed is not None and probed[0] == item else self._known(item)
        if probe is None:
            return _Afresh(item, NeedsProbe())
        decision = decide(item, view, self._policy, now_ns, probe)
        if not isinstance(decision, Work):
            return _Afresh(item, decision)
        task = _task(item, view, decision, probe)
        return _Afresh(item, decision, (task, self._begin(task)))

    async def _walk(
        self, listings: Iterable[DirectoryListing], found: trio.MemorySendChannel[_Found]
    ) -> None:
        """Walk in a thread, a batch of candidates at a time, so that work starts at once.

        What is known of them already is looked up there as well.
        """
        walk = self._scan.run(listings)

        def some(now_ns: int) -> list[_Found]:
            return [
                (one, None if one.deferred else self._judge(one.item, one.view, now_ns))
                for one in itertools.islice(walk, _SCANNED_AT_ONCE)
            ]

        with found:
            while batch := await self._in_thread(some, self._now_ns()):
                for one in batch:
                    found.send_nowait(one)

    async def _look(self, candidate: Candidate, known: _Judged | None) -> None:
        """Put the file into the queue, or settle it. ``known`` None: it has to be probed."""
        item, view = candidate.item, candidate.view
        began = trio.current_time()
        if known is None:
            probe = await self._probe(item)
            while probe.error is not None and await self._comes_back(probe.error, began):
                self._unsaved.pop(item.path, None)
                began = trio.current_time()
                probe = await self._probe(item)
            known = await self._in_thread(self._judge, item, view, self._now_ns(), probe)
            assert known is not None
        probe, decision = known
        if isinstance(decision, Work):
            self._left -= 1
            expected = self._expected(probe.duration)
            self._emit(
                Queued(item.path, item.size, probe.duration, decision.reason.value, expected)
            )
            if self._queue.add(candidate, probe.duration, self._priority(item.path)):
                self._changed()
        elif isinstance(decision, Deferred):
            await self._look_late(candidate)
        else:
            await self._settle(item, view, decision)

    async def _settle(self, item: MediaFile, view: FolderView, decision: Decision) -> None:
        """Nothing is to be done with the file: record that where needed, and tell it."""
        if self._scan.must_record(item, view, decision):
            await self._in_thread(self._scan.record, item, view, decision)
        self._emit(news_of(item, view, decision))

    def _judge(
        self, item: MediaFile, view: FolderView, now_ns: int, probe: ProbeResult | None = None
    ) -> _Judged | None:
        """Decide by the probe, or by the one that is known; None where there is none."""
        probe = probe or self._known(item)
        if probe is None:
            return None
        return probe, decide(item, view, self._policy, now_ns, probe)

    async def _look_late(self, candidate: Candidate) -> None:
        """Wait until the file has been left alone long enough; if it grew meanwhile, skip it."""
        item = candidate.item
        age = (self._now_ns() - item.mtime_ns) / 1e9
        await trio.sleep(max(0.0, self._policy.settle_seconds - age))
        began = trio.current_time()
        try:
            now = await self._in_thread(_as_it_is, item)
        except _GoneError as gone:
            if await self._comes_back(gone.info, began):
                await self._look_late(candidate)
            else:
                self._emit(FileFinished(item.path, "failed", error=gone.info))
            return
        if now == item:
            known = await self._in_thread(self._judge, item, candidate.view, self._now_ns())
            await self._look(candidate, known)
        else:
            await self._settle(item, candidate.view, _GROWING)

    async def _probe(self, item: MediaFile) -> ProbeResult:
        result = await self._prober.probe(item.path)
        self._unsaved[item.path] = (item, result)
        if len(self._unsaved) >= PROBES_PER_COMMIT:
            await self._save_probes()
        return result

    def _known(self, item: MediaFile) -> ProbeResult | None:
        unsaved, probe = self._unsaved.get(item.path, (None, None))
        if probe is not None and unsaved == item:
            return probe
        known = self._state.probe(item.path, item.size, item.mtime_ns)
        if known is not None and known.error is not None and self._policy.retry_failed:
            return None
        return known

    async def _save_probes(self) -> None:
        """Save them, and forget them only then: meanwhile somebody may ask for one."""
        probes = dict(self._unsaved)
        if probes:
            rows = [
                (path, item.size, item.mtime_ns, result) for path, (item, result) in probes.items()
            ]
            await trio.to_thread.run_sync(self._state.record_probes, rows)
        for path, probe in probes.items():
            if self._unsaved.get(path) is probe:
                del self._unsaved[path]


def _task(item: MediaFile, view: FolderView, work: Work, probe: ProbeResult) -> Task:
    return Task(
        item=item,
        target_folder=view.target,
        work=work,
        fingerprint=probe.fingerprint,
        audio_seconds=probe.duration,
        record=view.records.get(item.name),
    )


async def _nothing_is_lost(error: ErrorInfo, since: float) -> bool:
    return False


class _GoneError(Failure):
    """The file was there when the library was walked."""


def _as_it_is(item: MediaFile) -> MediaFile:
    """The file with its size and time of now. Raises: _GoneError."""
    try:
        now = os.stat(item.path)
    except OSError as error:
        raise _GoneError(
            ErrorInfo(
                "source_unreadable",
                f"{item.path}: {error.strerror}",
                "Check that the file is still there and may be read, then run again.",
                ErrorClass.STORAGE,
                retryable=True,
            )
        ) from error
    return item._replace(size=now.st_size, mtime_ns=now.st_mtime_ns)
