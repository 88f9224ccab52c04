"""What discovery hands on: media files, what was left out, and the listing of one folder."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple

from orchestrator.contract.errors import ErrorClass, ErrorInfo

EXCLUDED = "excluded"
PARTIAL = "partial"
MARKED = "marked"

_PROBLEMS: dict[str, tuple[str, str, ErrorClass, bool]] = {
    "empty_file": (
        "{path} is empty (0 bytes)",
        "Delete it or copy it again, then run the same command again.",
        ErrorClass.INPUT,
        False,
    ),
    "broken_symlink": (
        "{path} is a symbolic link that leads nowhere",
        "Remove the link, or make its target available (a disk that is not mounted?).",
        ErrorClass.INPUT,
        True,
    ),
    "not_a_regular_file": (
        "{path} is a pipe, socket or device, not a file",
        "Remove it or rename it so that it does not end like a media file.",
        ErrorClass.INPUT,
        False,
    ),
    "unreadable_file": (
        "{path} cannot be looked at",
        "Give this user access to the file and its folder (or check the disk), then run again.",
        ErrorClass.STORAGE,
        True,
    ),
    "unreadable_folder": (
        "{path} is a folder that cannot be listed, so nothing in it was looked at",
        "Give this user read access to the folder (or check the disk), or exclude it.",
        ErrorClass.STORAGE,
        True,
    ),
}


class MediaFile(NamedTuple):
    """One candidate: size in bytes, mtime in ns since the epoch, and what is wrong with it."""

    name: str
    folder: str
    size: int
    mtime_ns: int
    problem: str | None = None

    @property
    def path(self) -> str:
        """Absolute path; names that are not UTF-8 survive as surrogate escapes."""
        return os.path.join(self.folder, self.name)

    @property
    def error(self) -> ErrorInfo | None:
        """The problem as an error to report; None when there is none."""
        if self.problem is None:
            return None
        message, hint, error_class, retryable = _PROBLEMS[self.problem]
        return ErrorInfo(self.problem, message.format(path=self.path), hint, error_class, retryable)


class LeftOut(NamedTuple):
    """A media file or a whole folder (``path`` ends in a separator) that is not to be touched."""

    path: str
    reason: str
    detail: str


class DirectoryListing(NamedTuple):
    """One folder: its media in order of name, and the names of all its files, for coverage."""

    folder: str
    media: list[MediaFile]
    names: set[str]
    left_out: list[LeftOut]


@dataclass(frozen=True, slots=True)
class DiscoveryRules:
    """What counts as media and where not to look.

    ``extensions`` without dot, in lower case. ``skip_folders`` are never entered: the work folder
    and the output folder.
    """

    extensions: frozenset[str]
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    follow_symlinks: bool = True
    skip_folders: Collection[str] = ()
