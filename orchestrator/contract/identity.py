"""Whether a folder is still the one that it was: a disk that went away leaves an empty mount point.

Numbers alone do not tell. Several drivers (sshfs, exFAT, unionfs) give a folder another inode
number when the kernel has forgotten it for want of memory, and a share that is mounted again has
another device number. What holds something that it held before is the same.
"""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path

from orchestrator.contract.atomic import TEMPORARY_MARK
from orchestrator.contract.records import Record

_NAMES = 8


class FolderIdentity(Record):
    """Device and inode of a folder, and the names of some of what was in it."""

    device: int
    inode: int
    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, folder: str | Path) -> FolderIdentity:
        """Raises: OSError."""
        status = os.stat(folder)
        with os.scandir(folder) as entries:
            lasting = (one.name for one in entries if not one.name.startswith(TEMPORARY_MARK))
            return cls(status.st_dev, status.st_ino, tuple(islice(lasting, _NAMES)))

    def is_still(self, folder: str | Path) -> bool:
        """Raises: OSError."""
        status = os.stat(folder)
        return (status.st_dev, status.st_ino) == (self.device, self.inode) or any(
            os.path.lexists(os.path.join(folder, name)) for name in self.names
        )
