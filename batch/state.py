"""What earlier runs made of each file: the batch's memory, in one SQLite file on a local disk.

Every method is synchronous and commits before it returns (WAL, ``synchronous=FULL``: about 0.15 ms
each on a local disk). One connection, usable from any thread, one call at a time. Paths are stored
as bytes, so that names which are not UTF-8 survive.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any, NamedTuple

from batch.history import Record, Subject
from batch.state_schema import open_database, translate_error
from orchestrator.contract.errors import ErrorInfo
from orchestrator.contract.job import Published
from orchestrator.contract.media import PROBE_VERSION, ProbeResult

DONE = "done"
FAILED = "failed"
STARTED = "started"
INTERRUPTED = "interrupted"


class Content(NamedTuple):
    """Which content a file had: size in bytes, mtime in ns, fingerprint ("" if never taken)."""

    size: int
    mtime_ns: int
    fingerprint: str = ""


class FileRecord(NamedTuple):
    """What is remembered of one file. JSON columns stay text until somebody asks."""

    size: int
    mtime_ns: int
    fingerprint: str
    status: str
    settings_key: str
    job_dir: bytes
    outputs_json: str
    former_json: str
    error_json: str | None

    @property
    def output_paths(self) -> list[str]:
        """Outputs of the last success: a bare name is beside the media, else an absolute path."""
        rows, _ = _read_json(self.outputs_json)
        return [row[0] for row in rows]

    def published(self, folder: str) -> list[Published]:
        """Every file we made for the media in ``folder``, also under earlier settings."""
        rows = json.loads(self.outputs_json) + json.loads(self.former_json)
        return [
            Published(os.path.join(folder, path), size, mtime_ns, sha256)
            for path, size, mtime_ns, sha256 in rows
        ]

    @property
    def error(self) -> ErrorInfo | None:
        return None if self.error_json is None else ErrorInfo.from_json(json.loads(self.error_json))


# Run for every finished file of every run, hence below the usual layers: fsdecode, json.loads and
# a NamedTuple's constructor are Python functions.
_NAMES = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()
_read_json = json.JSONDecoder().raw_decode
_new_tuple = tuple.__new__

_COLUMNS = (
    "name, size, mtime_ns, fingerprint, status, settings_key, job_dir, outputs, former, error"
)
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

    @classmethod
    def open(cls, path: Path) -> State:
        """Open the database, and make it where there is none.

        Raises:
            Failure: ``state_too_new``, ``state_damaged``, ``state_busy``, ``storage_error``.
        """
        return cls(path, open_database(path))

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    @contextmanager
    def _use(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._connection
            except sqlite3.Error as error:
                raise translate_error(self._path, error) from error

    def records_in(self, folder: str) -> dict[str, FileRecord]:
        """The records of one folder's files by name: one indexed read, so memory stays flat."""
        with self._use() as connection:
            rows = connection.execute(
                f"SELECT {_COLUMNS} FROM files WHERE folder = ?", (os.fsencode(folder),)
            ).fetchall()
        return {row[0].decode(*_NAMES): _new_tuple(FileRecord, row[1:]) for row in rows}

    def record(self, path: str) -> FileRecord | None:
        """The record of one file."""
        with self._use() as connection:
            row = connection.execute(
                f"SELECT {_COLUMNS} FROM files WHERE folder = ? AND name = ?", _key(path)
            ).fetchone()
        return None if row is None else FileRecord._make(row[1:])

    def record_started(
        self, path: str, content: Content, settings_key: str, job_dir: str, when: float
    ) -> None:
        """A job for the file begins at ``when`` (seconds since the epoch)."""
        self._upsert(
            path,
            {
                **content._asdict(),
                "status": STARTED,
                "settings_key": settings_key,
                "job_dir": os.fsencode(job_dir),
                "error": None,
                "updated": when,
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
        current = {output.path for output in outputs}
        former = [
            output
            for output in (earlier.published(folder) if earlier else [])
            if output.path not in current
        ]
        self._upsert(
            path,
            {
                **content._asdict(),
                "status": DONE,
                "settings_key": settings_key,
                "outputs": _outputs_json(outputs, folder),
                "former": _outputs_json(former, folder),
                "error": None,
                "audio_seconds": audio_seconds,
                "seconds": seconds,
                "updated": when,
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
            },
        )

    def restamp(self, path: str, size: int, mtime_ns: int) -> None:
        """The same content has a new time stamp."""
        with self._use() as connection:
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

        Errors that another attempt may cure are not kept.
        """
        rows = [
            (*_key(path), size, mtime_ns, PROBE_VERSION, json.dumps(result.to_json()))
            for path, size, mtime_ns, result in probes
            if result.error is None or not result.error.retryable
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

    def begin_run(self, run_id: str, started: float) -> None:
        """Remember that a run of the batch began (seconds since the epoch)."""
        with self._use() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO runs (run_id, started) VALUES (?, ?)", (run_id, started)
            )

    def end_run(self, run_id: str, finished: float, exit_code: int) -> None:
        """Remember how a run ended."""
        with self._use() as connection:
            connection.execute(
                "UPDATE runs SET finished = ?, exit_code = ? WHERE run_id = ?",
                (finished, exit_code, run_id),
            )

    def _in_one_commit(self, work: Callable[[sqlite3.Connection], object]) -> None:
        with self._use() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                work(connection)
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def _upsert(self, path: str, values: Mapping[str, Any], also: str = "") -> None:
        """Set only the given columns: a failure must not forget what is ours."""
        columns = ", ".join(values)
        marks = ", ".join("?" * len(values))
        changes = ", ".join(f"{column} = excluded.{column}" for column in values)
        with self._use() as connection:
            connection.execute(
                f"INSERT INTO files (folder, name, {columns}) VALUES (?, ?, {marks})"
                f" ON CONFLICT (folder, name) DO UPDATE SET {changes}{', ' + also if also else ''}",
                (*_key(path), *values.values()),
            )


def _key(path: str) -> tuple[bytes, bytes]:
    folder, name = os.path.split(path)
    return os.fsencode(folder), os.fsencode(name)


def _outputs_json(outputs: Iterable[Published], folder: str) -> str:
    """Compact, because it is read for every finished file of every run."""
    rows = []
    for output in outputs:
        parent, name = os.path.split(output.path)
        where = name if parent == folder else output.path
        rows.append([where, output.size, output.mtime_ns, output.sha256])
    return json.dumps(rows, separators=(",", ":"))
