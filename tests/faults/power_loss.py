"""Cut the power at every moment of a night, with whatever POSIX lets get lost, and look."""

from __future__ import annotations

import hashlib
import json
import os
import random
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.crash_states import Disk, Tree
from tests.faults.night import Night
from tests.faults.recording import Op, record

_HIDDEN = b".batch-subtitles-"
_LIBRARY = b"library/"
_DATABASE = b"work/batch.db"


@dataclass(frozen=True)
class Recording:
    """One night: what was there before, what was done, and what had to come of it."""

    root: bytes
    start: Mapping[bytes, bytes | None]
    ops: Sequence[Op]
    sources: Mapping[bytes, bytes]
    former: Mapping[bytes, bytes]
    expected: Mapping[bytes, bytes]


@dataclass
class Outcome:
    """``states`` that were looked at, how many of them differ, and what was wrong with any."""

    states: int = 0
    different: int = 0
    wrong: list[str] = field(default_factory=list)


def recorded(night: Night) -> Recording:
    """Run one night and record it. Raises: RuntimeError when the record is not true."""
    root = os.fsencode(night.folder)
    start = _on_disk(night.folder)
    before = night.library()
    code, ops = record(night.argv(), night.batch.environ, night.folder, night.folder / "calls")
    if code != 0:
        raise RuntimeError(f"the recorded night ended with {code}")
    disk = Disk(root, start)
    for op in ops:
        disk.apply(op)
    _compare(disk.now(), _on_disk(night.folder), root)
    library = {_LIBRARY + os.fsencode(name): data for name, data in night.library().items()}
    return Recording(
        root,
        start,
        ops,
        {
            os.path.relpath(os.fsencode(path), root): data
            for path, (_, data) in night.sources.items()
            if os.path.isfile(path)
        },
        {_LIBRARY + os.fsencode(name): data for name, data in before.items()},
        library,
    )


def _on_disk(folder: Path) -> dict[bytes, bytes | None]:
    """Library and work folder without what a night only reads."""
    found: dict[bytes, bytes | None] = {}
    for top in ("library", "work"):
        for parent, folders, files in os.walk(os.fsencode(folder / top)):
            found[parent] = None
            folders[:] = [one for one in folders if one not in (b"environments", b"models")]
            for name in files:
                path = os.path.join(parent, name)
                found[path] = Path(os.fsdecode(path)).read_bytes()
    return found


def _compare(model: Tree, disk: Mapping[bytes, bytes | None], root: bytes) -> None:
    """Locks are written after a seek, which is not recorded; what they say is for people."""
    real = {os.path.relpath(path, root): data for path, data in disk.items()}
    wrong = [
        path
        for path in model.keys() | real.keys()
        if not path.endswith((b"lock", b"-shm"))
        and path.startswith((b"library", b"work"))
        and model.get(path, b"-") != real.get(path, b"-")
    ]
    if wrong:
        raise RuntimeError(f"the record differs from the disk: {sorted(wrong)[:10]}")


def look_at_all(night: Recording, per_moment: int, seed: int = 1) -> Outcome:
    """Check ``per_moment`` states after every operation of the night."""
    dice, outcome, judge = random.Random(seed), Outcome(), Judge(night)
    seen: set[bytes] = set()
    disk = Disk(night.root, night.start)
    for moment, op in enumerate(night.ops):
        disk.apply(op)
        acknowledged = _acknowledged(disk.said)
        for state in disk.states(per_moment, dice):
            outcome.states += 1
            mark = _mark(state, acknowledged)
            if mark in seen:
                continue
            seen.add(mark)
            outcome.wrong += [f"after call {moment}: {one}" for one in judge(state, acknowledged)]
    outcome.different = len(seen)
    return outcome


def forgotten(night: Recording, per_moment: int, seed: int = 1) -> Iterator[tuple[Op, bool]]:
    """Each fsync of the night, and whether leaving it out would have been noticed."""
    syncs = [number for number, op in enumerate(night.ops) if op.kind == "sync"]
    for left_out in syncs:
        yield night.ops[left_out], _noticed(night, left_out, per_moment, seed)


def _noticed(night: Recording, left_out: int, per_moment: int, seed: int) -> bool:
    dice, judge = random.Random(seed), Judge(night)
    disk = Disk(night.root, night.start)
    for moment, op in enumerate(night.ops):
        disk.apply(op, synced=moment != left_out)
        if moment >= left_out:
            acknowledged = _acknowledged(disk.said)
            if any(judge(state, acknowledged) for state in disk.states(per_moment, dice)):
                return True
    return False


