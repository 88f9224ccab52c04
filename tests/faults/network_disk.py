"""A network disk that fails in the middle of a night: under the library, the outputs or the state.

Whatever the disk does, no file may be called done that is not whole where it belongs, a disk that
went away may not read as a library without files, the event loop may not wait for a disk, and when
the disk is back the same run (where it waits) or the next one ends with everything done.
"""

from __future__ import annotations

import contextlib
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.end_to_end.conftest import Outcome, Running
from tests.faults.fuse_disk import Disk, mounted
from tests.faults.night import Kept, Night, events_in

ERRORS = ("EIO", "ESTALE", "ENOTCONN", "ENOENT")
HANGS = ("hang", "stuck")
FAULTS = (*ERRORS, *HANGS, "empty", "unmount")
"""``unmount`` pulls the disk away, so that its empty mount point is left; the others happen to the
disk where it is (see :mod:`tests.faults.fuse_disk`)."""

BLOCKED_SECONDS = 1.0
DRAIN_SECONDS = 1.0
END_SECONDS = 30.0
"""How long a run may take to end that was asked to, on a busy machine: the time to drain, that of a
cancel (5 s) and what is left to write."""

NOTICE_SECONDS = 20.0
"""How long a lost disk may go unnoticed before it comes back."""

WAIT_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Case:
    """What happens: which disk, to what of the night, and after how many calls. ``calls``: the
    fault ends by itself after so many; None: it stays until the run has ended."""

    where: str
    fault: str
    after: int
    calls: int | None = None

    def __str__(self) -> str:
        length = "" if self.calls is None else f" for {self.calls} calls"
        return f"{self.where}: {self.fault} after {self.after} calls{length}"


@dataclass
class Tally:
    """``began``: in how many nights the fault came before the end; ``longest``: for how many
    seconds the event loop was blocked at most; ``strays``: what was written into the empty mount
    point of a disk that went away in the very moment, and not called done."""

    nights: int = 0
    began: int = 0
    longest: float = 0.0
    strays: int = 0
    wrong: list[str] = field(default_factory=list)

    def add(self, case: Case, began: bool, blocked: float, wrong: Sequence[str]) -> None:
        self.nights += 1
        self.began += began
        self.longest = max(self.longest, blocked)
        if blocked >= BLOCKED_SECONDS:
            wrong = [*wrong, f"the event loop was blocked for {blocked:.1f} s"]
        self.wrong += [f"{case}: {one}" for one in wrong]


