"""What a program did to a folder, call by call, recorded with strace.

The record is true to the byte: replaying it must give the folder as it is afterwards, which
:func:`record` checks.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

_CALLS = (
    "openat,open,creat,write,pwrite64,writev,ftruncate,fsync,fdatasync,rename,renameat,renameat2,"
    "link,linkat,unlink,unlinkat,mkdir,mkdirat,rmdir,symlink,symlinkat,copy_file_range,sendfile"
)
_LINE = re.compile(r"^(?P<thread>\d+) +(?P<rest>.*)$")
_UNFINISHED = re.compile(r"^(?P<call>.*) <unfinished \.\.\.>$")
_RESUMED = re.compile(r"^<\.\.\. (?P<name>\w+) resumed>(?P<rest>.*)$")
_CALL = re.compile(r"^(?P<name>\w+)\((?P<arguments>.*)\) += (?P<result>-?\d+)(?P<more>.*)$")
_TEXT = r'"((?:\\x[0-9a-f]{2})*)"'
_DESCRIPTOR = re.compile(r"^(?:AT_FDCWD|\d+)<((?:\\x[0-9a-f]{2})*)>(?P<gone>\(deleted\))?")
_GONE = b"/"
"""Stands for the path of a file that has no name (any more)."""


@dataclass(frozen=True, slots=True)
class Op:
    """One change. ``kind``: make, folder, write, truncate, sync, rename, swap, link, remove, said.

    Paths are bytes. ``said`` is what went to standard output or a pipe, as acknowledgement; after
    ``ended``, the last of all, the whole run is one. ``thread`` is whose call it was.
    """

    kind: str
    path: bytes
    other: bytes = b""
    data: bytes = b""
    offset: int | None = None
    size: int = 0
    thread: str = ""


def record(
    argv: Sequence[str], environ: Mapping[str, str], folder: Path, log: Path
) -> tuple[int, list[Op]]:
    """Run ``argv`` and return its exit status and what it and its children did below ``folder``."""
    command = ["strace", "-f", "-qq", "-y", "-xx", "-s", "4000000", "-o", str(log)]
    code = subprocess.run(
        [*command, "-e", f"trace={_CALLS}", *argv],
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=False,
    ).returncode
    return code, [*read(log, os.fsencode(folder)), Op("ended", b"")]


def read(log: Path, folder: bytes) -> list[Op]:
    """The operations of a log, in the order in which the calls returned.

    Of a call that returned while another thread had its turn the end is logged late. What others
    did meanwhile in a folder that it made comes after it all the same.
    """
    found = list(_timed(log, folder))
    for late, (began, _, op) in enumerate(found):
        if op.kind == "folder":
            inside = (
                n for n, one in enumerate(found[:late]) if one[1] > began and _is_in(one[2], op)
            )
            found.insert(next(inside, late), found.pop(late))
    return [op for _, _, op in found]


def _is_in(op: Op, folder: Op) -> bool:
    return folder.path in (op.path, os.path.dirname(op.path), os.path.dirname(op.other))


def _timed(log: Path, folder: bytes) -> Iterator[tuple[int, int, Op]]:
    """Operations, and in which lines their calls began and ended."""
    begun: dict[str, tuple[int, str]] = {}
    with log.open(encoding="ascii", errors="replace") as lines:
        for number, line in enumerate(lines):
            match = _LINE.match(line.rstrip("\n"))
            if match is None:
                continue
            thread, rest, began = match["thread"], match["rest"], number
            if unfinished := _UNFINISHED.match(rest):
                begun[thread] = number, unfinished["call"]
                continue
            if resumed := _RESUMED.match(rest):
                began, call_begun = begun.pop(thread, (number, ""))
                rest = call_begun + resumed["rest"]
            call = _CALL.match(rest)
            if call is not None and not call["result"].startswith("-"):
                for op in _ops(call["name"], call["arguments"], call["result"], folder):
                    yield began, number, replace(op, thread=thread)


def _ops(name: str, arguments: str, result: str, folder: bytes) -> Iterator[Op]:
    inside = _Inside(folder)
    if name in ("openat", "open", "creat"):
        path = _path(arguments)
        if path is not None and inside(path) and "O_CREAT" in arguments:
            yield Op("make", path, size=int("O_TRUNC" in arguments))
        elif path is not None and inside(path) and "O_TRUNC" in arguments:
            yield Op("truncate", path)
    elif name in ("write", "pwrite64", "writev"):
        path, data = _of_descriptor(arguments), b"".join(map(_bytes, re.findall(_TEXT, arguments)))
        if inside(path):
            offset = int(arguments.rpartition(",")[2]) if name == "pwrite64" else None
            yield Op("write", path, data=data[: int(result)], offset=offset)
        elif path.startswith(b"pipe:") or not path.startswith(b"/"):
            yield Op("said", path, data=data)
    elif name in ("fsync", "fdatasync"):
        path = _of_descriptor(arguments)
        if inside(path):
            yield Op("sync", path)
    elif name == "ftruncate":
        path = _of_descriptor(arguments)
        if inside(path):
            yield Op("truncate", path, size=int(arguments.rpartition(",")[2]))
    elif name in ("rename", "renameat", "renameat2", "link", "linkat"):
        first, second = _two_paths(arguments)
        if inside(first) or inside(second):
            kind = "swap" if "EXCHANGE" in arguments else name[:6] if name[0] == "r" else "link"
            yield Op(kind, first, second)
    elif name in ("unlink", "unlinkat", "rmdir"):
        path = _path(arguments)
        if path is not None and inside(path):
            yield Op("remove", path)
    elif name in ("mkdir", "mkdirat"):
        path = _path(arguments)
        if path is not None and inside(path):
            yield Op("folder", path)
    elif name in ("symlink", "symlinkat", "copy_file_range", "sendfile"):
        raise NotImplementedError(f"{name} is not modelled: {arguments[:200]}")


class _Inside:
    def __init__(self, folder: bytes) -> None:
        self._start = folder + b"/"

    def __call__(self, path: bytes) -> bool:
        return path.startswith(self._start)


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


def _of_descriptor(arguments: str) -> bytes:
    match = _DESCRIPTOR.match(arguments)
    if match is None:
        return b"?"
    return _GONE if match["gone"] else _bytes(match[1])


def _path(arguments: str) -> bytes | None:
    """The path of a call that takes one, after its folder's descriptor if there is one."""
    names = [_bytes(text) for text in re.findall(_TEXT, arguments)]
    if not names:
        return None
    return os.path.normpath(os.path.join(_of_descriptor(arguments), names[0]))


def _two_paths(arguments: str) -> tuple[bytes, bytes]:
    first, second = (_bytes(text) for text in re.findall(_TEXT, arguments)[:2])
    folders = [_bytes(text) for text in re.findall(r"(?:AT_FDCWD|\d+)<((?:\\x..)*)>", arguments)]
    if len(folders) == 2:
        first, second = os.path.join(folders[0], first), os.path.join(folders[1], second)
    return os.path.normpath(first), os.path.normpath(second)