class Judge:
    """Says what is wrong with a state. What costs time to find out is remembered."""

    def __init__(self, night: Recording) -> None:
        self._night = night
        self._databases: dict[bytes, dict[bytes, tuple[str, bytes, str]] | str] = {}

    def __call__(self, state: Tree, acknowledged: frozenset[str]) -> list[str]:
        night = self._night
        wrong = [
            f"a source is not what it was: {path!r}"
            for path, data in night.sources.items()
            if state.get(path) != data
        ]
        published = {
            path: data
            for path, data in state.items()
            if path.startswith(_LIBRARY)
            and data is not None
            and path not in night.sources
            and not path.removeprefix(_LIBRARY).rpartition(b"/")[2].startswith(_HIDDEN)
        }
        for path, data in published.items():
            if data not in (night.expected.get(path), night.former.get(path)):
                wrong.append(f"published torn: {path!r} ({len(data)} bytes)")
        records = self._records(state)
        if isinstance(records, str):
            return [*wrong, records]
        for name in acknowledged:
            source = _LIBRARY + os.fsencode(name)
            for path, data in night.expected.items():
                if _belongs(path, source) and published.get(path) != data:
                    wrong.append(f"acknowledged, then lost: {path!r}")
            if records.get(source, ("", b"", ""))[0] != "done":
                wrong.append(f"acknowledged, but not known as done: {name}")
        for path, data in published.items():
            if night.former.get(path) != data and not self._known(path, data, records, state):
                wrong.append(f"nobody would know that it is ours: {path!r}")
        return wrong

    def _records(self, state: Tree) -> dict[bytes, tuple[str, bytes, str]] | str:
        """Status, job folder and outputs by source; or what is wrong with the database."""
        files = {name: state.get(_DATABASE + name) for name in (b"", b"-wal", b"-journal")}
        mark = _digest(*(data if data is not None else b"\0absent" for data in files.values()))
        if mark not in self._databases:
            self._databases[mark] = self._read(files)
        return self._databases[mark]

    def _read(
        self, files: Mapping[bytes, bytes | None]
    ) -> dict[bytes, tuple[str, bytes, str]] | str:
        if files[b""] is None:
            return {}
        with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
            for name, data in files.items():
                if data is not None:
                    Path(folder, "batch.db" + name.decode()).write_bytes(data)
            try:
                with closing(sqlite3.connect(Path(folder, "batch.db"))) as connection:
                    (sound,) = connection.execute("PRAGMA integrity_check").fetchone()
                    if sound != "ok":
                        return f"the database is damaged: {sound}"
                    (made,) = connection.execute("PRAGMA user_version").fetchone()
                    if not made:
                        return {}
                    rows = connection.execute(
                        "SELECT folder, name, status, job_dir, outputs || former FROM files"
                    ).fetchall()
            except sqlite3.Error as error:
                return f"the database cannot be opened: {error}"
        root = self._night.root
        return {
            os.path.relpath(os.path.join(folder, name), root): (status, job, outputs)
            for folder, name, status, job, outputs in rows
        }

    def _known(
        self,
        path: bytes,
        data: bytes,
        records: Mapping[bytes, tuple[str, bytes, str]],
        state: Tree,
    ) -> bool:
        """Whether the next run would recognise the file: by the database, or a job's manifest."""
        sha256 = hashlib.sha256(data).hexdigest()
        for source, (_, job, outputs) in records.items():
            if not _belongs(path, source):
                continue
            if sha256 in outputs:
                return True
            manifest = state.get(os.path.relpath(job, self._night.root) + b"/manifest.json")
            if manifest is not None and sha256.encode() in manifest:
                return True
        return False


def _belongs(output: bytes, source: bytes) -> bool:
    return output.startswith(source.rpartition(b".")[0] + b".")


def _acknowledged(said: bytes) -> frozenset[str]:
    """Names of the files that the coordinator said were done."""
    names = set()
    for line in said.split(b"\n")[:-1]:
        if b'"file_finished"' in line and line.startswith(b"{"):
            event = json.loads(line)
            if event.get("event") == "file_finished" and event["status"] == "done":
                names.add(os.path.basename(event["path"]))
    return frozenset(names)


def _mark(state: Tree, acknowledged: frozenset[str]) -> bytes:
    parts = [b"".join(sorted(map(os.fsencode, acknowledged)))]
    for path in sorted(state):
        data = state[path]
        parts += [path, b"\0folder" if data is None else data]
    return _digest(*parts)


def _digest(*parts: bytes) -> bytes:
    hasher = hashlib.blake2b(digest_size=16)
    for part in parts:
        hasher.update(len(part).to_bytes(8, "big"))
        hasher.update(part)
    return hasher.digest()
