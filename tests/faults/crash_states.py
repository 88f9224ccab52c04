"""What a disk may hold after a power cut, by the letter of what POSIX promises.

Of a file, the content is certain up to its last fsync. Of what was written since, each block of 512
bytes may have reached the disk or not, and the size may be any that it had; what did not arrive
reads as it was before, or as zeros. Of a folder, the names are certain up to its last fsync; of the
changes since, each may have reached the disk or not, in any order, those of other folders as well.
A rename puts a name into one folder and takes one out of another: on a file system without a
journal one may arrive without the other. (An exchange exists only where there is a journal.)
Nothing orders one file's data before another's name but an fsync in between.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from tests.faults.recording import Op

Tree = dict[bytes, bytes | None]
"""Path below the root to content; None is a folder."""

Names = dict[tuple[int, bytes], int]
"""Folder and name to what is there, as numbers of inodes."""

_ROOT = 0
_BLOCK = 512
_REMEMBERED_BYTES = 1 << 16
"""Larger contents are made each time: a film has as many as it took writes."""


@dataclass(slots=True)
class _Inode:
    """A file's writes in order, of which the first ``safe`` are on the disk for certain.

    A write is an offset and data; a bare number is a new size.
    """

    folder: bool = False
    writes: list[tuple[int, bytes] | int] = field(default_factory=list)
    safe: int = 0
    sizes: list[int] = field(default_factory=lambda: [0])
    _made: dict[tuple[int, int], bytes] = field(default_factory=dict)
    _last: tuple[int, bytes] = (0, b"")

    @property
    def size(self) -> int:
        return self.sizes[-1]

    def write(self, offset: int | None, data: bytes) -> None:
        at = self.size if offset is None else offset
        self.writes.append((at, data))
        self.sizes.append(max(self.size, at + len(data)))

    def resize(self, size: int) -> None:
        self.writes.append(size)
        self.sizes.append(size)

    @property
    def loose(self) -> bool:
        return self.safe < len(self.writes)

    def whole(self) -> bytes:
        return self.after(len(self.writes))

    def kept(self) -> bytes:
        """What is certain."""
        return self.after(self.safe)

    def zeros(self) -> bytes:
        """The size has arrived, the data has not."""
        return self._torn(self.size, lambda _block: False)

    def after(self, count: int) -> bytes:
        """What the first ``count`` changes make of it. The same object for the same question."""
        if self._last[0] == count:
            return self._last[1]
        key = (count, -1)
        made = self._made.get(key)
        if made is None:
            begun, before = self._last if self._last[0] < count else (0, b"")
            data = bytearray(before)
            for change in self.writes[begun:count]:
                _change(data, change)
            made = self._remembered(key, bytes(data))
        if count == len(self.writes):
            self._last = count, made
        return made

    def any(self, dice: random.Random) -> bytes:
        """Something that may be left of it."""
        if dice.random() < 0.4:
            return self.after(dice.randint(self.safe, len(self.writes)))
        share = dice.random()
        size = dice.choice(self.sizes[self.safe :])
        return self._torn(size, lambda _block: dice.random() < share)

    def _torn(self, size: int, arrived: Callable[[int], bool]) -> bytes:
        before, after = self.kept(), self.whole()
        blocks = []
        for start in range(0, size, _BLOCK):
            source = after if arrived(start) else before
            blocks.append(source[start : start + _BLOCK].ljust(_BLOCK, b"\0"))
        made = b"".join(blocks)[:size]
        return self._remembered((-1, hash(made)), made)

    def _remembered(self, key: tuple[int, int], made: bytes) -> bytes:
        """The same object for the same content: its hash is worked out once."""
        return self._made.setdefault(key, made) if len(made) < _REMEMBERED_BYTES else made


def _change(data: bytearray, change: tuple[int, bytes] | int) -> None:
    if isinstance(change, int):
        del data[change:]
        data.extend(bytes(change - len(data)))
    else:
        offset, piece = change
        data.extend(bytes(max(0, offset - len(data))))
        data[offset : offset + len(piece)] = piece


@dataclass(frozen=True, slots=True)
class _Change:
    """One change of names; certain as soon as ``folder`` is synced. ``parts``: it may arrive so."""

    folder: int
    names: tuple[tuple[int, bytes, int | None], ...]
    whole: bool = True

    @property
    def parts(self) -> tuple[_Change, ...]:
        if self.whole:
            return (self,)
        return tuple(_Change(self.folder, (name,)) for name in self.names)


class Disk:
    """Applies operations below ``root``, and tells what may be left of them after a power cut."""

    def __init__(self, root: bytes, start: Mapping[bytes, bytes | None]) -> None:
        self._root = root
        self._inodes = [_Inode(folder=True)]
        self._names: Names = {}
        self._durable: Names = {}
        self._pending: list[_Change] = []
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
                self._change((op.other, self._number(op.path)), (op.path, None), whole=False)
            case "swap":
                first, second = self._number(op.path), self._number(op.other)
                self._change((op.other, first), (op.path, second))
            case "link":
                self._change((op.other, self._number(op.path)))
            case "remove":
                self._change((op.path, None))

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

    def _change(self, *changes: tuple[bytes, int | None], whole: bool = True) -> None:
        names = []
        for path, number in changes:
            parent, _, name = path.rpartition(b"/")
            names.append((self._number(parent), name, number))
        change = _Change(names[0][0], tuple(names), whole)
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

    def as_safe_as(self, other: Disk) -> bool:
        """Whether the same is certain as on another disk to which the same was done."""
        return (
            self._durable == other._durable
            and self._pending == other._pending
            and [one.safe for one in self._inodes] == [one.safe for one in other._inodes]
        )

    def now(self) -> Tree:
        """What is there without a power cut."""
        return self._tree(self._names, {})

    def extremes(self) -> Iterator[Tree]:
        """All or nothing arrived, all but one thing, and only one thing."""
        pending = self._pending
        loose = [number for number, inode in enumerate(self._inodes) if inode.loose]
        lost = {number: self._inodes[number].kept() for number in loose}
        zeros = {number: self._inodes[number].zeros() for number in loose}
        for names in ((), pending):
            for contents in ({}, lost, zeros):
                yield self._left(names, contents)
        for out in pending:
            yield self._left([one for one in pending if one is not out], {})
            yield self._left([one for one in pending if one is not out], lost)
            yield self._left([out], {})
            for part in out.parts if not out.whole else ():
                others = [one for one in pending if one is not out]
                yield self._left([*others, part], {})
        for folder in {one.folder for one in pending}:
            yield self._left([one for one in pending if one.folder != folder], {})
        for number in loose:
            yield self._left(pending, {number: lost[number]})
            yield self._left(pending, {number: zeros[number]})

    def states(self, count: int, dice: random.Random) -> Iterator[Tree]:
        """The extremes, and ``count`` more by lot. One state where nothing may get lost."""
        loose = [number for number, inode in enumerate(self._inodes) if inode.loose]
        yield from self.extremes()
        for _ in range(count if loose or self._pending else 0):
            share = dice.random()
            names: list[_Change] = []
            for change in self._pending:
                parts = change.parts if dice.random() < 0.2 else (change,)
                names += [part for part in parts if dice.random() < share]
            contents = {
                number: self._inodes[number].any(dice) for number in loose if dice.random() < 0.7
            }
            yield self._left(names, contents)

    def _left(self, changes: Iterable[_Change], contents: Mapping[int, bytes]) -> Tree:
        names = dict(self._durable)
        for change in changes:
            _make(names, change)
        return self._tree(names, contents)

    def _tree(self, names: Names, contents: Mapping[int, bytes]) -> Tree:
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
                    tree[below] = contents[number] if number in contents else inode.whole()
        return tree


def _make(names: Names, change: _Change) -> None:
    for folder, name, number in change.names:
        if number is None:
            names.pop((folder, name), None)
        else:
            names[folder, name] = number
