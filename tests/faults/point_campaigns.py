"""Every call of coordinators and of jobs, in every scene: what to hurt, and the figures of it."""

from __future__ import annotations

import multiprocessing
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from tests.faults import job_points, kill_points, scenes
from tests.faults.job_points import Traps
from tests.faults.kill_points import Faults, Tally, selected
from tests.faults.scale import Scale, Size
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
"""The scenes whose coordinator is killed, and killed again in the night that goes on."""

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
    errors: Faults = kill_points.each_error,
    note: Note = unheard,
) -> Figures:
    """Let the coordinator's calls fail with these errors."""
    total = Figures()
    for _, scene, points in _scenes(night, stories):
        faults = errors(selected(points, share(len(points))))
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


@dataclass(frozen=True, slots=True)
class Part:
    """One scene of a campaign, for a process of its own. ``files`` are those of its night."""

    hurt: Callable[..., Figures]
    files: tuple[str, ...]
    story: str


def _parts(
    hurt: Callable[..., Figures], files: tuple[str, ...], stories: Sequence[Story]
) -> tuple[Part, ...]:
    return tuple(Part(hurt, files, story.__name__) for story in stories)


KILLS = (
    *_parts(partial(kill_coordinators, twice=TWICE), FILES, scenes.STORIES),
    *_parts(kill_jobs, JOBS, OF_JOBS),
)
FAILURES = (
    *_parts(fail_coordinators, FILES, scenes.STORIES),
    *_parts(fail_jobs, FAILING_JOBS, OF_JOBS),
)


def run(parts: Sequence[Part], size: Size) -> Figures:
    """All parts, so many at a time. One that breaks is wrong, and the others go on."""
    total = Figures()
    spawned = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(size.processes, mp_context=spawned) as pool:
        for figures in pool.map(partial(_run, size=size), parts):
            total.add(figures)
    return total


def _run(part: Part, size: Size) -> Figures:
    try:
        with Scale.made(size) as scale, scale.forks() as forks:
            night = scale.forked(part.files, forks)
            return part.hurt(night, [scenes.named(part.story)], scale.of, note=scale.note)
    except Exception:
        return Figures(Tally(wrong=[f"{part.story}: it broke off: {traceback.format_exc()}"]))
