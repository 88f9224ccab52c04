"""The tables of ``batch.db``, how it is opened, and what its errors mean."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from orchestrator.contract.errors import ErrorClass, Failure, fail
from orchestrator.contract.files import free_bytes

SCHEMA_VERSION = 2
_BUSY_SECONDS = 5.0
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

_MIGRATIONS = (_SCHEMA, _HISTORY)
"""What makes each version from the one before it; the first is made from nothing."""


def open_database(path: Path) -> sqlite3.Connection:
    """Open ``path`` for durable single statements, making the tables in a new file.

    Raises:
        Failure: ``state_too_new``, ``state_damaged``, ``state_busy``, ``storage_error``.
    """
    connection = None
    try:
        connection = sqlite3.connect(
            path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        _prepare(path, connection)
    except sqlite3.Error as error:
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
    """Whether no page more fits on the disk: SQLite calls that an I/O error for its shared file."""
    with contextlib.suppress(OSError):
        return free_bytes(path.parent) < _PAGE_BYTES
    return False


def translate_error(path: Path, error: sqlite3.Error) -> Failure:
    """Say what a database error means to the user."""
    primary = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return fail(
            "state_busy",
            f"{path} is in use by another program: {error}",
            "Close the program that has it open (a database browser, a backup), then run again.",
            error_class=ErrorClass.STORAGE,
            retryable=True,
        )
    if primary == sqlite3.SQLITE_FULL or (primary == sqlite3.SQLITE_IOERR and _is_full(path)):
        return fail(
            "disk_full",
            f"{path} cannot be written: the disk is full",
            "Free some space on that disk, then run the same command again.",
            error_class=ErrorClass.STORAGE,
            retryable=True,
        )
    if primary in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR):
        return fail(
            "storage_error",
            f"{path} cannot be opened or written: {error}",
            "Check that the work folder exists and is writable, and that its disk is healthy.",
            error_class=ErrorClass.STORAGE,
            retryable=True,
        )
    return fail(
        "state_damaged",
        f"{path} is damaged or not a database of this program: {error}",
        f"Move {path.name}, {path.name}-wal and {path.name}-shm out of {path.parent} and run again:"
        " files that have their subtitles are recognised by them, and finished stages are reused.",
        error_class=ErrorClass.STORAGE,
    )
