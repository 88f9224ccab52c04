"""Walk the library and decide about every file: the files that need work come out, in order."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from batch.decide import Decision, Deferred, Failed, NeedsProbe, Policy, Reason, Skip, decide
from batch.events import Discovered, Event, FileFinished, Skipped
from batch.file_record import DONE, Content, FileRecord
from batch.folder_view import FolderView, target_folder
from batch.listing import DirectoryListing, MediaFile
from batch.ownership import DiskLibrary
from batch.recovery import clear_up, with_published
from batch.retry import is_lasting
from batch.state import State
from orchestrator.contract.errors import ErrorInfo, Failure
from orchestrator.contract.paths import JobFolder


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that seems to need work, with the folder it was seen in."""

    item: MediaFile
    view: FolderView
    deferred: bool = False


@dataclass(frozen=True, slots=True)
class Places:
    """Where the library is and where outputs go (None: beside the media)."""

    input_root: str
    output_root: str | None


class Scan:
    """One walk. Runs in a thread; ``emit`` and what it yields are taken up by the coordinator."""

    def __init__(
        self,
        places: Places,
        policy: Policy,
        state: State,
        emit: Callable[[Event], None],
        now_ns: Callable[[], int] = time.time_ns,
        comes_back: Callable[[ErrorInfo], bool] = lambda error: False,
        look_only: bool = False,
    ) -> None:
        """``comes_back`` waits for lost storage; False: nothing is lost (see ``Storage``).

        With ``look_only`` nothing is written, as in a dry run.
        """
        self._places = places
        self._policy = policy
        self._state = state
        self._emit = emit
        self._comes_back = comes_back
        self._now_ns = now_ns
        self._look_only = look_only
        self._library = DiskLibrary()

    def run(self, listings: Iterable[DirectoryListing]) -> Iterator[Candidate]:
        """Report what needs no work and yield the rest; ends with a ``Discovered`` event."""
        media = folders = size = 0
        for listing in self._all(iter(listings)):
            folders += 1
            media += len(listing.media)
            for left in listing.left_out:
                self._emit(Skipped(left.path, left.reason, left.detail))
            if not listing.media:
                continue
            view = self._view(listing)
            for item in listing.media:
                size += item.size
                decision = self._decide(item, view)
                candidate = self.settle(item, view, decision)
                if candidate is not None:
                    yield candidate
        self._emit(Discovered(media, folders, size))

    def _all(self, listings: Iterator[DirectoryListing]) -> Iterator[DirectoryListing]:
        """All folders; a walk that lost its disk goes on where it was when the disk is back."""
        while True:
            try:
                yield next(listings)
            except StopIteration:
                return
            except Failure as failure:
                if not self._comes_back(failure.info):
                    raise

    def _decide(self, item: MediaFile, view: FolderView) -> Decision:
        while True:
            decision = decide(item, view, self._policy, self._now_ns())
            if not isinstance(decision, Failed) or not self._comes_back(decision.error):
                return decision
            view.look_again()

    def settle(self, item: MediaFile, view: FolderView, decision: Decision) -> Candidate | None:
        """Report a final decision; None then. Otherwise the candidate to go on with."""
        match decision:
            case Skip(reason, detail, restamp):
                self._clear_up(view.records.get(item.name))
                if restamp:
                    self._state.restamp(item.path, item.size, item.mtime_ns)
                if reason in (Reason.FAILED_BEFORE, Reason.RETRY_LATER):
                    self._emit(_failed_before(item, view, reason, detail))
                    return None
                self._emit(Skipped(item.path, reason.value, detail))
                return None
            case Failed(error):
                if is_lasting(error):
                    self._state.record_failed(
                        item.path,
                        Content(item.size, item.mtime_ns),
                        self._policy.settings_key,
                        error,
                        self._now_ns() / 1e9,
                        version=self._policy.version,
                    )
                self._emit(FileFinished(item.path, "failed", error=error))
                return None
            case NeedsProbe():
                return Candidate(item, view)
            case Deferred():
                return Candidate(item, view, deferred=True)
            case _:
                raise AssertionError(f"a decision without a probe cannot be {decision}")

    def _clear_up(self, record: FileRecord | None) -> None:
        """Remove what the job of a file that is not gone on with has left beside it."""
        if record is not None and record.status != DONE and record.job_dir and not self._look_only:
            clear_up(JobFolder(Path(os.fsdecode(record.job_dir))))

    def _view(self, listing: DirectoryListing) -> FolderView:
        target = target_folder(listing.folder, self._places.input_root, self._places.output_root)
        records = self._state.records_in(listing.folder)
        for name, record in records.items():
            if record.status != DONE:
                records[name] = with_published(record)
        return FolderView(listing, records, self._library, target)


def _failed_before(item: MediaFile, view: FolderView, reason: Reason, why: str) -> FileFinished:
    """It still has no subtitles, so it counts among the failures of this run as well."""
    record = view.records[item.name]
    return FileFinished(
        item.path,
        "failed",
        job_folder=os.fsdecode(record.job_dir),
        error=record.error,
        earlier=True,
        held=why,
        quarantined=reason is Reason.FAILED_BEFORE,
    )
