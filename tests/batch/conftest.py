"""What the tests of the coordinator share: a recipe of fake stages, a state, and an ear."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from batch.discover import discover
from batch.events import Event
from batch.listing import DirectoryListing, DiscoveryRules
from batch.state import State
from orchestrator.contract.job import JobEnvironment, JobInput, JobOutput, JobStage
from orchestrator.prepare import Recipe

E = TypeVar("E", bound=Event)

FAKES = Path(__file__).parents[1] / "fakes" / "stages"
PROBE = Path(__file__).parent / "fakes" / "probe"
OLD_NS = 1_600_000_000 * 10**9
"""Time of files that are not taken for growing ones."""


class Ear:
    """Hears every event, and may do something when it hears one of a kind."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._reactions: list[tuple[type[Event], Callable[[], object]]] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        for kind, reaction in self._reactions:
            if isinstance(event, kind):
                reaction()

    handle = __call__

    def on(self, kind: type[Event], reaction: Callable[[], object]) -> None:
        self._reactions.append((kind, reaction))

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture
def ear() -> Ear:
    return Ear()


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    state = State.open(tmp_path / "batch.db")
    yield state
    state.close()


@pytest.fixture
def library(tmp_path: Path) -> Path:
    folder = tmp_path / "library"
    folder.mkdir()
    return folder


def add(library: Path, name: str, content: str = "", mtime_ns: int = OLD_NS) -> Path:
    """A file that passes for media; its content says what the fake probe makes of it."""
    path = library / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content or f"speech of {name}")
    os.utime(path, ns=(mtime_ns, mtime_ns))
    return path


def walk(library: Path) -> Iterator[DirectoryListing]:
    return discover(str(library), DiscoveryRules(frozenset({"mkv"})))


def make_recipe(fault: str = "none", gate: Path | None = None, **changes: object) -> Recipe:
    """A workflow of one fake stage, run by this interpreter."""
    stage = JobStage(
        name="fake",
        version=1,
        title="Simulate one fault",
        folder=str(FAKES / "fake"),
        environment=JobEnvironment("bare", "test", sys.executable),
        inputs=(JobInput("media"),),
        outputs=(
            JobOutput("words", "words.srt", publish="srt"),
            JobOutput("bulk", "bulk.bin", large=True),
        ),
        requested={"fault": fault},
        tuning={"gate": str(gate or "")},
        resources={},
        stall_seconds=30.0,
        grace_seconds=1.0,
    )
    recipe = Recipe(
        workflow="test",
        stages=(stage,),
        extensions=("srt",),
        keep="small",
        threads=4,
        device="cpu",
        language=None,
        settings_key=f"key of {fault}",
        choices=(),
        hardware={},
        versions={},
    )
    return replace(recipe, **changes)  # type: ignore[arg-type]
