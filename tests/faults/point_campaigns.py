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
"""The films of a night whose jobs are killed: so many at a time."""

FAILING_JOBS = JOBS[: len(job_points.ORDER)]
"""Those of a night whose jobs meet failing calls: a full disk ends it."""

TWICE: tuple[Story, ...] = (scenes.fresh, scenes.replacing)
ALL_ERRORS: tuple[Story, ...] = (scenes.fresh, scenes.replacing)
"""The scenes whose coordinators meet each error at each call; those of the others meet one."""

OF_JOBS: tuple[Story, ...] = (
    *(scenes.fresh, scenes.cold, scenes.replacing, scenes.deleted, scenes.taken),
    *(scenes.elsewhere, scenes.moved, scenes.folders, scenes.films, scenes.replaced_films),
)

Share = Callable[[int], int]
"""How many of so many things are to be tried."""

Note = Callable[[str], None]
"""Is told what came of each scene when it ends: a campaign takes an hour, and may be cut off."""


def unheard(text: str) -> None:
    """The note of a campaign that nobody watches."""


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

    def add(self, other: Figures) -> None:
        self.coordinators.add(other.coordinators)
        self.twice.add(other.twice)
        self.jobs.add(other.jobs)

    def __str__(self) -> str:
        parts = [f"{self.coordinators.hit} of coordinators", f"{self.jobs.hit} of jobs"]
        if self.twice.tried:
            parts.append(f"{self.twice.hit} of what went on after a kill")
        return f"{self.hit} of {self.tried} points ({', '.join(parts)})"


def kill_coordinators(
    night: ForkedNight,
    stories: Iterable[Story],
    share: Share,
    twice: Sequence[Story] = (),
    note: Note = unheard,
) -> Figures:
    """Kill the coordinator at each point of these scenes, or at a share of them."""
    total = Figures()
    for story, scene, points in _scenes(night, stories):
        chosen = selected(points, share(len(points)))
        figures = Figures(coordinators=kill_points.kill_everywhere(night, scene, chosen))
        if story in twice:
            figures.twice = kill_points.kill_twice(night, scene, chosen)
        _end_scene(scene, figures, total, note)
    return total


def fail_coordinators(
    night: ForkedNight,
    stories: Iterable[Story],
    share: Share,
    everything: Sequence[Story] = (),
    note: Note = unheard,
) -> Figures:
    """Let the coordinator's calls fail, in the scenes of ``everything`` with each error."""
    total = Figures()
    for story, scene, points in _scenes(night, stories):
        chosen = selected(points, share(len(points)))
        faults = kill_points.one_error(chosen)
        if story in everything:
            faults = kill_points.each_error(chosen)
        figures = Figures(coordinators=kill_points.fail_everywhere(night, scene, faults))
        _end_scene(scene, figures, total, note)
    return total


def kill_jobs(
    night: ForkedNight, stories: Iterable[Story], share: Share, note: Note = unheard
) -> Figures:
    """Kill jobs alone at each of their points."""
    return _hurt_jobs(night, stories, share, note, job_points.kills)


def fail_jobs(
    night: ForkedNight, stories: Iterable[Story], share: Share, note: Note = unheard
) -> Figures:
    """Let each call of jobs fail with each error, in nights of :data:`FAILING_JOBS`."""
    return _hurt_jobs(night, stories, share, note, job_points.failures)


def _hurt_jobs(
    night: ForkedNight,
    stories: Iterable[Story],
    share: Share,
    note: Note,
    laid: Callable[[Sequence[Point]], list[job_points.Trap]],
) -> Figures:
    total = Figures()
    traps = Traps(night.folder)
    blank = scenes.blank_scene(night)
    for story in stories:
        scene = scenes.make_scene(night, blank, story)
        points = job_points.points_of(night, scene, traps)
        faults = laid(selected(points, share(len(points))))
        figures = Figures(jobs=job_points.hurt_everywhere(night, scene, traps, faults))
        _end_scene(scene, figures, total, note)
    return total


def _end_scene(scene: Scene, figures: Figures, total: Figures, note: Note) -> None:
    total.add(figures)
    note(f"{scene.name}: {figures}; {len(figures.wrong)} wrong")


def _scenes(
    night: ForkedNight, stories: Iterable[Story]
) -> Iterator[tuple[Story, Scene, list[Point]]]:
    blank = scenes.blank_scene(night)
    for story in stories:
        scene = scenes.make_scene(night, blank, story)
        yield story, scene, kill_points.points_of(night, scene)