class Scene:
    """A night with one of its folders on such a disk."""

    def __init__(self, night: Night, where: str) -> None:
        self.night = night
        self.where = where
        batch = night.batch
        batch.fault("reads_media")
        batch.configure(drain_seconds=DRAIN_SECONDS)
        outputs = batch.library / "outputs"
        self._folder = {"library": batch.library, "outputs": outputs, "work": batch.work.root}[
            where
        ]
        if where == "outputs":
            outputs.mkdir()
            (outputs / "kept.txt").write_text("of a person")
            night.note_sources()
            night.extra = ("--output-dir", str(outputs))
        batch.json("--dry-run", *night.extra)
        self._start: Kept = night.keep()
        with self.mounted() as disk:
            before = int(disk.tell("calls"))
            night.undisturbed()
            self.calls = int(disk.tell("calls")) - before

    @contextlib.contextmanager
    def mounted(self) -> Iterator[Disk]:
        """The beginning of the night, with the disk in its place."""
        self.night.restore(self._start)
        kind = "local" if self.where == "work" else "share"
        with mounted(self._folder, kind, self.night.folder / "on-disk") as disk:
            yield disk

    def cases(self, count: int, seed: int) -> list[Case]:
        """So many cases: each fault at moments that are spread over the night."""
        chance = random.Random(seed)
        found = []
        for number in range(count):
            fault = FAULTS[number % len(FAULTS)]
            share = (number // len(FAULTS) + chance.random()) / -(-count // len(FAULTS))
            glitch = fault in ERRORS and number // len(FAULTS) % 3 == 2
            after = int(share * self.calls)
            if fault == "empty":  # a disk that was empty at the first look is an empty disk
                after = max(after, self.calls // 8)
            found.append(Case(self.where, fault, after, chance.randint(1, 9) if glitch else None))
        return found

    def play(self, case: Case, tally: Tally) -> None:
        """One of the stories below, each in its turn."""
        hangs = case.fault in HANGS
        if self.where == "work" and hangs:
            comes_back(self, case, tally)
        elif hangs and tally.nights % 2:
            is_interrupted(self, case, tally)
        elif tally.nights % 3 == 2:
            comes_back(self, case, tally)
        else:
            ends_by_itself(self, case, tally)

    def start(self, *arguments: str) -> tuple[Running, Path]:
        """The coordinator, watched; and where its pulse is noted."""
        batch = self.night.batch
        note = self.night.folder / "blocked"
        running = batch.start_module(
            "tests.faults.watched",
            note,
            batch.library,
            *("--json", "--resume", *self.night.extra, *arguments),
        )
        return running, note


def ends_by_itself(scene: Scene, case: Case, tally: Tally) -> None:
    """The fault stays: the run must end, and the next night is to make it good."""
    with scene.mounted() as disk:
        running, note = scene.start()
        _hurt(disk, case, running)
        wrong = _end(running, WAIT_SECONDS)
        began = _release(disk, case, tally)
        outcome = running.end()
        done = scene.night.library() == scene.night.expected
        wrong += complaints(case, outcome, done, began) + scene.night.wrong_after_the_fault(
            outcome.out
        )
        wrong += scene.night.wrong_after_the_next_night(outcome.out)
        tally.add(case, began, float(note.read_text()), wrong)


def comes_back(scene: Scene, case: Case, tally: Tally) -> None:
    """The run waits for the disk, goes on, and ends with everything done."""
    with scene.mounted() as disk:
        running, note = scene.start("--set", f"storage_wait_seconds={WAIT_SECONDS}")
        _hurt(disk, case, running)
        give_up = time.monotonic() + NOTICE_SECONDS
        while not running.saw("throttled") and time.monotonic() < give_up:
            if _is_over(running):
                break
            time.sleep(0.02)
        waited = running.saw("throttled")
        began = _release(disk, case, tally)
        wrong = _end(running, WAIT_SECONDS)
        outcome = running.end()
        done = scene.night.library() == scene.night.expected
        # A state that could not be written ends the run all the same, to be gone on with.
        fine = {0, 75} if case.where == "work" else {0}
        if waited and (outcome.code not in fine or (outcome.code == 0 and not done)):
            wrong.append(f"it waited and ended with {outcome.code}: {outcome.errors}")
        wrong += complaints(case, outcome, done, began) + scene.night.wrong_after_the_fault(
            outcome.out
        )
        wrong += scene.night.wrong_after_the_next_night(outcome.out)
        tally.add(case, began, float(note.read_text()), wrong)


def is_interrupted(scene: Scene, case: Case, tally: Tally) -> None:
    """A run whose disk hangs ends when it is told to."""
    with scene.mounted() as disk:
        running, note = scene.start("--set", f"storage_wait_seconds={WAIT_SECONDS}")
        _hurt(disk, case, running)
        while not _is_over(running) and not _has_begun(disk, case):
            time.sleep(0.02)
        running.signal(signal.SIGINT)
        wrong = _end(running, END_SECONDS)
        began = _release(disk, case, tally)
        outcome = running.end()
        if outcome.code not in (130, 0):
            wrong.append(f"interrupted, it ended with {outcome.code}: {outcome.err[-300:]}")
        wrong += scene.night.wrong_after_the_fault(outcome.out)
        wrong += scene.night.wrong_after_the_next_night(outcome.out)
        tally.add(case, began, float(note.read_text()), wrong)


def is_away_from_the_beginning(scene: Scene, case: Case, tally: Tally) -> None:
    """What was worked on in earlier nights is not there when a run begins."""
    with scene.mounted() as disk:
        scene.night.again()
        if case.fault == "unmount":
            disk.unmount()
        else:
            disk.tell(case.fault)
        running, note = scene.start()
        wrong = _end(running, WAIT_SECONDS)
        _release(disk, case, tally)
        outcome = running.end()
        if outcome.code != 75 or "storage_lost" not in outcome.err + outcome.out:
            wrong.append(f"it ended with {outcome.code}: {outcome.err[-300:]}")
        wrong += scene.night.wrong_after_the_fault(outcome.out)
        if scene.night.again().finished:
            wrong.append("done again: what was whole on a disk that is back")
        tally.add(case, True, float(note.read_text()), wrong)


def _hurt(disk: Disk, case: Case, running: Running) -> None:
    if case.fault != "unmount":
        numbers = [case.after] if case.calls is None else [case.after, case.calls]
        disk.tell(" ".join([case.fault, *map(str, numbers)]))
        return
    first = int(disk.tell("calls"))
    while not _is_over(running) and int(disk.tell("calls")) - first < case.after:
        time.sleep(0.001)
    if not _is_over(running):
        disk.unmount()


def _has_begun(disk: Disk, case: Case) -> bool:
    if case.fault == "unmount":
        return not disk.is_mounted
    if case.fault == "hang":
        return disk.hangs
    return case.calls is not None or disk.tell("began") == "True"


def _release(disk: Disk, case: Case, tally: Tally) -> bool:
    """Make the disk whole again; whether the fault had begun."""
    began = _has_begun(disk, case)
    if case.fault != "unmount":
        disk.go_on()
        disk.tell("ok")
    elif began:
        if case.where != "work":  # its logs go on
            tally.strays += len([path for path in disk.where.rglob("*") if path.is_file()])
        shutil.rmtree(disk.where)
        disk.where.mkdir()
        disk.mount()
    return began


def _is_over(running: Running) -> bool:
    """Whether the coordinator has ended. One of whose threads the kernel still waits for a disk
    that is stuck cannot be reaped, but all of its own work is done."""
    if running.process.poll() is not None:
        return True
    return psutil.Process(running.process.pid).status() == psutil.STATUS_ZOMBIE


def _end(running: Running, patience: float) -> list[str]:
    """Wait for its end; one that does not end is killed, and wrong."""
    give_up = time.monotonic() + patience
    while not _is_over(running):
        if time.monotonic() > give_up:
            running.process.kill()
            return [f"it did not end in {patience:.0f} s"]
        time.sleep(0.02)
    return []


def complaints(case: Case, outcome: Outcome, done: bool, began: bool) -> list[str]:
    """What is wrong with how a run ended. ``done``: everything is published and whole."""
    wrong = []
    if outcome.code == 0 and not done:
        wrong.append("it claimed success")
    if outcome.code not in (0, 75) and not (case.calls is not None and outcome.code == 5):
        wrong.append(f"it ended with {outcome.code}: {outcome.errors} {outcome.err[-300:]}")
    if outcome.code == 0 and not events_in(outcome.out):
        wrong.append("it said nothing")
    failed = [name for name, status in outcome.finished.items() if status == "failed"]
    if failed and case.calls is None and began and case.where != "work":
        wrong.append(f"called failed, and is only to be done again: {outcome.errors}")
    return wrong


WHERE = ("library", "outputs", "work")


def campaign(night_of: Callable[[int], Night], count: int, seed: int) -> Tally:
    """So many nights, a third of them with each of the folders on the disk."""
    tally = Tally()
    for where in WHERE:
        scene = Scene(night_of(2), where)
        for case in scene.cases(max(1, count // len(WHERE)), seed):
            scene.play(case, tally)
        if where == "library":
            for fault in ("unmount", "empty"):
                is_away_from_the_beginning(scene, Case(where, fault, 0), tally)
    return tally
