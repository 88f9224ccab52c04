"""Hurt a coordinator at every call that changes something, and let the next night go on."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from tests.faults import traced
from tests.faults.causes import untold
from tests.faults.forked import Ended
from tests.faults.scenes import ForkedNight, Scene
from tests.faults.traced import KILL, Point

T = TypeVar("T")

Faults = Callable[[Sequence[Point]], list[tuple[Point, str]]]
"""Which points meet which errors."""

ERRORS = ("ENOSPC", "EIO", "EACCES", "EINTR")
TRIES = 10
"""How often a point is aimed at: threads share the work a little differently each time."""


@dataclass
class Tally:
    """``tried`` faults, of which so many took place (``hit``), and what went wrong with which."""

    tried: int = 0
    hit: int = 0
    wrong: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        self.tried += other.tried
        self.hit += other.hit
        self.wrong += other.wrong


def selected(found: Sequence[T], count: int | None) -> Sequence[T]:
    """All of them, or ``count`` that are evenly spread."""
    if count is None or count >= len(found):
        return found
    return [found[index * len(found) // count] for index in range(count)]


def points_of(night: ForkedNight, scene: Scene) -> list[Point]:
    """All points of the command that begins in this scene."""
    scene.begin(night)
    log = night.folder / "calls"
    run_under(night, scene, traced.watching(log))
    return traced.points_in(log)


def kill_everywhere(night: ForkedNight, scene: Scene, points: Sequence[Point]) -> Tally:
    """Kill it at each point."""
    tally = Tally()
    for point in points:
        ended, hit = _hurt(night, scene, point, KILL)
        wrong = night.wrong_after_the_fault(ended.out)
        wrong += wrong_after_the_next_night(night, scene, ended.out)
        _count(tally, hit, f"{scene.name}, killed at {point}", wrong)
    return tally


def kill_twice(night: ForkedNight, scene: Scene, points: Sequence[Point]) -> Tally:
    """Kill it at each point, and the run that goes on from there at another one.

    A second kill that is not reached, as not so much was left to be done, does not count.
    """
    tally = Tally()
    for point, second in zip(points, reversed(points), strict=True):
        first, _ = _hurt(night, scene, point, KILL)
        wrong = night.wrong_after_the_fault(first.out)
        ended, hit = _run_and_look(night, scene, second, KILL)
        wrong += night.wrong_after_the_fault(ended.out)
        if again := night.done(first.out) & night.done(ended.out):
            wrong.append(f"done twice: {sorted(again)}")
        wrong += wrong_after_the_next_night(night, scene, first.out + ended.out)
        if hit:
            _count(tally, hit, f"{scene.name}, killed at {point} and then at {second}", wrong)
    return tally


def fail_everywhere(night: ForkedNight, scene: Scene, faults: Sequence[tuple[Point, str]]) -> Tally:
    """Calls fail, each with its error. The night may not succeed, but it says why, and tears
    nothing."""
    tally = Tally()
    for point, error in faults:
        ended, hit = _hurt(night, scene, point, f"error={error}")
        wrong = night.wrong_after_the_fault(ended.out)
        done = night.library() == night.expected
        if ended.code == 0 and not done:
            wrong.append("it claimed success")
        wrong += untold(error, ended, spoilt=ended.code not in night.good or not done)
        wrong += wrong_after_the_next_night(night, scene, ended.out)
        _count(tally, hit, f"{scene.name}, {error} at {point}", wrong)
    return tally


def each_error(points: Sequence[Point]) -> list[tuple[Point, str]]:
    """Every point with every error."""
    return list(itertools.product(points, ERRORS))


def one_error(points: Sequence[Point]) -> list[tuple[Point, str]]:
    """Every point with one error, in turns."""
    return list(zip(points, itertools.cycle(ERRORS), strict=False))


def run_under(night: ForkedNight, scene: Scene, strace: list[str]) -> Ended:
    """Run the scene's command under that command line of strace."""
    arguments = scene.arguments(night)
    with (
        night.forks.stopped(scene.command, arguments, night.batch.environ) as fork,
        traced.attached(fork.pid, strace),
    ):
        return fork.end()


def wrong_after_the_next_night(night: ForkedNight, scene: Scene, out: str) -> list[str]:
    """What is wrong then; what was done before the scene began is not to be done again."""
    return night.wrong_after_the_next_night(out, scene.todo)


def _hurt(night: ForkedNight, scene: Scene, point: Point, fault: str) -> tuple[Ended, bool]:
    for _ in range(TRIES):
        scene.begin(night)
        ended, hit = _run_and_look(night, scene, point, fault)
        if hit:
            break
        night.survivors()
    return ended, hit


def _run_and_look(night: ForkedNight, scene: Scene, point: Point, fault: str) -> tuple[Ended, bool]:
    log = night.folder / "hits"
    ended = run_under(night, scene, traced.hurting(log, point, fault))
    return ended, traced.was_hit(log)


def _count(tally: Tally, hit: bool, where: str, wrong: list[str]) -> None:
    tally.tried += 1
    tally.hit += hit
    tally.wrong += [f"{where}: {one}" for one in wrong]
