"""From candidates to tasks: look into each file just before its turn, and decide for good."""

from __future__ import annotations

import itertools
import math
import os
import time
from collections.abc import Callable, Iterable

import trio

from batch.decide import Deferred, Policy, Reason, Skip, Work, decide
from batch.events import AllDecided, Event, FileFinished, Queued
from batch.filejob import Task
from batch.folder_view import FolderView
from batch.listing import DirectoryListing, MediaFile
from batch.scan import Candidate, Scan
from batch.state import State
from orchestrator.contract.errors import ErrorClass, ErrorInfo
from orchestrator.contract.media import ProbeResult
from orchestrator.prober import Prober

PROBES_PER_COMMIT = 64
_SCANNED_AT_ONCE = 500
_GROWING = Skip(Reason.STILL_GROWING, "it is still being written to; run again later")


class Candidates:
    """Looks into every file ahead of the work, and gives out tasks in the scan's order.

    The survey runs ahead of the work through the whole library, so that the time left can be told
    early. What it learns goes into the state; in memory it keeps the candidates alone, and each is
    decided again at its turn, hours later perhaps, by the file as it is then.
    """

    def __init__(
        self,
        scan: Scan,
        policy: Policy,
        state: State,
        prober: Prober,
        emit: Callable[[Event], None],
        limit: int | None = None,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._scan = scan
        self._policy = policy
        self._state = state
        self._prober = prober
        self._emit = emit
        self._now_ns = now_ns
        self._left = math.inf if limit is None else limit
        self._unsaved: dict[str, tuple[MediaFile, ProbeResult]] = {}
        self._send, self._ready = trio.open_memory_channel[Candidate](math.inf)

    async def survey(self, listings: Iterable[DirectoryListing]) -> None:
        """Find and look into all files; those still being written come last.

        Raises:
            Failure: from the scan.
        """
        found, candidates = trio.open_memory_channel[Candidate](math.inf)
        waiting: list[Candidate] = []
        async with self._send, trio.open_nursery() as nursery:
            nursery.start_soon(self._walk, listings, found)
            async for candidate in candidates:
                if candidate.deferred:
                    waiting.append(candidate)
                elif self._left > 0:
                    await self._look(candidate)
            for candidate in waiting:
                if self._left > 0:
                    await self._look_late(candidate)
            await self._save_probes()
        self._emit(AllDecided())

    def __aiter__(self) -> Candidates:
        return self

    async def __anext__(self) -> Task:
        """The next file to work on, decided afresh; waits for the survey where it must."""
        async for candidate in self._ready:
            view = candidate.view
            item = await self._as_it_is(candidate.item)
            if item is None:
                continue
            probe = await self._probe(item)
            decision = decide(item, view, self._policy, self._now_ns(), probe)
            if isinstance(decision, Work):
                return _task(item, view, decision, probe)
            self._scan.settle(item, view, _GROWING if isinstance(decision, Deferred) else decision)
        raise StopAsyncIteration

    async def _walk(
        self, listings: Iterable[DirectoryListing], found: trio.MemorySendChannel[Candidate]
    ) -> None:
        """Walk in a thread, a batch of candidates at a time, so that work starts at once."""
        walk = self._scan.run(listings)

        def some() -> list[Candidate]:
            return list(itertools.islice(walk, _SCANNED_AT_ONCE))

        with found:
            while batch := await trio.to_thread.run_sync(some, abandon_on_cancel=True):
                for candidate in batch:
                    found.send_nowait(candidate)

    async def _look(self, candidate: Candidate) -> None:
        item, view = candidate.item, candidate.view
        probe = await self._probe(item)
        decision = decide(item, view, self._policy, self._now_ns(), probe)
        if isinstance(decision, Work):
            self._left -= 1
            self._emit(Queued(item.path, item.size, probe.duration, decision.reason.value))
            self._send.send_nowait(candidate)
        elif isinstance(decision, Deferred):
            await self._look_late(candidate)
        else:
            self._scan.settle(item, view, decision)

    async def _look_late(self, candidate: Candidate) -> None:
        """Wait until the file has been left alone long enough; if it grew meanwhile, skip it."""
        item = candidate.item
        age = (self._now_ns() - item.mtime_ns) / 1e9
        await trio.sleep(max(0.0, self._policy.settle_seconds - age))
        now = await self._as_it_is(item)
        if now == item:
            await self._look(candidate)
        elif now is not None:
            self._scan.settle(item, candidate.view, _GROWING)

    async def _as_it_is(self, item: MediaFile) -> MediaFile | None:
        """The file with its size and time of now; None, reported as a failure, when it is gone."""
        try:
            now = await trio.to_thread.run_sync(os.stat, item.path, abandon_on_cancel=True)
        except OSError as error:
            self._emit(FileFinished(item.path, "failed", error=_gone(item.path, error)))
            return None
        return item._replace(size=now.st_size, mtime_ns=now.st_mtime_ns)

    async def _probe(self, item: MediaFile) -> ProbeResult:
        unsaved, probe = self._unsaved.get(item.path, (None, None))
        if probe is not None and unsaved == item:
            return probe
        known = self._state.probe(item.path, item.size, item.mtime_ns)
        if known is not None:
            return known
        result = await self._prober.probe(item.path)
        self._unsaved[item.path] = (item, result)
        if len(self._unsaved) >= PROBES_PER_COMMIT:
            await self._save_probes()
        return result

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


def _gone(path: str, error: OSError) -> ErrorInfo:
    return ErrorInfo(
        "source_unreadable",
        f"{path}: {error.strerror}",
        "Check that the file is still there and may be read, then run again.",
        ErrorClass.STORAGE,
        retryable=True,
    )
