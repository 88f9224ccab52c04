"""What the tests of the coordinator share: a recipe of fake stages, a state, an ear, and a run."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from batch.admission import Thresholds
from batch.app import Bus, Plan, run_batch
from batch.decide import Policy
from batch.discover import discover
from batch.events import Event, FileFinished, RunFinished
from batch.leases import Machine
from batch.listing import DirectoryListing, DiscoveryRules
from batch.scan import Places
from batch.state import State
from orchestrator.contract.errors import ErrorInfo
from orchestrator.contract.job import JobEnvironment, JobInput, JobOutput, JobStage
from orchestrator.contract.paths import WorkFolder
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


RUN_ID = f"run-{os.urandom(4).hex()}"
"""Its own each time: what ends kills what carries its mark, whoever runs tests beside us."""


class Run:
    """A plan for a library, and what came of it."""

    def __init__(self, library: Path, state: State, ear: Ear, folder: Path) -> None:
        self.library = library
        self.state = state
        self.ear = ear
        self.bus = Bus([ear])
        work = WorkFolder(folder / "work")
        work.root.mkdir()
        self.plan = Plan(
            run_id=RUN_ID,
            recipe=make_recipe(),
            policy=Policy("key of none", (JobOutput("srt", "a.srt", publish="srt"),), ("en",)),
            places=Places(str(library), None),
            work=work,
            user="me",
            probe_python=Path(sys.executable),
            probe_stage=PROBE,
            thresholds=Thresholds(0, 0, 0, 1.0),
            machine=Machine(4, 8 << 30),
            max_workers=2,
            drain_seconds=30.0,
        )

    def with_recipe(self, recipe: Recipe) -> None:
        policy = replace(self.plan.policy, settings_key=recipe.settings_key)
        self.plan = replace(self.plan, recipe=recipe, policy=policy)

    async def __call__(self, listings: Iterator[DirectoryListing] | None = None) -> int:
        code = await run_batch(
            self.plan, walk(self.library) if listings is None else listings, self.state, self.bus
        )
        assert self.ear.of(RunFinished) == [self.ear.events[-1]]
        assert self.ear.of(RunFinished)[0].exit_code == code
        return code

    @property
    def statuses(self) -> dict[str, str]:
        return {os.path.basename(one.path): one.status for one in self.ear.of(FileFinished)}

    @property
    def errors(self) -> set[str]:
        return {one.error.code for one in self.ear.of(FileFinished) if one.error}

    @property
    def error(self) -> ErrorInfo | None:
        return self.ear.of(RunFinished)[0].error
