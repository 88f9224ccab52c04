"""What a job must find as it was: the media that it was made for, and what it publishes onto.

A disk that went away leaves its mount point, an empty folder into which files would be published
whole and never be seen again once the disk is back.
"""

from __future__ import annotations

import os
from pathlib import Path

from orchestrator.contract.errors import ErrorClass, Failure, describe_os_error, fail
from orchestrator.contract.identity import FolderIdentity
from orchestrator.contract.job import Source
from orchestrator.contract.records import Record


class Ground(Record):
    """A folder that was there, and which one it was."""

    folder: Path
    identity: FolderIdentity

    @classmethod
    def of(cls, folder: Path) -> Ground:
        """The folder, or the nearest one above it that is there.

        Raises:
            Failure: a storage error.
        """
        while True:
            try:
                return cls(folder, FolderIdentity.of(folder))
            except (FileNotFoundError, NotADirectoryError):
                folder = folder.parent
            except OSError as error:
                raise _unreadable(folder, error) from error

    def check(self) -> None:
        """Raises: Failure, it is another folder now, or none."""
        try:
            same = self.identity.is_still(self.folder)
        except OSError as error:
            raise _unreadable(self.folder, error) from error
        if not same:
            raise fail(
                "storage_lost",
                f"{self.folder} is not the folder any more that it was: its disk was unmounted",
                "Mount the disk or network share again, then run the same command again.",
                error_class=ErrorClass.STORAGE,
                retryable=True,
            )


def check_source(source: Source) -> None:
    """Raises: Failure when the media is gone or is not the file the job was made for."""
    try:
        status = os.stat(source.path)
    except OSError as error:
        raise fail(
            "source_unreadable",
            f"{source.path}: {error.strerror}",
            "Check that the file is still there and may be read, then run again.",
            error_class=ErrorClass.STORAGE,
            retryable=True,
        ) from error
    if (status.st_size, status.st_mtime_ns) != (source.size, source.mtime_ns):
        raise fail(
            "source_changed",
            f"{source.path}: the file changed after the job was made for it",
            "Run the batch again (it makes a new job), or prepare the job again.",
            retryable=True,
        )


def _unreadable(folder: Path, error: OSError) -> Failure:
    return Failure(describe_os_error(error, f"{folder} cannot be read"))
