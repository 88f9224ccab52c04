"""A sandbox for a night, with the environments that the end-to-end tests build as well."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.end_to_end.conftest import shared_environments
from tests.faults.night import Night

__all__ = ["make_night", "shared_environments"]

MakeNight = Callable[..., Night]


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
