"""What a file holds: its hash, and the record of it that travels in results and manifests."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

from orchestrator.contract.records import Record


def sha256_file(path: Path) -> str:
    """SHA-256 of the whole file as 64 hex digits. Raises: OSError."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def free_bytes(folder: Path) -> int:
    """Space that we may use on the folder's disk. Raises: OSError."""
    if sys.platform == "win32":
        import shutil

        return shutil.disk_usage(folder).free
    status = os.statvfs(folder)  # shutil's import costs a job 3 ms of CPU
    return status.f_bavail * status.f_frsize


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
