"""Every call of coordinators and of jobs, in every scene: what to hurt, and the figures of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from tests.faults import job_points, kill_points, scenes
from tests.faults.job_points import Traps
from tests.faults.kill_points import Tally, selected
from tests.faults.scenes import ForkedNight, Scene, Story
from tests.faults.traced import Point

FILES = ("1.wav", "2-bad.wav", "3.wav")
"""The films of a night whose coordinator is hurt. One scene has a fault for names like the second
one's."""

JOBS = tuple(f"{number}.wav" for number in range(12))
"""The films of a night whose jobs are hurt: so many at a time."""

TWICE: tuple[Story, ...] = (scenes.fresh, scenes.replacing)
ALL_ERRORS: tuple[Story, ...] = (scenes.fresh, scenes.replacing)
"""The scenes whose coordinators meet each error at each call; those of the others meet one."""

OF_JOBS: tuple[Story, ...] = (
    *(scenes.fresh, scenes.cold, scenes.replacing, scenes.deleted, scenes.taken),
    *(scenes.elsewhere, scenes.moved, scenes.folders, scenes.films, scenes.replaced_films),
)

Share = Callable[[int], int]
"""How many of so many things are to be tried."""


@dataclass
class Figures:
    """What was hurt, and what was wrong afterwards."""

    coordinators: Tally = field(default_factory=Tally)
    twice: Tally = field(default_factory=Tally)
    jobs: Tally = field(default_factory=Tally)

    @property
    def hit(self) -> int:
        return self.coordinators.hit + self.twice.hit + self.jobs.hit

    @property
    def tried(self) -> int:
        return self.coordinators.tried + self.twice.tried + self.jobs.tried

    @property
    def wrong(self) -> list[str]:
        return self.coordinators.wrong + self.twice.wrong + self.jobs.wrong

    def __str__(self) -> str:
        parts = [f"{self.coordinators.hit} of coordinators", f"{self.jobs.hit} of jobs"]
        if self.twice.tried:
            parts.append(f"{self.twice.hit} of what went on after a kill")
        return f"{self.hit} of {self.tried} points ({', '.join(parts)})"


def kill_coordinators(
    night: ForkedNight, stories: Iterable[Story], share: Share, twice: Sequence[Story] = ()
) -> Figures:
    """Kill the coordinator at each point of these scenes, or at a share of them."""
    figures = Figures()
    for story, scene, points in _scenes(night, stories):
        chosen = selected(points, share(len(points)))
        figures.coordinators.add(kill_points.kill_everywhere(night, scene, chosen))
        if story in twice:
            figures.twice.add(kill_points.kill_twice(night, scene, chosen))
    return figures


def fail_coordinators(
    night: ForkedNight, stories: Iterable[Story], share: Share, everything: Sequence[Story] = ()
) -> Figures:
    """Let the coordinator's calls fail, in the scenes of ``everything`` with each error."""
    figures = Figures()
    for story, scene, points in _scenes(night, stories):
        chosen = selected(points, share(len(points)))
        faults = kill_points.one_error(chosen)
        if story in everything:
            faults = kill_points.each_error(chosen)
        figures.coordinators.add(kill_points.fail_everywhere(night, scene, faults))
    return figures


def kill_jobs(night: ForkedNight, stories: Iterable[Story], share: Share) -> Figures:
    """Kill jobs alone at each of their points."""
    return _hurt_jobs(night, stories, share, job_points.kills, len(night.files))


def fail_jobs(night: ForkedNight, stories: Iterable[Story], share: Share) -> Figures:
    """Let each call of jobs fail with each error."""
    return _hurt_jobs(night, stories, share, job_points.failures, len(job_points.ORDER))


def _hurt_jobs(
    night: ForkedNight,
    stories: Iterable[Story],
    share: Share,
    laid: Callable[[Sequence[Point]], list[job_points.Trap]],
    at_once: int,
) -> Figures:
    figures = Figures()
    traps = Traps(night.folder)
    blank = scenes.blank_scene(night)
    for story in stories:
        scene = scenes.make_scene(night, blank, story)
        points = job_points.points_of(night, scene, traps)
        faults = laid(selected(points, share(len(points))))
        figures.jobs.add(job_points.hurt_everywhere(night, scene, traps, faults, at_once))
    return figures


def _scenes(
    night: ForkedNight, stories: Iterable[Story]
) -> Iterator[tuple[Story, Scene, list[Point]]]:
    blank = scenes.blank_scene(night)
    for story in stories:
        scene = scenes.make_scene(night, blank, story)
        yield story, scene, kill_points.points_of(night, scene)
