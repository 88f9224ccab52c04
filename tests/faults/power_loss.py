"""Cut the power at every moment of a night, with whatever POSIX lets get lost, and look.

A state is judged by what the next night makes of it: everything is published as it has to be,
nothing that was acknowledged is done again or gone, and nobody has to do anything.
"""

from __future__ import annotations

import json
import os
import random
import re
from collections.abc import Hashable, Iterator, Mapping, Set
from dataclasses import dataclass, field, replace

from tests.faults.crash_states import Disk, Tree
from tests.faults.next_night import After, lay_out
from tests.faults.power_scenes import DESK, PERSON, Scene
from tests.faults.recording import Op
from tests.faults.state_class import Classes

_HIDDEN = b".batch-subtitles-"


@dataclass
class Outcome:
    """``states`` that were looked at, how many of them differ, how many ``nights`` it took to judge
    them, how many more were ``real`` ones, and what was wrong with any."""

    states: int = 0
    different: int = 0
    nights: int = 0
    real: int = 0
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.states} states after a power cut, {self.different} of them different, judged"
            f" by {self.nights} nights in one process and {self.real} real ones"
        )

    def add(self, other: Outcome) -> None:
        self.states += other.states
        self.different += other.different
        self.nights += other.nights
        self.real += other.real
        self.wrong += other.wrong


@dataclass
class Told:
    """What the program has said so far.

    ``finished`` are the names of the files that it said were done, or not to be tried again;
    ``kept`` are stages whose results it went on with; ``ended``: the run is over. ``saved``: so is
    what a person was told of the own file.
    """

    lasting: frozenset[str]
    finished: frozenset[str] = frozenset()
    kept: frozenset[str] = frozenset()
    ended: bool = False
    saved: bool = False
    _said: bytes = b""
    _moved: dict[str, str] = field(default_factory=dict)

    def hear(self, op: Op) -> bool:
        """Take up an operation; returns whether it told anything new."""
        before = self.finished, self.kept, self.ended, self.saved
        if op.kind == "ended":
            self.ended = True
        elif op.kind == "sync" and op.thread == PERSON:
            self.saved = True
        elif op.kind == "rename" and b"/artefacts/" in op.other:
            attempt = op.path.split(b"/attempts/")[-1].split(b"/")[0].decode()
            self._moved[op.thread] = attempt.rpartition("-")[0]
        elif op.kind == "said":
            stage = self._moved.pop(op.thread, "")
            if stage in self.lasting:
                self.kept |= {stage}
            *lines, self._said = (self._said + op.data).split(b"\n")
            self.finished |= {name for line in lines for name in _finished(line)}
        return (self.finished, self.kept, self.ended, self.saved) != before


def _finished(line: bytes) -> Iterator[str]:
    if line.startswith(b"{") and b'"file_finished"' in line:
        event = json.loads(line)
        error = event.get("error")
        for_good = error is not None and not error["retryable"]
        if event.get("event") == "file_finished" and (event["status"] == "done" or for_good):
            yield os.path.basename(event["path"])


