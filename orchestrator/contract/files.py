"""What a file holds: its hash, and the record of it that travels in results and manifests."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path


def sha256_file(path: Path) -> str:
    """SHA-256 of the whole file as 64 hex digits. Raises: OSError."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@dataclass(frozen=True, slots=True)
class FileRecord:
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
