"""What earlier runs made of each file: the batch's memory, in one SQLite file on a local disk.

Every method is synchronous and commits before it returns. What became of a file is on the disk by
then (WAL, ``synchronous=FULL``: about 0.15 ms); what costs little to find out again is there with
the next such commit. One connection, usable from any thread, one call at a time. Paths are stored
as bytes, so that names which are not UTF-8 survive.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any

from batch.file_record import (
    DONE,
    FAILED,
    STARTED,
    Content,
    Failing,
    FileRecord,
    Restored,
    error_from,
    outputs_json,
    still_ours,
)
from batch.history import Record, Subject
from batch.retry import Count
from batch.state_schema import damaged, open_database, translate_error, upsert_of
from orchestrator.contract.errors import ErrorClass, ErrorInfo
from orchestrator.contract.job import Published
from orchestrator.contract.media import PROBE_VERSION, ProbeResult

# Run for every finished file of every run, hence below the usual layers: fsdecode and the
# constructor of a NamedTuple are Python functions.
_NAMES = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()
_new_tuple = tuple.__new__

_COLUMNS = (
    "name, size, mtime_ns, fingerprint, status, settings_key, job_dir, outputs, former, error,"
    " failures, retry_after, version"
)
_CONTENT = (int, int, str, str, str, bytes, str, str)
_PAST = (int, float, str)
_TYPES = ((*_CONTENT, str, *_PAST), (*_CONTENT, type(None), *_PAST))
_NO_FAILURES = Count()._asdict()
_HISTORY_COLUMNS = ", ".join((*Subject._fields, *(field.name for field in fields(Record))))


class State:
    """The database ``batch.db``.

    Every method may raise Failure ``state_damaged``, ``state_busy``, ``disk_full`` or
    ``storage_error``.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection
        self._lock = threading.Lock()
        self._synchronous = ""

    @classmethod
    def open(cls, path: Path) -> State:
        """Open the database, and make it where there is none.

        Raises:
            Failure: ``state_too_new``, ``state_damaged``, ``state_busy``, ``storage_error``.
        """
        return cls(path, open_database(path))

    def check(self) -> None:
        """Read all that is known of files. It takes about a second for 100,000 of them.

        SQLite sees a page that is gone or torn. Text that was written over is not its business.

        Raises:
            Failure: ``state_damaged``.
        """
        with self._use() as connection:
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if found != "ok":
                raise damaged(f"{self._path} is damaged: {found}")
            for _, *columns in connection.execute(f"SELECT {_COLUMNS} FROM files"):
                if tuple(map(type, columns)) not in _TYPES:
                    raise damaged(f"{self._path} is damaged: a record has other columns")
                record = FileRecord._make(columns)
                record.published("")
                _ = record.error

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    @contextmanager
    def _use(self, *, lasting: bool | None = None) -> Iterator[sqlite3.Connection]:
        """The connection. With ``lasting`` a commit is on the disk when it returns, with False it
        need not be; None: nothing is written."""
        with self._lock:
            try:
                if lasting is not None:
                    self._synchronise("FULL" if lasting else "NORMAL")
                yield self._connection
            except (sqlite3.Error, UnicodeDecodeError) as error:
                raise translate_error(self._path, error) from error

    def _synchronise(self, how: str) -> None:
        if how != self._synchronous:
            self._synchronous = ""
            self._connection.execute(f"PRAGMA synchronous = {how}")
            self._synchronous = how

    def records_in(self, folder: str) -> dict[str, FileRecord]:
        """The records of one folder's files by name: one indexed read, so memory stays flat."""
        with self._use() as connection:
            rows = connection.execute(
                f"SELECT {_COLUMNS} FROM files WHERE folder = ?", (os.fsencode(folder),)
            ).fetchall()
        return {row[0].decode(*_NAMES): _new_tuple(FileRecord, row[1:]) for row in rows}

    def known_below(self, folder: str, limit: int) -> list[tuple[str, FileRecord]]:
        """Some of the files in a folder and in the folders below it, with their records."""
        itself = os.fsencode(folder)
        inside = os.path.join(itself, b"")
        with self._use() as connection:
            rows = connection.execute(
                f"SELECT folder, {_COLUMNS} FROM files"
                " WHERE folder = ? OR (folder > ? AND folder < ?) LIMIT ?",
                (itself, inside, inside[:-1] + bytes([inside[-1] + 1]), limit),
            ).fetchall()
        return [
            (os.fsdecode(os.path.join(row[0], row[1])), FileRecord._make(row[2:])) for row in rows
        ]

    def record(self, path: str) -> FileRecord | None:
        """The record of one file."""
        with self._use() as connection:
            row = connection.execute(
                f"SELECT {_COLUMNS} FROM files WHERE folder = ? AND name = ?", _key(path)
            ).fetchone()
        return None if row is None else FileRecord._make(row[1:])

    def record_started(
        self,
        path: str,
        content: Content,
        settings_key: str,
        job_dir: str,
        when: float,
        outputs_json: str | None = None,
    ) -> None:
        """A job for the file begins at ``when`` (seconds since the epoch).

        ``outputs_json`` is what of ours is there already, where that is more than the record says:
        the folder of the job before, which told it, is forgotten now.
        """
        self._upsert(
            path,
            {
                **content._asdict(),
                "status": STARTED,
                "settings_key": settings_key,
                "job_dir": os.fsencode(job_dir),
                "error": None,
                "updated": when,
                **({} if outputs_json is None else {"outputs": outputs_json}),
            },
            also="attempts = attempts + 1",
        )

    def record_done(
        self,
        path: str,
        content: Content,
        settings_key: str,
        outputs: Sequence[Published],
        when: float,
        *,
        audio_seconds: float = 0.0,
        seconds: float = 0.0,
    ) -> None:
        """The file is finished; what we published for it before stays known as ours."""
        folder = os.path.dirname(path)
        earlier = self.record(path)
        former = still_ours(earlier.published(folder) if earlier else (), outputs)
        self._upsert(
            path,
            {
                **content._asdict(),
                "status": DONE,
                "settings_key": settings_key,
                "outputs": outputs_json(outputs, folder),
                "former": outputs_json(former, folder),
                "error": None,
                "audio_seconds": audio_seconds,
                "seconds": seconds,
                "updated": when,
                **_NO_FAILURES,
            },
        )

    def record_failed(
        self,
        path: str,
        content: Content,
        settings_key: str,
        error: ErrorInfo,
        when: float,
        *,
        status: str = FAILED,
        count: Count = Count(),
        version: str = "",
    ) -> None:
        """The file failed, or with ``status=INTERRUPTED`` its job was stopped."""
        self._upsert(
            path,
            {
                **content._asdict(),
                "status": status,
                "settings_key": settings_key,
                "error": json.dumps(error.to_json()),
                "updated": when,
                **count._asdict(),
                "version": version,
            },
        )

    def failing(self) -> list[Failing]:
        """Every file that failed the last time, the ones that failed last first."""
        with self._use() as connection:
            rows = connection.execute(
                "SELECT folder, name, error, failures, retry_after, updated FROM files"
                " WHERE status = ? ORDER BY updated DESC, folder, name",
                (FAILED,),
            ).fetchall()
        return [
            Failing(
                os.fsdecode(os.path.join(folder, name)),
                error_from(error),
                Count(failures, retry_after),
                updated,
            )
            for folder, name, error, failures, retry_after, updated in rows
        ]

    def release(self, path: str) -> bool:
        """Forget how the file failed, so that the next run tries it; False: it had not failed."""
        with self._use(lasting=True) as connection:
            found = connection.execute(
                "UPDATE files SET error = NULL, failures = 0, retry_after = 0"
                " WHERE folder = ? AND name = ? AND status = ?",
                (*_key(path), FAILED),
            ).rowcount
            connection.execute("DELETE FROM probes WHERE folder = ? AND name = ?", _key(path))
        return found > 0

    def restamp(self, path: str, size: int, mtime_ns: int) -> None:
        """The same content has a new time stamp."""
        with self._use(lasting=False) as connection:
            connection.execute(
                "UPDATE files SET size = ?, mtime_ns = ? WHERE folder = ? AND name = ?",
                (size, mtime_ns, *_key(path)),
            )

    def probe(self, path: str, size: int, mtime_ns: int) -> ProbeResult | None:
        """The cached probe of a file that has not changed since."""
        with self._use() as connection:
            row = connection.execute(
                "SELECT result FROM probes WHERE folder = ? AND name = ?"
                " AND size = ? AND mtime_ns = ? AND version = ?",
                (*_key(path), size, mtime_ns, PROBE_VERSION),
            ).fetchone()
        if row is None:
            return None
        try:
            return ProbeResult.from_json(json.loads(row[0]))
        except (KeyError, TypeError, ValueError):
            return None  # unreadable: probe again

    def record_probes(self, probes: Iterable[tuple[str, int, int, ProbeResult]]) -> None:
        """Cache probes given as (path, size, mtime_ns, result), all in one commit.

        Only what is wrong with the file itself is kept: another attempt may find no other error.
        """
        rows = [
            (*_key(path), size, mtime_ns, PROBE_VERSION, json.dumps(result.to_json()))
            for path, size, mtime_ns, result in probes
            if result.error is None or _is_the_files(result.error)
        ]
        self._in_one_commit(
            lambda connection: connection.executemany(
                "INSERT OR REPLACE INTO probes VALUES (?, ?, ?, ?, ?, ?)", rows
            )
        )

    def history(self) -> list[tuple[Subject, Record]]:
        """What stages took on this machine."""
        with self._use() as connection:
            rows = connection.execute(f"SELECT {_HISTORY_COLUMNS} FROM history").fetchall()
        size = len(Subject._fields)
        return [(Subject(*row[:size]), Record(*row[size:])) for row in rows]

    def save_history(self, records: Iterable[tuple[Subject, Record]]) -> None:
        """Replace what is known of each subject, all in one commit."""
        rows = [(*subject, *astuple(record)) for subject, record in records]
        marks = ", ".join("?" * len(_HISTORY_COLUMNS.split(",")))
        self._in_one_commit(
            lambda connection: connection.executemany(
                f"INSERT OR REPLACE INTO history ({_HISTORY_COLUMNS}) VALUES ({marks})", rows
            )
        )

    def restore(self, files: Iterable[Restored], runs: Iterable[tuple[str, float]]) -> None:
        """Replace the records of these files, and know of these runs (id, start), in one commit."""
        rows = [
            (
                *_key(one.path),
                *one.content,
                one.status,
                one.settings_key,
                os.fsencode(one.job_dir),
                outputs_json(one.outputs, os.path.dirname(one.path)),
                outputs_json(one.former, os.path.dirname(one.path)),
                None if one.error is None else json.dumps(one.error.to_json()),
                one.failures,
                one.version,
                one.updated,
            )
            for one in files
        ]
        known = list(runs)

        def put(connection: sqlite3.Connection) -> None:
            connection.executemany(
                "INSERT OR REPLACE INTO files (folder, name, size, mtime_ns, fingerprint, status,"
                " settings_key, job_dir, outputs, former, error, failures, version, updated)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                rows,
            )
            connection.executemany(
                "INSERT OR IGNORE INTO runs (run_id, started) VALUES (?, ?)", known
            )

        self._in_one_commit(put, lasting=True)

    def runs(self) -> set[str]:
        """The ids of all runs that are remembered."""
        with self._use() as connection:
            return {run_id for (run_id,) in connection.execute("SELECT run_id FROM runs")}

    def begin_run(self, run_id: str, started: float) -> None:
        """Remember that a run of the batch began (seconds since the epoch)."""
        with self._use(lasting=False) as connection:
            connection.execute(
                "INSERT OR REPLACE INTO runs (run_id, started) VALUES (?, ?)", (run_id, started)
            )

    def end_run(self, run_id: str, finished: float, exit_code: int) -> None:
        """Remember how a run ended."""
        with self._use(lasting=False) as connection:
            connection.execute(
                "UPDATE runs SET finished = ?, exit_code = ? WHERE run_id = ?",
                (finished, exit_code, run_id),
            )

    def _in_one_commit(
        self, work: Callable[[sqlite3.Connection], object], *, lasting: bool = False
    ) -> None:
        with self._use(lasting=lasting) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                work(connection)
                connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # after an I/O error SQLite has done it itself
                    connection.execute("ROLLBACK")
                raise

    def _upsert(self, path: str, values: Mapping[str, Any], also: str = "") -> None:
        """Set only the given columns: a failure must not forget what is ours."""
        with self._use(lasting=True) as connection:
            connection.execute(upsert_of(tuple(values), also), (*_key(path), *values.values()))


def _key(path: str) -> tuple[bytes, bytes]:
    folder, name = os.path.split(path)
    return os.fsencode(folder), os.fsencode(name)


def _is_the_files(error: ErrorInfo) -> bool:
    return error.error_class is ErrorClass.INPUT and not error.retryable
