"""Nights that are recorded for power cuts: new files, replaced ones, resumed ones, and so on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.faults.crash_states import Disk, Tree
from tests.faults.next_night import NextNight, lay_out
from tests.faults.night import Night
from tests.faults.recording import Op, record

TOPS = ("library", "work", "output")

PERSON = "person"
"""The thread of those calls that a person's editor makes."""

DESK = b"desk"
"""The folder in which that editor writes until a file is saved."""

MakeNight = Callable[[Sequence[str]], Night]

_UNREAD = ("events.jsonl", "job.log", "job.lock", "job_result.json", "batch.db-shm", "latest-job")
"""Files of which the next night reads nothing that matters."""


@dataclass(frozen=True)
class Scene:
    """A recorded night: what was there before, what was done, and what has to come of it.

    Attributes:
        start: the disk before, of which all is certain.
        ops: those on files that the next night may read, all fsyncs, and what was said.
        sources: the media.
        others: what people have saved, by path: once that is acknowledged it must never be gone.
        undisturbed: what is expected where nobody's file arrived on the disk.
        failing: the names of the files that cannot be worked on.
        former: what earlier nights had published.
        expected: all files but the sources and the work folder, after the next night.
        lasting: the stages that take long, which are not to be run again once they are done.
        summary: the summary of the run, which must be there when that has ended.
        following: runs the next night on a state.
        code: the exit code of the night, and of the next one.
    """

    name: str
    night: Night
    start: Mapping[bytes, bytes | None]
    ops: Sequence[Op]
    sources: Mapping[bytes, bytes]
    former: Mapping[bytes, bytes]
    expected: Mapping[bytes, bytes]
    following: NextNight
    others: Mapping[bytes, bytes]
    undisturbed: Mapping[bytes, bytes]
    failing: frozenset[str]
    lasting: frozenset[str]
    summary: tuple[bytes, bytes]
    code: int = 0

    @property
    def root(self) -> bytes:
        return os.fsencode(self.night.folder)


@dataclass(frozen=True)
class _Recorded:
    start: Mapping[bytes, bytes | None]
    ops: Sequence[Op]
    code: int = 0


def _prepare(night: Night, **stages: Mapping[str, str]) -> None:
    """Write the settings, and what a first look makes."""
    night.batch.settings["stages"].update(stages)
    night.batch.json("--dry-run")


def _record(night: Night, code: int = 0) -> _Recorded:
    """Run one night and record it. Raises: RuntimeError when the record is not true."""
    start = _on_disk(night)
    ended, ops = record(night.argv(), night.batch.environ, night.folder, night.folder / "calls")
    if ended != code:
        raise RuntimeError(f"the recorded night ended with {ended}")
    disk = Disk(os.fsencode(night.folder), start)
    for op in ops:
        disk.apply(op)
    _compare(disk.now(), _on_disk(night), os.fsencode(night.folder))
    return _Recorded(start, ops, code)


def _on_disk(night: Night) -> dict[bytes, bytes | None]:
    """Library and work folder without what a night only reads."""
    found: dict[bytes, bytes | None] = {}
    for top in TOPS:
        for parent, folders, files in os.walk(os.fsencode(night.folder / top)):
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
        and path.startswith((b"library", b"work", b"output"))
        and model.get(path, b"-") != real.get(path, b"-")
    ]
    if wrong:
        raise RuntimeError(f"the record differs from the disk: {sorted(wrong)[:10]}")


def _scene(
    name: str,
    night: Night,
    recorded: _Recorded,
    *,
    former: Mapping[bytes, bytes] | None = None,
    expected: Mapping[bytes, bytes] | None = None,
    others: Mapping[bytes, bytes] | None = None,
    failing: Iterable[str] = (),
    lasting: Iterable[str] = (),
) -> Scene:
    """The scene of a night that has just been recorded."""
    root = os.fsencode(night.folder)
    sources = {
        os.path.relpath(os.fsencode(path), root): data
        for path, (_, data) in night.sources.items()
        if os.path.isfile(path)
    }
    path = next((op.other for op in recorded.ops if op.other.endswith(b"summary.json")), b"")
    summary = Path(os.fsdecode(path)).read_bytes() if path else b""
    undisturbed = _published(night, sources)
    return Scene(
        name=name,
        night=night,
        start=recorded.start,
        ops=_relevant(recorded.ops),
        sources=sources,
        former=former or {},
        expected=undisturbed if expected is None else expected,
        following=NextNight(night, TOPS),
        others=others or {},
        undisturbed=undisturbed,
        failing=frozenset(failing),
        lasting=frozenset(lasting),
        summary=(os.path.relpath(path, root) if path else b"", summary),
        code=recorded.code,
    )


def _published(night: Night, sources: Iterable[bytes]) -> dict[bytes, bytes]:
    """Every file outside of the work folder but the sources."""
    root = os.fsencode(night.folder)
    return {
        os.path.relpath(path, root): data
        for path, data in _on_disk(night).items()
        if data is not None
        and not path.startswith(root + b"/work/")
        and os.path.relpath(path, root) not in sources
    }


def _relevant(ops: Sequence[Op]) -> list[Op]:
    """Without changes of what the next night does not read, by the name a file gets in the end."""
    final = {op.path: op.other for op in ops if op.kind == "rename"}

    def matters(path: bytes) -> bool:
        parts = final.get(path, path).decode(errors="surrogateescape").split("/")
        if "runs" in parts:
            return parts[-1] == "summary.json" or parts[-2] == "runs" or parts[-1] == "runs"
        if "attempts" in parts:
            return parts.index("attempts") == len(parts) - 1 or "outputs" in parts
        return parts[-1] not in _UNREAD and not parts[-1].endswith(
            ("verified.json", ".lock", "lock")
        )

    folders = {
        op.path
        for op in ops
        if op.kind == "folder" and b"/scratch" not in op.path and b"/workers" not in op.path
    }
    return [
        op
        for op in ops
        if op.kind in ("sync", "said", "ended") or matters(op.path) or op.path in folders
    ]


