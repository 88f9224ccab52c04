"""What a file holds: its hash, and the record of it that travels in results and manifests."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import sys
from pathlib import Path

from orchestrator.contract.records import Record


def sha256_file(path: Path) -> str:
    """SHA-256 of the whole file as 64 hex digits.

    Raises:
        OSError: it cannot be read, or is no file: a pipe that somebody puts there at any moment
            would be waited on for ever.
    """
    with open(path, "rb", opener=_without_waiting) as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


_FEW_FILES = 3
"""A database with its two journals."""


def free_bytes(folder: Path) -> int:
    """Space that we may use on the folder's disk; no end of it where that has no size (ramfs, and
    FUSE drivers that do not say). Raises: OSError."""
    if sys.platform == "win32":
        import shutil

        return shutil.disk_usage(folder).free
    status = os.statvfs(folder)  # shutil's import costs a job 3 ms of CPU
    return status.f_bavail * status.f_frsize if status.f_blocks else sys.maxsize


def has_free_files(folder: Path) -> bool:
    """Whether the disk has room for a few files more; some have no limit. Raises: OSError."""
    if sys.platform == "win32":
        return True
    status = os.statvfs(folder)
    return status.f_files == 0 or status.f_favail >= _FEW_FILES


class FileRecord(Record):
    """One output of a stage: its artefact name, file name, size in bytes and SHA-256."""

    name: str
    file: str
    size: int
    sha256: str

    @classmethod
    def of(cls, name: str, path: Path) -> FileRecord:
        """Measure the file at ``path``. Raises: OSError."""
        return cls(name, path.name, path.stat().st_size, sha256_file(path))

    def matches(self, folder: Path) -> bool:
        """Whether ``folder`` holds exactly this file (size first: it is free)."""
        path = folder / self.file
        try:
            return path.stat().st_size == self.size and sha256_file(path) == self.sha256
        except OSError:
            return False
