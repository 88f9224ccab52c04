"""Kill a night at every call that changes something, and let the next one go on."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from tests.faults.night import Kept, Night
from tests.faults.traced import Point, failing_at, killed_at, points

T = TypeVar("T")

ERRORS = ("ENOSPC", "EIO", "EACCES", "EINTR")


@dataclass
class Tally:
    """``tried`` faults, of which so many took place (``hit``), and what went wrong with which."""

    tried: int = 0
    hit: int = 0
    wrong: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Scene:
    """A state to start from, and all the points of a night that starts there."""

    name: str
    kept: Kept
    former: dict[str, bytes]
    expected: dict[str, bytes]
    points: tuple[Point, ...]


def scenes(night: Night) -> Iterator[Scene]:
    """A library without subtitles; then one whose subtitles are to be replaced by newer ones."""
    night.batch.json("--dry-run")
    fresh = night.keep()
    night.undisturbed()
    expected = night.expected
    done = night.keep()
    night.restore(fresh)
    yield _scene("fresh", night, fresh, {}, expected)

    night.restore(done)
    night.former, night.expected = expected, expected
    night.batch.settings["stages"]["relay"] = {"greeting": "good evening"}
    night.undisturbed()
    newer = night.expected
    yield _scene("replacing", night, done, expected, newer)


def _scene(
    name: str, night: Night, kept: Kept, former: dict[str, bytes], expected: dict[str, bytes]
) -> Scene:
    night.restore(kept)
    found = points(night.argv(), night.batch.environ, night.folder)
    return Scene(name, kept, former, expected, tuple(found))


def selected(found: Sequence[T], count: int | None) -> Sequence[T]:
    """All of them, or ``count`` that are evenly spread."""
    if count is None or count >= len(found):
        return found
    return [found[index * len(found) // count] for index in range(count)]


def kill_everywhere(night: Night, scene: Scene, count: int | None = None) -> Tally:
    tally = Tally()
    for point in selected(scene.points, count):
        night.restore(scene.kept)
        night.former, night.expected = scene.former, scene.expected
        ended = killed_at(point, night.argv(), night.batch.environ, night.folder)
        tally.tried += 1
        tally.hit += ended.hit
        wrong = night.wrong_after_the_fault(ended.out)
        wrong += night.wrong_after_the_next_night(ended.out)
        where = f"{scene.name}, killed at {point.name} {point.number}"
        tally.wrong += [f"{where}: {one}" for one in wrong]
    return tally


def fail_everywhere(night: Night, scene: Scene, count: int | None = None) -> Tally:
    """The same calls fail. The night may not succeed, but it says so, and tears nothing."""
    tally = Tally()
    for point, error in selected(list(itertools.product(scene.points, ERRORS)), count):
        night.restore(scene.kept)
        night.former, night.expected = scene.former, scene.expected
        ended = failing_at(point, error, night.argv(), night.batch.environ, night.folder)
        tally.tried += 1
        tally.hit += ended.hit
        wrong = night.wrong_after_the_fault(ended.out)
        if ended.code == 0 and night.library() != night.expected:
            wrong.append("it claimed success")
        wrong += night.wrong_after_the_next_night(ended.out)
        tally.wrong += [
            f"{scene.name}, {error} at {point.name} {point.number}: {one}" for one in wrong
        ]
    return tally
