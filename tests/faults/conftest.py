"""A sandbox for a night, with the environments that the end-to-end tests build as well."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.end_to_end.conftest import shared_environments
from tests.faults.forked import Forks
from tests.faults.night import Night
from tests.faults.scenes import ForkedNight

__all__ = ["make_night", "shared_environments"]

MakeNight = Callable[..., Night]
MakeForkedNight = Callable[..., ForkedNight]


@pytest.fixture
def make_night(tmp_path: Path, shared_environments: list[Path]) -> Iterator[MakeNight]:
    made: list[Night] = []

    def make(*files: str) -> Night:
        made.append(Night(tmp_path / f"night-{len(made)}", shared_environments, files))
        return made[-1]

    yield make
    for night in made:
        for process in night.batch.processes():
            process.send_signal(signal.SIGKILL)


@pytest.fixture(scope="session")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    with Forks(tmp_path_factory.mktemp("forks")) as forks:
        yield forks


@pytest.fixture
def make_forked_night(
    tmp_path: Path, shared_environments: list[Path], forks: Forks
) -> Iterator[MakeForkedNight]:
    made: list[ForkedNight] = []

    def make(*files: str) -> ForkedNight:
        folder = tmp_path / f"forked-{len(made)}"
        made.append(ForkedNight(folder, shared_environments, files, forks))
        return made[-1]

    yield make
    for night in made:
        for process in night.batch.processes():
            process.send_signal(signal.SIGKILL)
