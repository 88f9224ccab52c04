"""A person saves a subtitle at the very moment at which a job publishes its own.

The job is stopped after each of its system calls, the person does one thing, and it goes on. What
the person has put there must be there in the end, whatever the moment was.
"""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.launcher import job_argv
from tests.faults.acts import ACTS, Act, at, takes_away
from tests.faults.night import Kept, Night
from tests.faults.stopped import points_after, stopped_after
from tests.faults.traced import Point

TARGETS = ("a.en.srt", "a.en.vtt")

NIGHT_AFTER_EACH = 20
"""After one race of so many, the whole batch has another night."""


@dataclass
class Races:
    """``races``: moments at which the job was stopped while a person did something."""

    races: int = 0
    wrong: list[str] = field(default_factory=list)

    def add(self, other: Races) -> None:
        self.races += other.races
        self.wrong += other.wrong


@dataclass(frozen=True)
class Scene:
    """A state in which a job is about to publish, and every moment of that job."""

    name: str
    kept: Kept
    job: Path
    argv: Sequence[str]
    points: Sequence[Point]


def scenes(night: Night) -> Iterator[Scene]:
    """Nothing is there; then an older subtitle of ours, which the job is to replace."""
    (night.batch.library / "notes.txt").write_bytes(b"notes of a person")
    night.note_sources()
    night.undisturbed()
    older = night.keep()
    job = night.batch.jobs()[-1]
    for name in TARGETS:
        (night.batch.library / name).unlink()
    yield _scene("fresh", night, job)

    night.restore(older)
    night.batch.settings["stages"]["relay"] = {"greeting": "good evening"}
    night.undisturbed()
    job = night.batch.jobs()[-1]
    for name in TARGETS:
        shutil.copy2(older.folder / "library" / name, night.batch.library / name)
    yield _scene("replacing", night, job)


def _scene(name: str, night: Night, job: Path) -> Scene:
    """The job as it was before it published: all is made, and nothing of that is recorded."""
    for left in ("manifest.json", "job_result.json", "events.jsonl"):
        (job / left).unlink()
    for database in night.batch.work.root.glob("batch.db*"):
        database.unlink()
    kept = night.keep()
    argv = job_argv(job)
    points = points_after("job.json", argv, night.batch.environ, night.folder)
    if night.library() != night.expected:
        raise RuntimeError(f"the job by itself does not publish: {sorted(night.library())}")
    return Scene(name, kept, job, argv, points)


def race(night: Night, scene: Scene, count: int | None = None) -> Races:
    """Each act at each moment with each target, or ``count`` of these that are evenly spread."""
    every = list(itertools.product(scene.points, ACTS, TARGETS))
    chosen = every if count is None else [every[n * len(every) // count] for n in range(count)]
    tally = Races()
    for point, act, name in chosen:
        wrong = race_once(night, scene, point, act, name)
        if tally.races % NIGHT_AFTER_EACH == 0:
            wrong += _next_night(night, name)
        tally.races += 1
        where = f"{scene.name}, {act.__name__} {name} after {point}"
        tally.wrong += [f"{where}: {one}" for one in wrong]
    return tally


def race_once(night: Night, scene: Scene, point: Point, act: Act, name: str) -> list[str]:
    """What was wrong after that one."""
    night.restore(scene.kept)
    target = night.batch.library / name
    theirs: dict[str, tuple[int, bytes]] = {}

    def person() -> None:
        act(target)
        theirs.update(at(target))

    ended = stopped_after(point, person, scene.argv, night.batch.environ, night.folder)
    wrong = [] if ended.stops else ["it was not stopped there"]
    if ended.code not in (0, 5):
        wrong.append(f"the job ended with {ended.code}")
    if at(target) != theirs and not (act is takes_away and _is_ours(night, name)):
        wrong.append(f"overwritten: {at(target)}, not {theirs}")
    wrong += night.changed_sources()
    for path in night.library():
        if not path.startswith(TARGETS):
            wrong.append(f"left behind: {path}")
    other = next(one for one in TARGETS if one != name)
    if not _is_ours(night, other):
        wrong.append(f"the other output is not there: {other}")
    result = json.loads((scene.job / "job_result.json").read_bytes())
    if result["status"] not in ("done", "failed"):
        wrong.append(f"the result is {result['status']}")
    # What has gone may be on a disk that has gone: then the job says so, and is done again.
    if result["error"] is not None and act is not takes_away:
        wrong.append(f"the job failed: {result['error']['code']}")
    return wrong


def _is_ours(night: Night, name: str) -> bool:
    return night.library().get(name) == night.expected[name]


def _next_night(night: Night, name: str) -> list[str]:
    """What a person has put there outlives the next nights too; what is missing is made."""
    target = night.batch.library / name
    before = at(target)
    outcome = night.again()
    wrong = [] if outcome.code in (0, 5) else [f"the next night ended with {outcome.code}"]
    if at(target) != before and not _is_ours(night, name):
        wrong.append(f"overwritten by the next night: {at(target)}, not {before}")
    wrong += night.changed_sources()
    return wrong
