"""Find the media files of a library: one plain walk, folder by folder, in a fixed order.

Nothing is opened. Everything that could be a media file by its name and yet cannot be worked on
comes along with a problem code, so that it is reported instead of silently missing.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections import deque
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path

from batch.listing import (
    EXCLUDED,
    MARKED,
    PARTIAL,
    DirectoryListing,
    DiscoveryRules,
    LeftOut,
    MediaFile,
)
from batch.patterns import PatternFilter
from orchestrator.contract.errors import (
    ErrorClass,
    Failure,
    describe_os_error,
    fail,
)
from orchestrator.contract.identity import FolderIdentity
from orchestrator.contract.naming import media_stem

MARKER_FILES = frozenset({".nosubtitles", ".subgen_skip"})
"""A folder that holds one of these, and everything below it, is left alone."""

SYSTEM_FOLDERS = frozenset(
    {"lost+found", "$RECYCLE.BIN", "System Volume Information", "@eaDir", "#recycle", "#snapshot"}
)
"""Folders that file systems and storage boxes make for themselves in any library."""

_BESIDE_PARTIAL = frozenset({"part", "crdownload", "aria2", "partial", "!qB", "!ut"})
"""``film.mkv`` is unfinished while ``film.mkv.part`` (or the like) stands beside it."""

_MAYBE_PARTIAL = re.compile(r"\.(?:part|te?mp\.|crdownload|incomplete|aria2|!)")
"""Found in every name that the rules above and below can match."""

_PARTIAL_STEMS = (".tmp", ".temp", ".part", ".partial", ".crdownload", ".incomplete")
"""Endings of the stem while a program still writes; lower case only, as programs write them."""


def is_settled(mtime_ns: int, now_ns: int, settle_seconds: float) -> bool:
    """Whether a file has not been written to for ``settle_seconds``.

    A time stamp further ahead than that says nothing about growth (a wrong clock), so it counts
    as settled.
    """
    return abs(now_ns - mtime_ns) >= settle_seconds * 1e9


def discover(source: str, rules: DiscoveryRules) -> Iterator[DirectoryListing]:
    """Walk ``source`` (a folder, or one media file) and yield each folder that has anything.

    Real folders come first, in order of name; folders behind symbolic links come last, each real
    folder once only, so that a link never takes the place of the folder it points to.

    The walk can be gone on with after a failure: it begins with the folder that could not be read.

    Raises:
        Failure: ``input_not_found``, ``input_unreadable``, ``storage_lost`` (the source vanished
            during the walk), ``bad_pattern``.
    """
    root = os.path.abspath(source)
    try:
        status = os.stat(root)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise fail(
            "input_not_found",
            f"There is no such file or folder: {root}",
            "Check the path; if it is on another disk or a network share, mount that first.",
        ) from error
    except OSError as error:
        raise _unreadable_input(root, error) from error
    if not stat.S_ISDIR(status.st_mode):
        return iter([_single_file(root, status)])
    try:
        return _Walk(root, FolderIdentity.of(root), rules)
    except OSError as error:
        raise _unreadable_input(root, error) from error


def _unreadable_input(root: str, error: OSError) -> Failure:
    info = describe_os_error(error, f"Cannot read the input {root}")
    return fail(
        "input_unreadable", info.message, info.hint, error_class=ErrorClass.STORAGE, retryable=True
    )


def _single_file(path: str, status: os.stat_result) -> DirectoryListing:
    """A file named by the user is taken whatever its name; its folder is listed for coverage."""
    folder, name = os.path.split(path)
    try:
        names = set(os.listdir(folder))
    except OSError as error:
        raise _unreadable_input(folder, error) from error
    item = MediaFile(name, folder, status.st_size, status.st_mtime_ns, _file_problem(status))
    return DirectoryListing(folder, [item], names, [])


def _file_problem(status: os.stat_result) -> str | None:
    if not stat.S_ISREG(status.st_mode):
        return "not_a_regular_file"
    return None if status.st_size else "empty_file"


class _Walk(Iterator[DirectoryListing]):
    """The state of one walk. The inner loop is flat on purpose: it runs once per file."""

    def __init__(self, root: str, identity: FolderIdentity, rules: DiscoveryRules) -> None:
        self._root = root
        self._identity = identity
        self._rules = rules
        self._prefix = len(root.rstrip(os.sep)) + 1
        self._filter = (
            PatternFilter(rules.include, rules.exclude) if rules.include or rules.exclude else None
        )
        self._visited = self._never_entered()
        self._pending = [root]
        self._links: deque[str] = deque()
        self._lost = False

    def __next__(self) -> DirectoryListing:
        """The next folder that has anything. After a Failure it can be asked again: it goes on with
        the folder that it was about to list.

        Raises: Failure, see :func:`discover`.
        """
        if self._lost:
            self._find_root_again()
        while self._pending or self._links:
            if not self._pending:
                self._pending.append(self._links.popleft())
            listing = self._next_folder(self._pending[-1])
            if listing is not None and (listing.media or listing.left_out):
                return listing
        self._check_root()
        raise StopIteration

    def _never_entered(self) -> dict[tuple[int, int], tuple[str, ...]]:
        """Identities of the folders above the input (a link up would leave it) and of our own."""
        real = Path(os.path.realpath(self._root))
        identities: dict[tuple[int, int], tuple[str, ...]] = {}
        for folder in (*map(str, real.parents), *self._rules.skip_folders):
            try:
                status = os.stat(folder)
            except OSError:
                continue  # an output folder that does not exist yet
            identity = (status.st_dev, status.st_ino)
            identities[identity] = (*identities.get(identity, ()), folder)
        identities.pop((self._identity.device, self._identity.inode), None)
        return identities

    def _was_entered(self, handle: int | str, identity: tuple[int, int]) -> bool:
        """Whether the folder was listed before, under another path, or is never to be entered.

        Where one file system shows several disks (bindfs does), their roots have the same number;
        they were not changed at the same moment.
        """
        for path in self._visited.get(identity, ()):
            try:
                first, now, last = (os.stat(one).st_mtime_ns for one in (path, handle, path))
            except OSError:
                return True
            if first <= now <= last:
                return True
        return False

    def _next_folder(self, folder: str) -> DirectoryListing | None:
        """List the folder, which is the last of those pending, and put its own in its place."""
        folders: list[str] = []
        try:
            listing = self._list(folder, folders)
        except OSError as error:
            listing = self._unlistable(folder, error)
        del self._pending[-1]
        folders.sort(reverse=True)
        self._pending += folders
        return listing

    def _unlistable(self, folder: str, error: OSError) -> DirectoryListing:
        self._check_root()
        if folder == self._root:
            raise _unreadable_input(folder, error) from error
        nothing = DirectoryListing(folder, [], set(), [])
        if isinstance(error, FileNotFoundError) and not os.path.islink(folder):
            return nothing  # removed since its parent was listed
        parent, name = os.path.split(folder)
        nothing.media.append(MediaFile(name, parent, 0, 0, "unreadable_folder"))
        return nothing

    def _check_root(self) -> None:
        """A share that went away must not read as a library without files."""
        try:
            if self._identity.is_still(self._root):
                return
            reason = "it is not the same folder any more"
        except OSError as error:
            reason = error.strerror or str(error)
        self._lost = True
        raise fail(
            "storage_lost",
            f"The input folder {self._root} went away while it was being read: {reason}",
            "Mount the disk or network share again, then run the same command again.",
            error_class=ErrorClass.STORAGE,
            retryable=True,
        )

    def _find_root_again(self) -> None:
        """Whoever asks again has seen to it that the library is back; its disk has other numbers
        where it was mounted anew. Raises: Failure, see :func:`discover`."""
        try:
            self._identity = FolderIdentity.of(self._root)
        except OSError as error:
            raise _unreadable_input(self._root, error) from error
        self._lost = False

    def _list(self, folder: str, folders: list[str]) -> DirectoryListing | None:
        """List one folder and add its subfolders to ``folders``; None if it was listed before."""
        handle: int | str = folder
        if _BY_DESCRIPTOR:  # spares the kernel the whole path for each stat
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            status = os.stat(handle)
            identity = (status.st_dev, status.st_ino)
            if folder == self._root:
                self._check_root()  # unmounted since: an empty mount point
            if self._was_entered(handle, identity):
                return None
            media: list[MediaFile] = []
            names: list[str] = []
            links: list[str] = []
            self._scan(handle, folder, media, names, folders, links)
            self._visited[identity] = (*self._visited.get(identity, ()), folder)
        finally:
            if isinstance(handle, int):
                os.close(handle)
        listing = DirectoryListing(folder, media, set(names), [])
        if not MARKER_FILES.isdisjoint(listing.names):
            folders.clear()
            return _marked(folder)
        if media:
            _leave_out_partial(listing, names)
        if self._filter is not None:
            self._apply_patterns(self._filter, listing, folders, links)
        if links and self._rules.follow_symlinks:
            self._links.extend(sorted(links))
        media.sort(key=_by_name)
        return listing

    def _scan(
        self,
        handle: int | str,
        folder: str,
        media: list[MediaFile],
        names: list[str],
        folders: list[str],
        links: list[str],
    ) -> None:
        extensions = self._rules.extensions
        inside = folder if folder.endswith(os.sep) else folder + os.sep
        regular, directory, type_bits = stat.S_IFREG, stat.S_IFDIR, _TYPE_BITS
        new, kind = tuple.__new__, MediaFile  # skips a Python call per file
        entry: os.DirEntry[str]
        with os.scandir(handle) as entries:
            for entry in entries:
                name = entry.name
                extension = name.rpartition(".")[2]
                try:
                    if (
                        extension in extensions or extension.lower() in extensions
                    ) and name != extension:
                        if name[0] == ".":
                            continue
                        status = entry.stat()
                        size = status.st_size
                        mode = status.st_mode & type_bits
                        if mode == regular:
                            problem = None if size else "empty_file"
                        elif mode == directory:
                            (links if entry.is_symlink() else folders).append(inside + name)
                            continue
                        else:
                            problem = "not_a_regular_file"
                        media.append(new(kind, (name, folder, size, status.st_mtime_ns, problem)))
                    elif entry.is_dir():
                        if name[0] != "." and name not in SYSTEM_FOLDERS:
                            (links if entry.is_symlink() else folders).append(inside + name)
                        continue
                except OSError as error:
                    self._check_root()
                    problem = _stat_problem(entry, error)
                    if problem is None:
                        continue
                    media.append(MediaFile(name, folder, 0, 0, problem))
                names.append(name)

    def _apply_patterns(
        self,
        patterns: PatternFilter,
        listing: DirectoryListing,
        folders: list[str],
        links: list[str],
    ) -> None:
        prefix = self._prefix
        for paths in (folders, links):
            dropped = {path for path in paths if patterns.drops_folder(path[prefix:])}
            paths[:] = [path for path in paths if path not in dropped]
            listing.left_out.extend(
                LeftOut(path + os.sep, EXCLUDED, _EXCLUDED_DETAIL) for path in sorted(dropped)
            )
        kept = []
        for item in listing.media:
            if patterns.drops_file(item.path[prefix:]):
                listing.left_out.append(LeftOut(item.path, EXCLUDED, _EXCLUDED_DETAIL))
            else:
                kept.append(item)
        listing.media[:] = kept


_TYPE_BITS = 0o170000
_BY_DESCRIPTOR = os.scandir in os.supports_fd
_EXCLUDED_DETAIL = "left out by the include and exclude patterns"
_by_name = itemgetter(0)
_LEADS_NOWHERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})


def _stat_problem(entry: os.DirEntry[str], error: OSError) -> str | None:
    """What a candidate's failed stat means; None if it was removed in the meantime."""
    if error.errno in _LEADS_NOWHERE and entry.is_symlink():
        return "broken_symlink"
    return None if isinstance(error, FileNotFoundError) else "unreadable_file"


def _marked(folder: str) -> DirectoryListing:
    detail = f"it holds one of {', '.join(sorted(MARKER_FILES))}"
    return DirectoryListing(folder, [], set(), [LeftOut(folder + os.sep, MARKED, detail)])


def _leave_out_partial(listing: DirectoryListing, names: list[str]) -> None:
    if not _MAYBE_PARTIAL.search("\n".join(names)):  # once per folder instead of once per name
        return
    unfinished = {
        stem
        for stem, _, extension in (name.rpartition(".") for name in names)
        if extension in _BESIDE_PARTIAL
    }
    kept = []
    for item in listing.media:
        if item.name in unfinished or media_stem(item.name).endswith(_PARTIAL_STEMS):
            detail = "it looks like an unfinished download or copy"
            listing.left_out.append(LeftOut(item.path, PARTIAL, detail))
        else:
            kept.append(item)
    listing.media[:] = kept
