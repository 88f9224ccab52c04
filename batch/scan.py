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
                if isinstance(decision, NeedsProbe | Deferred):
                    yield Candidate(item, view, deferred=isinstance(decision, Deferred))
                else:
                    self.record(item, view, decision)
                    self._emit(news_of(item, view, decision))
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

    def must_record(self, item: MediaFile, view: FolderView, decision: Decision) -> bool:
        """Whether :meth:`record` has anything to do."""
        match decision:
            case Skip(restamp=restamp):
                return restamp or self._leaves_job(view.records.get(item.name))
            case Failed(error):
                return is_lasting(error)
        return False

    def record(self, item: MediaFile, view: FolderView, decision: Decision) -> None:
        """Do what a final decision has for a consequence. Asks the disk: call it in a thread."""
        match decision:
            case Skip(restamp=restamp):
                record = view.records.get(item.name)
                if record is not None and self._leaves_job(record):
                    clear_up(JobFolder(Path(os.fsdecode(record.job_dir))))
                if restamp:
                    self._state.restamp(item.path, item.size, item.mtime_ns)
            case Failed(error) if is_lasting(error):
                self._state.record_failed(
                    item.path,
                    Content(item.size, item.mtime_ns),
                    self._policy.settings_key,
                    error,
                    self._now_ns() / 1e9,
                    version=self._policy.version,
                )

    def _leaves_job(self, record: FileRecord | None) -> bool:
        """Whether a job that is not gone on with may have left something beside the file."""
        if record is None or record.status == DONE or self._look_only:
            return False
        return bool(record.job_dir)

    def _view(self, listing: DirectoryListing) -> FolderView:
        target = target_folder(listing.folder, self._places.input_root, self._places.output_root)
        records = self._state.records_in(listing.folder)
        for name, record in records.items():
            if record.status != DONE:
                records[name] = with_published(record)
        return FolderView(listing, records, self._library, target)


def news_of(item: MediaFile, view: FolderView, decision: Decision) -> Event:
    """What the user is told of a final decision."""
    match decision:
        case Skip(Reason.FAILED_BEFORE | Reason.RETRY_LATER as reason, detail):
            return _failed_before(item, view, reason, detail)
        case Skip(reason, detail):
            return Skipped(item.path, reason.value, detail)
        case Failed(error):
            return FileFinished(item.path, "failed", error=error)
    raise AssertionError(f"{decision} is not final")


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
