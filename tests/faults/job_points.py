"""Hurt jobs at every call of theirs that changes something, under a coordinator that goes on.

The coordinator of a night takes a script for its interpreter. The script puts each job that is
started under strace, with the next of the faults that were laid out for it, and runs the guardian
and every further job as they are. So one night of several files brings as many jobs to their end.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.end_to_end.conftest import Outcome
from tests.faults import traced
from tests.faults.causes import untold_of_file
from tests.faults.kill_points import TRIES, Tally
from tests.faults.scenes import ForkedNight, Scene, outcome_of
from tests.faults.traced import KILL, Point

ORDER = ("EINTR", "EIO", "EACCES", "ENOSPC")
"""A full disk comes last: it ends the night, and files behind it are not begun."""

_INTERPRETER = """#!/bin/sh
# Of a job the sixth argument is "run", and the seventh its folder.
if [ "$6" = run ]; then
    for trap in {traps}/*.trap; do
        taken="${{trap%.trap}}.taken"
        if mv "$trap" "$taken" 2>/dev/null; then
            printf %s "$7" > "${{trap%.trap}}.job"
            exec $(cat "$taken") {python} "$@"
        fi
    done
fi
exec {python} "$@"
"""


@dataclass(frozen=True)
class Trap:
    """What one job is to meet: a fault at a point."""

    point: Point
    fault: str

    def __str__(self) -> str:
        return f"{self.fault.removeprefix('error=').removeprefix('signal=')} at {self.point}"


@dataclass(frozen=True)
class Sprung:
    """A trap that a job was started in. ``file``: the name of the job's media."""

    trap: Trap
    file: str
    hit: bool


class Traps:
    """The script that jobs are started with, and what is laid out for them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "traps"
        self._folder.mkdir(exist_ok=True)
        self.interpreter = folder / "python"
        self.interpreter.write_text(
            _INTERPRETER.format(
                traps=shlex.quote(str(self._folder)), python=shlex.quote(sys.executable)
            )
        )
        self.interpreter.chmod(0o755)

    def watch(self, jobs: int) -> None:
        """Lay out for so many jobs that their calls are written down."""
        self._clear()
        for number in range(jobs):
            self._lay(number, traced.watching(self._path(number, "log")))

    def points(self) -> list[Point]:
        """All points that any of the watched jobs had."""
        found = {point for log in self._folder.glob("*.log") for point in traced.points_in(log)}
        return sorted(found, key=lambda point: (point.name, point.number))

    def lay(self, traps: Sequence[Trap]) -> None:
        self._clear()
        for number, trap in enumerate(traps):
            self._lay(number, traced.hurting(self._path(number, "log"), trap.point, trap.fault))

    def sprung(self, traps: Sequence[Trap]) -> Iterator[Sprung]:
        """What became of each that a job was started in."""
        for number, trap in enumerate(traps):
            job = self._path(number, "job")
            if not job.exists():
                continue
            source = json.loads(Path(job.read_text(), "job.json").read_bytes())["source"]["path"]
            hit = traced.was_hit(self._path(number, "log"))
            yield Sprung(trap, os.path.basename(source), hit)

    def _lay(self, number: int, strace: list[str]) -> None:
        self._path(number, "trap").write_text(" ".join(strace))

    def _path(self, number: int, kind: str) -> Path:
        return self._folder / f"{number:03}.{kind}"

    def _clear(self) -> None:
        for path in self._folder.iterdir():
            path.unlink()


def points_of(night: ForkedNight, scene: Scene, traps: Traps) -> list[Point]:
    """All points of the jobs of this scene."""
    scene.begin(night)
    traps.watch(len(night.files))
    _run(night, traps)
    night.survivors()
    return traps.points()


def kills(points: Sequence[Point]) -> list[Trap]:
    return [Trap(point, KILL) for point in points]


def failures(points: Sequence[Point]) -> list[Trap]:
    """Every point with every error, the four of a point one after another."""
    return [Trap(point, f"error={error}") for point in points for error in ORDER]


def hurt_everywhere(night: ForkedNight, scene: Scene, traps: Traps, laid: Sequence[Trap]) -> Tally:
    """Let jobs run into these traps, each job of a night into another one.

    A trap that its job did not come to is laid once more, for all jobs: the first of a night makes
    folders that the others find, and one may have been stopped, with the night, before it.
    """
    tally = Tally(tried=len(laid))
    at_once = len(night.files)
    nights = [list(laid[first : first + at_once]) for first in range(0, len(laid), at_once)]
    missed: list[Trap] = []
    for traps_of_night in nights:
        hits = _night(night, scene, traps, traps_of_night, tally)
        tally.hit += len(hits)
        missed += [trap for trap in traps_of_night if trap not in hits]
    for trap in missed:
        for _ in range(TRIES):
            if _night(night, scene, traps, [trap] * len(scene.todo), tally):
                tally.hit += 1
                break
    return tally


def _night(
    night: ForkedNight, scene: Scene, traps: Traps, laid: Sequence[Trap], tally: Tally
) -> set[Trap]:
    """The traps that jobs were hit by."""
    sprung, wrong = hurt(night, scene, traps, laid)
    where = f"{scene.name}, jobs: {', '.join(map(str, dict.fromkeys(laid)))}"
    tally.wrong += [f"{where}: {one}" for one in wrong]
    return {one.trap for one in sprung if one.hit}


def hurt(
    night: ForkedNight, scene: Scene, traps: Traps, laid: Sequence[Trap]
) -> tuple[list[Sprung], list[str]]:
    """One night with these traps, and the next one: those that jobs came to, and what is wrong."""
    scene.begin(night)
    traps.lay(laid)
    outcome = _run(night, traps)
    sprung = list(traps.sprung(laid))
    wrong = night.wrong_after_the_fault(outcome.out)
    if outcome.code < 0:
        wrong.append(f"the coordinator hung, or was killed: it ended with {outcome.code}")
    if outcome.code == 0 and night.library() != night.expected:
        wrong.append("it claimed success")
    for one in sprung:
        if one.hit:
            wrong += untold_of_file(one.trap.fault.removeprefix("error="), one.file, outcome)
    wrong += night.wrong_after_the_next_night(outcome.out, scene.todo)
    return sprung, wrong


def _run(night: ForkedNight, traps: Traps) -> Outcome:
    interpreter = str(traps.interpreter)
    with night.forks.stopped("batch", night.arguments(), night.batch.environ, interpreter) as fork:
        return outcome_of(fork.end())
