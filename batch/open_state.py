"""Open ``batch.db``; where it is damaged, put it aside and make it anew from what the jobs left."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from batch.rebuild import catch_up
from batch.state import State
from batch.state_schema import open_database
from batch.summary.model import Error
from batch.view.words import count
from orchestrator.contract.atomic import fsync_folder, put_json, read_json
from orchestrator.contract.errors import Failure, describe_os_error
from orchestrator.contract.paths import WorkFolder
from orchestrator.setup import say

_DAMAGED = "state_damaged"
_BESIDE = ("-wal", "-shm")
"""What SQLite keeps beside a database; what was written last may be in there alone."""


@dataclass(slots=True)
class Opened:
    """``told`` is what a person should know of the opening: (key, value, reason) as of settings.

    Whoever finds out that the database is ``damaged`` says so: then it is put aside at the end.
    """

    state: State
    told: tuple[tuple[str, str, str], ...] = ()
    damaged: bool = False

    def note(self, error: Error | None) -> None:
        """Take up what the run ended with."""
        self.damaged = self.damaged or (error is not None and error.code == _DAMAGED)


@contextmanager
def open_state(
    work: WorkFolder, *, dry_run: bool = False, report: Callable[[str], None] = say
) -> Iterator[Opened]:
    """What is known of the files; with ``dry_run`` a copy in memory, and nothing is written.

    Raises:
        Failure: ``state_too_new``, ``state_busy``, ``storage_error``, ``disk_full``.
    """
    opened = _copied(work) if dry_run else _opened(work, report)
    try:
        yield opened
    except Failure as failure:
        opened.damaged = failure.info.code == _DAMAGED
        raise
    finally:
        with contextlib.suppress(sqlite3.Error):  # writing the rest down may fail, if it is damaged
            opened.state.close()
        if dry_run:
            pass
        elif opened.damaged:
            _put_aside(work.database)
        else:
            _write_stamp(work.database)


def _opened(work: WorkFolder, report: Callable[[str], None]) -> Opened:
    path = work.database
    why = aside = None
    if not path.exists():
        _put_aside(path)
    try:
        state = _sound(path)
    except Failure as failure:
        if failure.info.code != _DAMAGED:
            raise
        why, aside = failure.info.message, _put_aside(path)
        report(f"{why}. It is {aside} now; what is done is known from the folders of the jobs.")
        state = State.open(path)
    try:
        found = catch_up(state, work)
    except BaseException:
        state.close()
        raise
    return Opened(state, _told(why, aside, found))


def _sound(path: Path) -> State:
    """Open it; one that somebody or something has changed since it was closed is looked through.

    Raises:
        Failure: ``state_damaged``, or it cannot be opened.
    """
    as_we_left_it = _is_stamped(path)
    state = State.open(path)
    try:
        if not as_we_left_it:
            state.check()
    except BaseException:
        state.close()
        raise
    return state


def _is_stamped(path: Path) -> bool:
    try:
        log = path.with_name(f"{path.name}-wal")
        return read_json(_stamp_of(path)) == _look(path) and not log.exists()
    except (OSError, ValueError):
        return False


def _write_stamp(path: Path) -> None:
    """Losing it costs one look through the database."""
    with contextlib.suppress(OSError):
        put_json(_stamp_of(path), _look(path))


def _look(path: Path) -> dict[str, int]:
    status = path.stat()
    return {"size": status.st_size, "mtime_ns": status.st_mtime_ns}


def _stamp_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.closed")


def _told(
    why: str | None, aside: Path | None, found: int | None
) -> tuple[tuple[str, str, str], ...]:
    if why is None and not found:
        return ()
    reason = f"{why}; it is {aside} now" if why else "it did not know all that was done"
    files = count(found or 0, "file")
    return (("batch.db", "rebuilt", f"{reason}; {files} recorded from the folders of the jobs"),)


def _copied(work: WorkFolder) -> Opened:
    memory = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    nothing = Path(":memory:")
    state = State(work.database, memory)
    try:
        with closing(open_database(work.database if work.database.exists() else nothing)) as known:
            known.backup(memory)
        if not _is_stamped(work.database):
            state.check()
    except Failure as failure:
        if failure.info.code != _DAMAGED:
            raise
        state.close()
        state = State(work.database, open_database(nothing))
    catch_up(state, work)
    return Opened(state)


def _put_aside(path: Path) -> Path:
    """Give the database, and what belongs to it, another name; returns that.

    Raises:
        Failure: ``storage_error``.
    """
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    number = 0
    while (aside := path.with_name(f"{path.name}.damaged-{stamp}{number or ''}")).exists():
        number += 1
    renamed = False
    try:
        for end in ("", *_BESIDE):
            with contextlib.suppress(FileNotFoundError):
                path.with_name(path.name + end).rename(f"{aside}{end}")
                renamed = True
        if renamed:
            # A log that came back would be played into the database that is made next.
            fsync_folder(path.parent)
    except OSError as error:
        raise Failure(describe_os_error(error, f"{path} could not be renamed")) from error
    return aside
