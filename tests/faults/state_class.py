"""What the next night can tell of a state: two that look the same to it come to the same.

A record that cannot be read is as good as any other that cannot, an output that is not whole as one
that is not there: the product's own readers decide which they are. Nothing reads a temporary file
of the work folder.
"""

from __future__ import annotations

import json
import os
import sqlite3
import tempfile
from collections.abc import Hashable, Mapping
from contextlib import closing
from pathlib import Path

from orchestrator.contract.job import Job
from orchestrator.contract.records import Record, from_json
from orchestrator.job.artefacts import Artefact
from orchestrator.job.manifest import Manifest
from tests.faults.crash_states import Tree

_DATABASE = b"work/batch.db"
_RECORDS: Mapping[bytes, type[Record]] = {
    b"job.json": Job,
    b"manifest.json": Manifest,
    b"artefact.json": Artefact,
}
_SCRATCH = "/dev/shm" if os.path.isdir("/dev/shm") else None


class Classes:
    """Classes of states. ``whole`` are the contents that files of stages had when finished."""

    def __init__(self, whole: frozenset[bytes]) -> None:
        self._whole = whole
        self._readable: dict[tuple[bytes, bytes], bool] = {}
        self._databases: dict[tuple[bytes | None, ...], tuple[Hashable, frozenset[bytes]]] = {}

    def __call__(self, state: Tree) -> Hashable:
        database = tuple(state.get(_DATABASE + name) for name in (b"", b"-wal", b"-journal"))
        if database not in self._databases:
            self._databases[database] = _rows(database)
        rows, known = self._databases[database]
        seen: list[tuple[bytes, bytes | None]] = []
        for path, data in state.items():
            token = self._seen(path, data)
            if token is not None:
                seen.append((path, token))
        unknown = frozenset(_runs_in(state) - known)
        return rows, bool(known), unknown, frozenset(seen)

    def _seen(self, path: bytes, data: bytes | None) -> bytes | None:
        name = path.rpartition(b"/")[2]
        if not path.startswith(b"work/"):
            if data is None:
                return b"folder"
            torn = name.startswith(b".batch-subtitles-") and data not in self._whole
            return b"torn" if torn else b"file " + data
        if (
            name.startswith((b".batch-subtitles-", b"batch.db"))
            or b"/attempts" in path
            or path.startswith(b"work/runs")
        ):
            return None
        if data is None:
            return b"folder"
        if name in _RECORDS:
            return data if self._can_be_read(name, data) else None
        return data if data in self._whole else None

    def _can_be_read(self, name: bytes, data: bytes) -> bool:
        if (name, data) not in self._readable:
            try:
                from_json(_RECORDS[name], json.loads(data))
                self._readable[name, data] = True
            except ValueError:
                self._readable[name, data] = False
        return self._readable[name, data]


def _runs_in(state: Tree) -> set[bytes]:
    """The runs that left a folder: one that the database does not know makes it catch up."""
    return {
        path.rpartition(b"/")[2]
        for path, data in state.items()
        if data is None and path.startswith(b"work/runs/") and path.count(b"/") == 2
    }


def _rows(files: tuple[bytes | None, ...]) -> tuple[Hashable, frozenset[bytes]]:
    """What the tables hold, or what is wrong with the database; and the runs that it knows."""
    if files[0] is None:
        return "no database", frozenset()
    with tempfile.TemporaryDirectory(dir=_SCRATCH) as folder:
        for name, data in zip(("", "-wal", "-journal"), files, strict=True):
            if data is not None:
                Path(folder, "batch.db" + name).write_bytes(data)
        try:
            with closing(sqlite3.connect(Path(folder, "batch.db"))) as connection:
                (sound,) = connection.execute("PRAGMA integrity_check").fetchone()
                version = connection.execute("PRAGMA user_version").fetchone()
                if sound != "ok" or version == (0,):
                    return str(sound), frozenset()
                rows = connection.execute("SELECT * FROM files ORDER BY folder, name").fetchall()
                probes = connection.execute("SELECT folder, name FROM probes").fetchall()
                runs = connection.execute("SELECT run_id FROM runs").fetchall()
                known = frozenset(run_id.encode() for (run_id,) in runs)
                return (version, tuple(rows), tuple(probes)), known
        except sqlite3.Error as error:
            return f"{type(error).__name__}: {error}", frozenset()
