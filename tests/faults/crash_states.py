"""What a disk may hold after a power cut, by the letter of what POSIX promises.

Of a file, the content is certain up to its last fsync; of what was written since, the beginning may
be there. Of a folder, the names are certain up to its last fsync; of the changes since, each may
have reached the disk or not. A rename is one change, and is certain when the folder that got the
new name is synced. Nothing orders one file's data before another's name but an fsync in between.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tests.faults.recording import Op

Tree = dict[bytes, bytes | None]
"""Path below the root to content; None is a folder."""

Names = dict[tuple[int, bytes], int]
"""Folder and name to what is there, as numbers of inodes."""

_ROOT = 0


@dataclass(slots=True)
class _Inode:
    """A file's writes in order, of which the first ``safe`` are on the disk for certain.

    A write is an offset and data; a bare number is a new size.
    """

    folder: bool = False
    writes: list[tuple[int, bytes] | int] = field(default_factory=list)
    safe: int = 0
    size: int = 0

    def write(self, offset: int | None, data: bytes) -> None:
        at = self.size if offset is None else offset
        self.writes.append((at, data))
        self.size = max(self.size, at + len(data))

    def resize(self, size: int) -> None:
        self.writes.append(size)
        self.size = size

    def content(self, kept: int) -> bytes:
        """What the first ``kept`` changes make of it."""
        data = bytearray()
        for change in self.writes[:kept]:
            if isinstance(change, int):
                del data[change:]
                data.extend(bytes(change - len(data)))
            else:
                offset, piece = change
                data.extend(bytes(max(0, offset - len(data))))
                data[offset : offset + len(piece)] = piece
        return bytes(data)


@dataclass(frozen=True, slots=True)
class _Change:
    """One atomic change of names; certain as soon as ``folder`` is synced."""

    folder: int
    names: tuple[tuple[int, bytes, int | None], ...]


class Disk:
    """Applies operations below ``root``, and tells what may be left of them after a power cut."""

    def __init__(self, root: bytes, start: Mapping[bytes, bytes | None]) -> None:
        self._root = root
        self._inodes = [_Inode(folder=True)]
        self._names: Names = {}
        self._durable: Names = {}
        self._pending: list[_Change] = []
        self.said = b""
        for path in sorted(start):
            content = start[path]
            inode = _Inode(folder=content is None)
            if content:
                inode.write(0, content)
                inode.safe = 1
            self._add(path, inode)
        self._durable = dict(self._names)
        self._pending = []

    def apply(self, op: Op, *, synced: bool = True) -> None:
        """One operation; with ``synced`` false an fsync is left out, as if it was forgotten."""
        match op.kind:
            case "make":
                number = self._find(op.path)
                if number is None:
                    self._add(op.path, _Inode())
                elif op.size:
                    self._inodes[number].resize(0)
            case "folder":
                self._add(op.path, _Inode(folder=True))
            case "write":
                self._at(op.path).write(op.offset, op.data)
            case "truncate":
                self._at(op.path).resize(op.size)
            case "sync":
                if synced:
                    self._sync(op.path)
            case "rename":
                self._change((op.other, self._number(op.path)), (op.path, None))
            case "swap":
                first, second = self._number(op.path), self._number(op.other)
                self._change((op.other, first), (op.path, second))
            case "link":
                self._change((op.other, self._number(op.path)))
            case "remove":
                self._change((op.path, None))
            case "said":
                self.said += op.data

    def _find(self, path: bytes) -> int | None:
        number: int | None = _ROOT
        for name in os.path.relpath(path, self._root).split(b"/"):
            if name != b"." and number is not None:
                number = self._names.get((number, name))
        return number

    def _number(self, path: bytes) -> int:
        number = self._find(path)
        if number is None:
            raise LookupError(f"the record knows no {path!r}")
        return number

    def _at(self, path: bytes) -> _Inode:
        return self._inodes[self._number(path)]

    def _add(self, path: bytes, inode: _Inode) -> None:
        self._inodes.append(inode)
        self._change((path, len(self._inodes) - 1))

    def _change(self, *changes: tuple[bytes, int | None]) -> None:
        names = []
        for path, number in changes:
            parent, _, name = path.rpartition(b"/")
            names.append((self._number(parent), name, number))
        change = _Change(names[0][0], tuple(names))
        self._pending.append(change)
        _make(self._names, change)

    def _sync(self, path: bytes) -> None:
        number = self._find(path)
        if number is None:
            return
        inode = self._inodes[number]
        inode.safe = len(inode.writes)
        for change in self._pending:
            if change.folder == number:
                _make(self._durable, change)
        self._pending = [change for change in self._pending if change.folder != number]

    def now(self) -> Tree:
        """What is there without a power cut."""
        return self._tree(self._names, dict.fromkeys(range(len(self._inodes)), -1))

    def states(self, count: int, dice: random.Random) -> Iterator[Tree]:
        """Up to ``count`` states that a power cut may leave: the extremes, then chosen by lot."""
        loose = [n for n, inode in enumerate(self._inodes) if inode.safe < len(inode.writes)]
        whole = dict.fromkeys(loose, -1)
        left = count
        for changes, contents in (
            ((), {}),
            (self._pending, whole),
            (self._pending, {}),
            ((), whole),
            *(([one for one in self._pending if one is not out], {}) for out in self._pending),
            *(([one], whole) for one in self._pending),
        ):
            if left > 0:
                yield self._left(changes, contents)
            left -= 1
        for _ in range(left if loose or self._pending else 0):
            changes = [change for change in self._pending if dice.random() < 0.5]
            contents = {
                n: dice.randint(self._inodes[n].safe, len(self._inodes[n].writes)) for n in loose
            }
            yield self._left(changes, contents)

    def _left(self, changes: Sequence[_Change], contents: Mapping[int, int]) -> Tree:
        names = dict(self._durable)
        for change in changes:
            _make(names, change)
        return self._tree(names, contents)

    def _tree(self, names: Names, contents: Mapping[int, int]) -> Tree:
        """Walk down from the root: what hangs on a lost folder is lost."""
        inside: dict[int, list[tuple[bytes, int]]] = {}
        for (folder, name), number in names.items():
            inside.setdefault(folder, []).append((name, number))
        tree: Tree = {}
        waiting = [(b"", _ROOT)]
        while waiting:
            path, folder = waiting.pop()
            for name, number in inside.get(folder, ()):
                below = path + b"/" + name if path else name
                inode = self._inodes[number]
                if inode.folder:
                    tree[below] = None
                    waiting.append((below, number))
                else:
                    kept = contents.get(number, inode.safe)
                    tree[below] = inode.content(len(inode.writes) if kept < 0 else kept)
        return tree


def _make(names: Names, change: _Change) -> None:
    for folder, name, number in change.names:
        if number is None:
            names.pop((folder, name), None)
        else:
            names[folder, name] = number