# --- the scenes -----------------------------------------------------------------------------------


def fresh(make: MakeNight) -> Scene:
    """A library without subtitles."""
    night = make(["0.wav"])
    _prepare(night)
    return _scene("fresh", night, _record(night))


def several(make: MakeNight) -> Scene:
    """Three files at a time, in folders."""
    night = make(["0.wav", "Season 1/1.wav", "Season 1/2.wav"])
    night.batch.configure(max_workers=2)
    _prepare(night)
    return _scene("several", night, _record(night))


def cold(make: MakeNight) -> Scene:
    """Each stage in a process of its own."""
    night = make(["0.wav"])
    night.batch.configure(unload_after=0)
    _prepare(night)
    return _scene("cold", night, _record(night))


def replacing(make: MakeNight) -> Scene:
    """Our older subtitles make way for newer ones."""
    night = make(["0.wav"])
    night.undisturbed()
    former = _published(night, _sources(night))
    _prepare(night, relay={"greeting": "good evening"})
    return _scene("replacing", night, _record(night), former=former)


def resumed(make: MakeNight) -> Scene:
    """Killed between the first subtitle and the second, then gone on with."""
    night = make(["0.wav"])
    _prepare(night)
    recorded, former = _killed_and_resumed(night, published=1)
    return _scene("resumed", night, recorded, former=former)


def resumed_otherwise(make: MakeNight) -> Scene:
    """Killed when both subtitles were there; the next night has other settings."""
    night = make(["0.wav"])
    _prepare(night)
    recorded, former = _killed_and_resumed(night, 2, relay={"greeting": "good evening"})
    return _scene("resumed-otherwise", night, recorded, former=former)


def elsewhere(make: MakeNight) -> Scene:
    """The subtitles go into another folder, in the structure of the library."""
    night = make(["Season 1/Extras/0.wav"])
    night.batch.configure(output_dir=str(night.folder / "output" / "subtitles"))
    (night.folder / "output").mkdir()
    _prepare(night)
    return _scene("elsewhere", night, _record(night))


def film(make: MakeNight) -> Scene:
    """A film of several megabytes is published."""
    night = make(["0.wav"])
    night.batch.configure(workflows={"fake-flow": ["fake", "relay", "bulky"]})
    _prepare(night)
    return _scene("film", night, _record(night))


def slow(make: MakeNight) -> Scene:
    """The first stage takes so long that it is not to be done again.

    Nothing needs its large output, which may be lost.
    """
    night = make(["0.wav"])
    night.batch.configure(workflows={"fake-flow": ["fake", "litters"]})
    _prepare(night, fake={"fault": "takes_long"})
    return _scene("slow", night, _record(night), lasting=["fake"])


def failing(make: MakeNight) -> Scene:
    """A file that cannot be worked on; that is said, and is not to be tried again."""
    night = make(["0.wav"])
    _prepare(night, fake={"fault": "fails"})
    return _scene("failing", night, _record(night, code=5), failing=["0.wav"])


def edited(make: MakeNight) -> Scene:
    """Somebody saves the subtitle that is just about to be replaced, and the power goes."""
    night = make(["0.wav"])
    night.undisturbed()
    former = _published(night, _sources(night))
    _prepare(night, relay={"greeting": "good evening"})
    recorded = _record(night)
    theirs = b"what a person wrote"
    path = b"library/0.en.vtt"
    ops = list(recorded.ops)
    swap = next(number for number, op in enumerate(ops) if op.kind == "swap")
    desk = os.path.join(os.fsencode(night.folder), DESK)
    target, saved = ops[swap].other, desk + b"/saved.tmp"
    ops[swap + 1 :] = []
    ops[swap:swap] = [
        Op("rename", saved, target),
        Op("sync", os.path.dirname(target), thread=PERSON),
    ]
    expected = {**former, path: theirs}
    return _scene(
        "edited",
        night,
        _Recorded({**recorded.start, desk: None, saved: theirs}, ops),
        former=former,
        expected=expected,
        others={path: theirs},
    )


SCENES = (
    fresh,
    several,
    cold,
    replacing,
    resumed,
    resumed_otherwise,
    elsewhere,
    film,
    slow,
    failing,
    edited,
)


def _sources(night: Night) -> set[bytes]:
    root = os.fsencode(night.folder)
    return {os.path.relpath(os.fsencode(path), root) for path in night.sources}


def _killed_and_resumed(
    night: Night, published: int, **stages: Mapping[str, str]
) -> tuple[_Recorded, dict[bytes, bytes]]:
    """Killed when so many subtitles were published, and gone on with; and what these were.

    What was not on the disk at the kill may still not be when the power goes in the next night.
    """
    first = _record(night)
    root = os.fsencode(night.folder)
    renames = [
        number
        for number, op in enumerate(first.ops)
        if op.kind == "rename" and op.other.startswith(root + b"/library/")
    ]
    until = first.ops[: renames[published - 1] + 1]
    disk = Disk(root, first.start)
    for op in until:
        disk.apply(op)
    lay_out(night, TOPS, disk.now())
    former = _published(night, _sources(night))
    night.batch.settings["stages"].update(stages)
    night.batch.config.write_text(yaml.safe_dump(night.batch.settings))
    second = _record(night)
    _compare(disk.now(), second.start, root)
    return _Recorded(first.start, [*until, *second.ops]), former
