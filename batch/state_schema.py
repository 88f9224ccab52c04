"""The tables of ``batch.db``, how it is opened, and what its errors mean."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from functools import cache
from pathlib import Path

from orchestrator.contract.errors import ErrorClass, Failure, fail
from orchestrator.contract.files import free_bytes, has_free_files

SCHEMA_VERSION = 3
_BUSY_SECONDS = 5.0

_DAMAGE = frozenset(
    {
        0,  # text that cannot be decoded: an error of Python's module, without a number
        sqlite3.SQLITE_ERROR,  # no such table
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_FORMAT,
        sqlite3.SQLITE_MISMATCH,
    }
)
_NO_ROOM_PERHAPS = frozenset({sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN})
_PAGE_BYTES = 64 << 10

_SCHEMA = """
CREATE TABLE files (
    folder BLOB NOT NULL,
    name BLOB NOT NULL,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    fingerprint TEXT NOT NULL,
    status TEXT NOT NULL,
    settings_key TEXT NOT NULL,
    job_dir BLOB NOT NULL DEFAULT x'',
    outputs TEXT NOT NULL DEFAULT '[]',
    former TEXT NOT NULL DEFAULT '[]',
    error TEXT,
    audio_seconds REAL NOT NULL DEFAULT 0,
    seconds REAL NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 1,
    updated REAL NOT NULL,
    PRIMARY KEY (folder, name)
) WITHOUT ROWID;
CREATE TABLE probes (
    folder BLOB NOT NULL,
    name BLOB NOT NULL,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    version INTEGER NOT NULL,
    result TEXT NOT NULL,
    PRIMARY KEY (folder, name)
) WITHOUT ROWID;
CREATE TABLE runs (
    run_id TEXT PRIMARY KEY,
    started REAL NOT NULL,
    finished REAL,
    exit_code INTEGER
) WITHOUT ROWID;
"""

_HISTORY = """
CREATE TABLE history (
    stage TEXT NOT NULL,
    model TEXT NOT NULL,
    variant TEXT NOT NULL,
    device TEXT NOT NULL,
    weight REAL NOT NULL,
    audio REAL NOT NULL,
    seconds REAL NOT NULL,
    squares REAL NOT NULL,
    products REAL NOT NULL,
    load_seconds REAL,
    peak_rss INTEGER,
    held_rss INTEGER,
    peak_vram INTEGER,
    rung INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (stage, model, variant, device)
) WITHOUT ROWID;
"""

_RETRIES = """
ALTER TABLE files ADD COLUMN failures INTEGER NOT NULL DEFAULT 0;
ALTER TABLE files ADD COLUMN retry_after REAL NOT NULL DEFAULT 0;
ALTER TABLE files ADD COLUMN version TEXT NOT NULL DEFAULT '';
"""

_MIGRATIONS = (_SCHEMA, _HISTORY, _RETRIES)
"""What makes each version from the one before it; the first is made from nothing."""


def open_database(path: Path) -> sqlite3.Connection:
    """Open ``path`` for single statements, making the tables in a new file.

    A new file, and so its journals, can be read by this user alone. A power cut never damages it,
    but may take the last commits that were not made with ``synchronous = FULL``.

    Raises:
        Failure: ``state_too_new``, ``state_damaged``, ``state_busy``, ``storage_error``.
    """
    connection = None
    with contextlib.suppress(OSError):  # it is there; or SQLite will say what is wrong
        if path.name != ":memory:":
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        connection = sqlite3.connect(
            path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        _prepare(path, connection)
    except (sqlite3.Error, UnicodeDecodeError) as error:
        if connection is not None:
            connection.close()
        raise translate_error(path, error) from error
    except Failure:
        if connection is not None:
            connection.close()
        raise
    return connection


def _prepare(path: Path, connection: sqlite3.Connection) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version < SCHEMA_VERSION:
        steps = "".join(_MIGRATIONS[version:])
        connection.executescript(
            f"BEGIN IMMEDIATE; {steps} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
        )
    elif version > SCHEMA_VERSION:
        raise fail(
            "state_too_new",
            f"{path} was written by a newer version of this program (its schema is {version},"
            f" this one reads up to {SCHEMA_VERSION})",
            "Update batch-subtitles, or choose another work folder with work_dir.",
            error_class=ErrorClass.ENVIRONMENT,
        )


def _is_full(path: Path) -> bool:
    """Whether no page more fits on the disk, or no file.

    SQLite calls that an I/O error for its shared file, and a new file it just cannot open.
    """
    with contextlib.suppress(OSError):
        return free_bytes(path.parent) < _PAGE_BYTES or not has_free_files(path.parent)
    return False


@cache
def upsert_of(names: tuple[str, ...], also: str) -> str:
    """A statement for a file's record that sets these columns, and makes it where there is none."""
    columns = ", ".join(names)
    marks = ", ".join("?" * len(names))
    changes = ", ".join(f"{name} = excluded.{name}" for name in names)
    return (
        f"INSERT INTO files (folder, name, {columns}) VALUES (?, ?, {marks})"
        f" ON CONFLICT (folder, name) DO UPDATE SET {changes}{', ' + also if also else ''}"
    )


def translate_error(path: Path, error: sqlite3.Error | UnicodeDecodeError) -> Failure:
    """Say what a database error means to the user. Text that cannot be decoded is damage, too."""
    primary = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return fail(
            "state_busy",
            f"{path} is in use by another program: {error}",
            "Close the program that has it open (a database browser, a backup), then run again.",
            error_class=ErrorClass.STORAGE,
            retryable=True,
        )
    if primary == sqlite3.SQLITE_FULL or (primary in _NO_ROOM_PERHAPS and _is_full(path)):
        return fail(
            "disk_full",
            f"{path} cannot be written: the disk is full",
            "Free some space on that disk, then run the same command again.",
            error_class=ErrorClass.STORAGE,
            retryable=True,
        )
    if primary not in _DAMAGE:
        return fail(
            "storage_error",
            f"{path} cannot be opened or written: {error}",
            "Check that the work folder exists and is writable, and that its disk is healthy.",
            error_class=ErrorClass.STORAGE,
            retryable=True,
        )
    return damaged(f"{path} is damaged or not a database of this program: {error}")


def damaged(what: str) -> Failure:
    """The failure for a database that cannot be read."""
    return fail(
        "state_damaged",
        what,
        "Run the same command again: it puts batch.db aside, and knows from the folders of the"
        " jobs what is done.",
        error_class=ErrorClass.STORAGE,
        retryable=True,
    )