class Judge:
    """Says what is wrong with a state. What costs time to find out is remembered."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._class_of = Classes(_whole_contents(scene))
        self._known: dict[Hashable, After] = {}

    @property
    def nights(self) -> int:
        """How many different nights it took."""
        return len(self._known)

    def __call__(self, state: Tree, told: Told) -> list[str]:
        scene = self._scene
        wrong = [
            f"a source is not what it was: {path!r}"
            for path, data in scene.sources.items()
            if state.get(path) != data
        ]
        if wrong:
            return wrong
        wrong += self._torn(state) + self._lost(state, told)
        after = self.after(state)
        wrong += after.wrong
        expected, theirs = _expected(scene, state, told)
        if after.left != expected:
            differing = sorted(
                path
                for path in after.left.keys() | expected.keys()
                if after.left.get(path) != expected.get(path)
            )
            wrong.append(f"after the next night, not as it should be: {differing}")
        if foreign := expected.keys() - after.ours - theirs:
            wrong.append(f"nobody would know that it is ours: {sorted(foreign)}")
        if again := after.worked & told.finished:
            wrong.append(f"finished, then worked on again: {sorted(again)}")
        if after.worked and (again := after.ran & told.kept):
            wrong.append(f"kept, then made again: {sorted(again)}")
        if unlike := after.failed.keys() ^ (scene.failing & after.worked):
            wrong.append(f"failed, or did not, unlike before: {sorted(unlike)} {after.failed}")
        return wrong

    def after(self, state: Tree) -> After:
        """What the next night makes of it."""
        looks = self._class_of(state)
        if looks not in self._known:
            self._known[looks] = self._scene.following(state)
        return self._known[looks]

    def _torn(self, state: Tree) -> list[str]:
        """What is visible outside of the work folder is whole, whenever."""
        scene = self._scene
        return [
            f"published torn: {path!r} ({len(data)} bytes)"
            for path, data in state.items()
            if data is not None
            and not path.startswith((b"work/", DESK))
            and path not in scene.sources
            and not os.path.basename(path).startswith(_HIDDEN)
            and data
            not in (
                scene.expected.get(path),
                scene.undisturbed.get(path),
                scene.former.get(path),
                scene.others.get(path),
            )
        ]

    def _lost(self, state: Tree, told: Told) -> list[str]:
        """What was acknowledged is there."""
        scene = self._scene
        wrong = [
            f"acknowledged, then lost: {path!r}"
            for name in told.finished
            for path, data in scene.expected.items()
            if os.path.basename(path).startswith(os.fsencode(name.rpartition(".")[0] + "."))
            and state.get(path) != data
        ]
        path, summary = scene.summary
        if told.ended and path and state.get(path) != summary:
            wrong.append("the summary of the run is gone")
        return wrong


def _expected(scene: Scene, state: Tree, told: Told) -> tuple[Mapping[bytes, bytes], Set[bytes]]:
    """What there has to be after the next night, and the paths of what of it is not ours.

    Of what a person was saving counts what has arrived in the library, by whichever name.
    """
    saved = (data for path, data in state.items() if not path.startswith(DESK))
    if told.saved or not set(scene.others.values()).isdisjoint(saved):
        return scene.expected, scene.others.keys()
    return scene.undisturbed, set()


def _whole_contents(scene: Scene) -> frozenset[bytes]:
    """What files of the work folder hold when their writer goes on to something else."""
    disk, whole = Disk(scene.root, scene.start), {data for data in scene.start.values() if data}
    for op in scene.ops:
        disk.apply(op)
        if op.kind == "rename":
            whole |= {data for data in disk.now().values() if data}
    return frozenset(whole)


def look_at_all(scene: Scene, per_moment: int, seed: int = 1, real: int = 0) -> Outcome:
    """Judge the extremes and ``per_moment`` other states after every operation of the night.

    For ``real`` of them, chosen by lot, a real next night is run as well.
    """
    outcome, judge = Outcome(), Judge(scene)
    lots = random.Random(seed)
    sample: list[tuple[Tree, Told]] = []
    seen: set[int] = set()
    for moment, state, told in _states(scene, per_moment, random.Random(seed)):
        outcome.states += 1
        mark = hash((frozenset(state.items()), told.finished, told.kept, told.ended))
        if mark in seen:
            continue
        seen.add(mark)
        if len(sample) < real:
            sample.append((state, replace(told)))
        elif (place := lots.randrange(len(seen))) < real:
            sample[place] = state, replace(told)
        outcome.wrong += [f"{scene.name}, call {moment}: {one}" for one in judge(state, told)]
    outcome.different, outcome.nights = len(seen), judge.nights
    for state, told in sample:
        outcome.real += 1
        outcome.wrong += [f"{scene.name}: {one}" for one in really(scene, state, told)]
    return outcome


def _states(
    scene: Scene, per_moment: int, dice: random.Random, left_out: int = -1
) -> Iterator[tuple[int, Tree, Told]]:
    """The states after each operation; those after an fsync only if it is left out.

    In that case they end where it makes no difference any more, as another fsync has done for it.
    """
    disk, told = Disk(scene.root, scene.start), Told(scene.lasting)
    synced = Disk(scene.root, scene.start)
    for moment, op in enumerate(scene.ops):
        disk.apply(op, synced=moment != left_out)
        if left_out >= 0:
            synced.apply(op)
            if moment >= left_out and disk.as_safe_as(synced):
                return
        news = told.hear(op)
        if moment >= left_out and (news or op.kind not in ("said", "sync") or moment == left_out):
            for state in disk.states(per_moment, dice):
                yield moment, state, told


def site(scene: Scene, op: Op) -> str:
    """What is synced, without what is different in each night."""
    path = os.fsdecode(os.path.relpath(op.path, scene.root))
    return re.sub(r"[0-9a-f]{16,}|\d{8}-\d{6}|\d{8}T\w+-\w+|/\d{4}/\d\d/\d\d/", "#", path)


def forgotten(scene: Scene, per_moment: int, seed: int = 1) -> Iterator[tuple[Op, str]]:
    """Each fsync of the night, and what is wrong when it is left out; "" when nothing is.

    Those with which SQLite makes and merges its files are its own affair; its commits are ours.
    """
    judge = Judge(scene)
    for left_out, op in enumerate(scene.ops):
        if op.kind == "sync" and op.thread != PERSON and not _of_sqlite(scene, left_out):
            found = _first_wrong(scene, judge, left_out, per_moment, seed)
            yield op, found


def _of_sqlite(scene: Scene, number: int) -> bool:
    """Whether the fsync is none of a commit, or that of the folder which follows such a one."""
    path = scene.ops[number].path
    if not path.startswith(scene.root + b"/work/batch.db"):
        before = scene.ops[number - 1]
        return before.kind == "sync" and before.path.startswith(scene.root + b"/work/batch.db")
    before = scene.ops[number - 1]
    commit = before.kind == "write" and len(before.data) > 32 and before.path == path
    return not (path.endswith(b"-wal") and commit)


def _first_wrong(scene: Scene, judge: Judge, left_out: int, per_moment: int, seed: int) -> str:
    dice = random.Random(seed)
    for _, state, told in _states(scene, per_moment, dice, left_out):
        wrong = judge(state, told)
        if wrong:
            return wrong[0]
    return ""


def really(scene: Scene, state: Tree, told: Told) -> list[str]:
    """What a real next night makes of a state, where that is not what was expected of it."""
    night = scene.night
    lay_out(night, scene.following.tops, state)
    outcome = night.batch.json("--resume")
    left = scene.following.left()
    expected, _ = _expected(scene, state, told)
    wrong = [] if left == expected else [f"a real night left {sorted(left)}"]
    if outcome.code != scene.code:
        wrong.append(f"a real night ended with {outcome.code}: {outcome.err[-300:]}")
    now = [one for one in outcome.of("file_finished") if not one.get("earlier")]
    if again := {os.path.basename(one["path"]) for one in now} & told.finished:
        wrong.append(f"finished, then worked on again by a real night: {sorted(again)}")
    return wrong
