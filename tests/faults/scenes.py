"""What can have happened before a night: from each of these states it is hurt at every call."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.end_to_end.conftest import OLD, Outcome
from tests.faults import traced
from tests.faults.forked import Ended, Forks
from tests.faults.night import Kept, Night, events_in


class ForkedNight(Night):
    """A night whose coordinators are forks, and can be traced."""

    def __init__(
        self, folder: Path, environments: list[Path], files: Sequence[str], forks: Forks
    ) -> None:
        super().__init__(folder, environments, files)
        self.forks = forks

    def arguments(self) -> list[str]:
        """The arguments of the command; its settings are written down."""
        self.batch.config.write_text(yaml.safe_dump(self.batch.settings))
        return self.argv()[4:]

    def again(self) -> Outcome:
        ended = self.forks.run("batch", self.arguments(), self.batch.environ)
        return outcome_of(ended)


@dataclass(frozen=True)
class Scene:
    """A state to start from, and how the night that starts there is to end.

    Attributes:
        settings, extra, good, gate: what the night is given (``gate``: that file is there).
        sources: what must stay as it is. ``former``: what we had published before.
        todo: the files that are worked on.
        command: ``batch``, or another one that is hurt before the night.
    """

    name: str
    kept: Kept
    settings: Mapping[str, Any]
    extra: tuple[str, ...]
    good: frozenset[int]
    gate: bool
    sources: Mapping[str, tuple[int, bytes]]
    former: Mapping[str, bytes]
    expected: Mapping[str, bytes]
    todo: frozenset[str]
    command: str = "batch"

    def begin(self, night: ForkedNight) -> None:
        """Bring the sandbox into the state."""
        night.restore(self.kept)
        night.batch.settings = copy.deepcopy(dict(self.settings))
        night.extra, night.good = self.extra, self.good
        night.sources = dict(self.sources)
        night.former, night.expected = dict(self.former), dict(self.expected)
        _set_gate(night, self.gate)

    def arguments(self, night: ForkedNight) -> list[str]:
        """Those of the command that is hurt."""
        if self.command == "batch":
            return night.arguments()
        night.arguments()
        return [
            *("clean", "--older-than", "0", "--work-dir", str(night.batch.work.root)),
            *("--config", str(night.batch.config)),
        ]


Story = Callable[[ForkedNight], None]


def outcome_of(ended: Ended) -> Outcome:
    """The same as of a night that was started as a process of its own."""
    return Outcome(ended.code, ended.out, ended.err, events_in(ended.out))


def make_scene(night: ForkedNight, blank: Scene, story: Story) -> Scene:
    """Let the story happen, starting from ``blank``, and see what a night makes of it."""
    blank.begin(night)
    night.former = {}
    story(night)
    former, kept, gate = night.library(), night.keep(), night.batch.gate.exists()
    outcome = night.again()
    if outcome.code not in night.good:
        raise RuntimeError(f"{story.__name__}: ended with {outcome.code}: {outcome.err}")
    return Scene(
        story.__name__,
        kept,
        copy.deepcopy(night.batch.settings),
        night.extra,
        night.good,
        gate,
        dict(night.sources),
        former,
        night.library(),
        frozenset(outcome.finished),
        "run-pipeline" if story is cleaned else "batch",
    )


def blank_scene(night: ForkedNight) -> Scene:
    """A library without a subtitle, once the installation has been checked."""
    night.batch.json("--dry-run")
    _set_gate(night, False)
    settings = copy.deepcopy(night.batch.settings)
    return Scene(
        *("blank", night.keep(), settings, (), frozenset({0}), False),
        *(dict(night.sources), {}, {}, frozenset()),
    )


def _set_gate(night: Night, opened: bool) -> None:
    night.batch.gate.unlink(missing_ok=True)
    if opened:
        night.batch.gate.touch()


# --- what happened before -----------------------------------------------------------------------


def fresh(night: ForkedNight) -> None:
    """Nothing."""


def cold(night: ForkedNight) -> None:
    """No worker stays: the jobs start their stages themselves."""
    night.batch.configure(unload_after=0)


def replacing(night: ForkedNight) -> None:
    """Everything is done, but the user wants it in another way."""
    night.again()
    night.batch.settings["stages"]["relay"] = {"greeting": "good evening"}


def edited(night: ForkedNight) -> None:
    """Before that, a person edits one of our files, and deletes one of another film."""
    replacing(night)
    first, second = sorted(night.library())[0::2][:2]
    path = night.batch.library / first
    path.write_bytes(path.read_bytes() + b"corrected by hand\n")
    (night.batch.library / second).unlink()
    night.sources[str(path)] = (path.stat().st_mtime_ns, path.read_bytes())


def deleted(night: ForkedNight) -> None:
    """A person deletes one of two outputs of each film."""
    night.again()
    for name in night.library():
        if name.endswith(".srt"):
            (night.batch.library / name).unlink()


def taken(night: ForkedNight) -> None:
    """The name of one output of each film is taken by something else."""
    for name in night.files:
        (night.batch.library / f"{name.rpartition('.')[0]}.en.srt").mkdir()


def failing(night: ForkedNight) -> None:
    """One film cannot be worked on; that is known for good once it was tried."""
    night.batch.fault("fails_for_bad_names")
    night.good = frozenset({0, 5})


def retrying(night: ForkedNight) -> None:
    """That film can be worked on since, and the user asks for it."""
    failing(night)
    night.again()
    night.good = frozenset({0})
    night.extra = ("--retry-failed",)
    _set_gate(night, True)


def elsewhere(night: ForkedNight) -> None:
    """The subtitles go into a folder of their own, which is not there yet."""
    night.extra = ("--output-dir", str(night.batch.library / "subtitles" / "here"))


def moved(night: ForkedNight) -> None:
    """Everything is done, but then the films are given other names."""
    night.again()
    for name in night.files:
        path = night.batch.library / name
        path.rename(path.with_name(f"moved-{name}"))
        night.sources[str(path.with_name(f"moved-{name}"))] = night.sources.pop(str(path))


def folders(night: ForkedNight) -> None:
    """The films lie in folders of their own, and two are worked on at a time."""
    night.batch.configure(max_workers=2)
    library = night.batch.library
    for number, name in enumerate(night.files):
        (library / f"folder {number}").mkdir()
        (library / name).rename(library / f"folder {number}" / name)
    night.note_sources()


def films(night: ForkedNight) -> None:
    """Films are published, which are large."""
    night.batch.configure(workflows={"fake-flow": ["fake", "relay", "bulky"]})


def replaced_films(night: ForkedNight) -> None:
    """They are there, but the user wants others."""
    films(night)
    night.again()
    _grow_old(night)
    night.batch.settings["stages"]["bulky"] = {"title": "second"}


def cleaned(night: ForkedNight) -> None:
    """Everything is done, and the user frees the space."""
    night.again()


def killed(share: float) -> Story:
    """An earlier night was killed after that share of what it does."""

    def story(night: ForkedNight) -> None:
        log = night.folder / "calls"
        start = night.keep()
        _run(night, traced.watching(log))
        writes = [one for one in traced.points_in(log) if one.name == "write"]
        night.restore(start)
        _run(night, traced.hurting(log, writes[int(share * len(writes))], traced.KILL))
        if not traced.was_hit(log):
            raise RuntimeError(f"{log}: it was not killed")

    story.__name__ = f"killed at {share:.0%}"
    return story


def _run(night: ForkedNight, strace: list[str]) -> None:
    with (
        night.forks.stopped("batch", night.arguments(), night.batch.environ) as fork,
        traced.attached(fork.pid, strace),
    ):
        fork.end()
    night.survivors()


def _grow_old(night: Night) -> None:
    """A film that is young would be taken for one that still grows."""
    for name in night.library():
        os.utime(night.batch.library / name, (OLD, OLD))


STORIES: tuple[Story, ...] = (
    *(fresh, cold, replacing, edited, deleted, taken, failing, retrying, elsewhere, moved),
    *(folders, films, replaced_films, cleaned, killed(0.4), killed(0.6), killed(0.8)),
)


def named(name: str) -> Story:
    """The story of that name."""
    return next(story for story in STORIES if story.__name__ == name)
