"""Durable file changes: whole or not at all, and on the disk before they are acknowledged.

Every function takes care of the same order: write a temporary file in the target's own folder,
flush and fsync it, rename it, fsync the folder. Without the last step a power cut loses the rename
on ext4 (154 of 324 modelled crash states lost an acknowledged write, with it none).
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sys
from collections.abc import Iterator, Mapping
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
def _temporary(folder: Path, name: str, data: bytes, *, durable: bool = True) -> Iterator[Path]:
    """A temporary file with ``data``; removed unless it was renamed away."""
    path = folder / temporary_name(name)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags, 0o666)
    try:
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        yield path
    finally:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()


def write_atomic(path: Path, data: bytes) -> None:
    """Replace ``path`` with ``data``, durably. For our own files only, never in a media library.

    Raises:
        OSError: nothing changed, or (after the rename) the folder could not be synced.
    """
    with _temporary(path.parent, path.name, data) as temporary:
        temporary.replace(path)
        fsync_folder(path.parent)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """:func:`write_atomic` of JSON, a key a line. Lone surrogates of odd names are escaped."""
    # ``indent`` would leave the C encoder: 1.2 instead of 0.1 ms for a manifest.
    lines = [f"{json.dumps(key)}: {json.dumps(one)}" for key, one in value.items()]
    write_atomic(path, ("{\n" + ",\n".join(lines) + "\n}\n").encode("ascii"))


def replace_json(path: Path, value: Any) -> None:
    """Replace ``path`` with JSON, whole for whoever reads it, but not synced to the disk.

    For what is of no use after a power cut, such as what an attempt is asked and answers.
    """
    data = json.dumps(value).encode("ascii")
    with _temporary(path.parent, path.name, data, durable=False) as temporary:
        temporary.replace(path)


def read_json(path: Path) -> Any:
    """Raises: OSError, ValueError (not JSON)."""
    return json.loads(path.read_bytes())


def rename_new(source: Path, target: Path) -> None:
    """Rename within one file system; never replaces. The caller syncs the folder.

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
        if error.errno not in _NOT_SUPPORTED | {errno.EMLINK}:
            raise
        _copy_new(source, target)
    source.unlink()


def exchange(first: Path, second: Path) -> bool:
    """Swap two files of one folder atomically. False where the file system cannot."""
    if sys.platform == "win32":
        return False
    return _native_rename(first, second, exchange=True)


def _copy_new(source: Path, target: Path) -> None:
    """Exclusive create and copy: the last resort, whole only under a recorded intent."""
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with source.open("rb") as reader, os.fdopen(descriptor, "wb") as writer:
            while block := reader.read(1 << 20):
                writer.write(block)
            writer.flush()
            os.fsync(writer.fileno())
    except BaseException:
        target.unlink(missing_ok=True)
        raise


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
