"""Whether a file in the library is the one that we put there."""

from __future__ import annotations

import os
import stat
from enum import Enum
from pathlib import Path
from typing import Protocol

from orchestrator.contract.files import sha256_file
from orchestrator.contract.job import Published


class Ownership(Enum):
    """``OURS`` may be replaced; ``EDITED`` belongs to whoever changed it."""

    OURS = "ours"
    EDITED = "edited"
    MISSING = "missing"


class Library(Protocol):
    """What decisions need to ask the disk, only for the few files that need it."""

    def exists(self, path: str) -> bool:
        """Whether the name is taken, by whatever it is."""

    def ownership(self, published: Published) -> Ownership:
        """Whether what we once published is still that."""

    def writable(self, folder: str) -> bool:
        """Whether a file can be made in the folder, which may not exist yet."""


class DiskLibrary:
    """The library as it is on the disk."""

    def exists(self, path: str) -> bool:
        return os.path.lexists(path)

    def ownership(self, published: Published) -> Ownership:
        """Size and mtime tell at once; a copy or restore changes the mtime, then the hash tells.

        What cannot be read is taken as edited, so that it is never replaced.
        """
        try:
            status = os.lstat(published.path)
        except (FileNotFoundError, NotADirectoryError):
            return Ownership.MISSING
        except OSError:
            return Ownership.EDITED
        if not stat.S_ISREG(status.st_mode) or status.st_size != published.size:
            return Ownership.EDITED
        if status.st_mtime_ns == published.mtime_ns:
            return Ownership.OURS
        try:
            same = sha256_file(Path(published.path)) == published.sha256
        except OSError:
            return Ownership.EDITED
        return Ownership.OURS if same else Ownership.EDITED

    def writable(self, folder: str) -> bool:
        while not os.path.isdir(folder):
            folder = os.path.dirname(folder)
        return os.access(folder, os.W_OK)
