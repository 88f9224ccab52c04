"""Durable file changes: whole or not at all, and on the disk before they are acknowledged.

The order is always the same: write a temporary file in the target's own folder, fsync it, rename
it, fsync the folder. Without the first fsync a power cut may leave an empty file under the new
name, without the second the old file (154 of 324 modelled crash states lost an acknowledged write,
with both none). Each costs milliseconds: who can bear the loss says so.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

TYPE_CHECKING = False  # as typing's, whose import would cost a job 3 ms
if TYPE_CHECKING:
    from typing import Any

_AT_FDCWD = -100
_RENAME_NOREPLACE = 1
_RENAME_EXCHANGE = 2
_DARWIN_RENAME_SWAP = 2
_DARWIN_RENAME_EXCL = 4
_NOT_SUPPORTED = frozenset(
    {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EPERM}
)
TEMPORARY_MARK = ".batch-subtitles-"


def temporary_name(name: str) -> str:
    """A hidden name for a file on its way to ``name``, in the same folder; at most 60 bytes."""
    return f"{TEMPORARY_MARK}{os.urandom(8).hex()}{Path(name).suffix[:16]}.tmp"


def fsync_folder(folder: Path) -> None:
    """Put the folder's entries on the disk. Windows has no such call and needs none on NTFS."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network and FUSE file systems refuse to sync a folder; there is nothing better.
        if error.errno not in _NOT_SUPPORTED:
            raise
    finally:
        os.close(descriptor)


def make_folder(folder: Path, mode: int = 0o777) -> None:
    """Create a folder and its missing parents durably. Raises: OSError."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir(mode, exist_ok=True)
        fsync_folder(one.parent)


def fsync_file(path: Path) -> None:
    """Put a file's content on the disk."""
    # Windows flushes only descriptors that are open for writing.
    descriptor = os.open(path, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _temporary(folder: Path, name: str, data: bytes, *, synced: bool) -> Iterator[Path]:
    """A temporary file with ``data``; removed unless it was renamed away."""
    path = folder / temporary_name(name)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags, 0o666)
    try:
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
            if synced:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        yield path
    finally:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()


def write_atomic(path: Path, data: bytes, *, whole: bool = True, lasting: bool = True) -> None:
    """Replace ``path`` with ``data``. For our own files only, never in a media library.

    Whoever reads it finds the old content or the new. After a power cut it is the new one if it is
    ``lasting``, the old or the new one if it is only ``whole``, and else it may be torn or empty.

    Raises:
        OSError: nothing changed, or (after the rename) the folder could not be synced.
    """
    with _temporary(path.parent, path.name, data, synced=whole or lasting) as temporary:
        temporary.replace(path)
        if lasting:
            fsync_folder(path.parent)


def write_json(
    path: Path, value: Mapping[str, Any], *, whole: bool = True, lasting: bool = True
) -> None:
    """:func:`write_atomic` of JSON, a key a line. Lone surrogates of odd names are escaped."""
    # ``indent`` would leave the C encoder: 1.2 instead of 0.1 ms for a manifest.
    lines = [f"{json.dumps(key)}: {json.dumps(one)}" for key, one in value.items()]
    data = ("{\n" + ",\n".join(lines) + "\n}\n").encode("ascii")
    write_atomic(path, data, whole=whole, lasting=lasting)


def put_json(path: Path, value: Any) -> None:
    """Write JSON where none was, neither synced nor in one step.

    For what an attempt is asked, makes and answers: it is of no use after a power cut, it is read
    only when its writer says that it is there, and an object that was cut short is no JSON.
    """
    path.write_bytes(json.dumps(value).encode("ascii"))


def read_json(path: Path) -> Any:
    """Raises: OSError, ValueError (not JSON)."""
    return json.loads(path.read_bytes())


def rename_new(
    source: Path, target: Path, before_taking: Callable[[], None] = lambda: None
) -> None:
    """Rename within one file system; never replaces. The caller syncs the folder.

    ``before_taking`` is called where the name has to be taken with an empty file first, which is
    left there if this process dies in between; it may raise.

    Raises:
        FileExistsError: ``target`` is there already, whatever it is.
        OSError: the rename failed; ``source`` is unchanged.
    """
    if sys.platform == "win32":
        source.rename(target)  # MoveFile without REPLACE_EXISTING
        return
    if _native_rename(source, target, exchange=False):
        return
    if source.is_dir():
        # No file system without RENAME_NOREPLACE is asked to hold a work folder's artefacts in
        # contest: rename onto a non-empty folder fails, and that is all that is needed here.
        if target.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
        source.rename(target)
        return
    try:
        os.link(source, target)
    except OSError as error:
        # A share may have made the link, lost its answer and been asked again.
        if not _is_linked(source, target):
            if isinstance(error, FileExistsError):
                raise
            # Drivers without links say so with any error (rclone with EIO, CryFS with ERANGE). If
            # it was a real one, the last resort meets it as well.
            before_taking()
            _take_name(source, target)
            return
    source.unlink()


def exchange(first: Path, second: Path) -> bool:
    """Swap two files of one folder atomically. False where the file system cannot."""
    if sys.platform == "win32":
        return False
    return _native_rename(first, second, exchange=True)


def _is_linked(source: Path, target: Path) -> bool:
    """Whether the two are hard links of one file. False where that cannot be told."""
    try:
        first, second = source.lstat(), target.lstat()
    except OSError:
        return False
    return first.st_nlink > 1 and os.path.samestat(first, second)


def _take_name(source: Path, target: Path) -> None:
    """Take the name with an empty file of ours, then rename over that one: the last resort.

    Who sees the empty file knows it for ours by a recorded intent. Whoever wrote something into it
    keeps that, unless it was in the moment between our look at it and the rename.
    """
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    if not _is_empty(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    try:
        source.replace(target)
    except OSError:
        # Nor is it renamed with the name free again where this is refused, as by SFTP servers of
        # old: FUSE lets that replace what somebody has created and still has open.
        if _is_empty(target):
            target.unlink()
        raise


def _is_empty(path: Path) -> bool:
    """False for what is not there: FUSE drivers take a file that is replaced away first."""
    try:
        return not path.stat().st_size
    except FileNotFoundError:
        return False


def _native_rename(source: Path, target: Path, *, exchange: bool) -> bool:
    """``renameat2`` on Linux, ``renamex_np`` on macOS; False where it is not supported."""
    import ctypes  # 5 ms that most processes of a run never need

    library = ctypes.CDLL(None, use_errno=True)
    old, new = os.fsencode(source), os.fsencode(target)
    try:
        if sys.platform == "darwin":
            flag = _DARWIN_RENAME_SWAP if exchange else _DARWIN_RENAME_EXCL
            status = library.renamex_np(old, new, flag)
        else:
            flag = _RENAME_EXCHANGE if exchange else _RENAME_NOREPLACE
            status = library.renameat2(_AT_FDCWD, old, _AT_FDCWD, new, flag)
    except AttributeError:  # a C library without the call
        return False
    if status == 0:
        return True
    code = ctypes.get_errno()
    if code in _NOT_SUPPORTED:
        return False
    raise OSError(code, os.strerror(code), str(target))
