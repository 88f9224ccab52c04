from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

import pytest

from orchestrator.catalogue import EnvironmentSpec
from orchestrator.hardware import Hardware
from orchestrator.preflight.context import Context
from orchestrator.provision.build import BuildOptions
from orchestrator.provision.models import Store
from orchestrator.provision.modelspec import FileSpec, ModelSpec

MINE = ModelSpec("mine", (), "MIT", (), {"model.bin": FileSpec(1000, "a" * 64)})
HARDWARE = Hardware("Fast CPU", 4, 8, 16_000_000_000, (), "linux", "x86_64")


@pytest.fixture
def spec(tmp_path: Path) -> EnvironmentSpec:
    folder = tmp_path / "environments-in" / "tiny"
    folder.mkdir(parents=True)
    (folder / "requirements.in").write_text("thing\n")
    return EnvironmentSpec("tiny", folder, ("json",), ">=3.11", False, MappingProxyType({}))


@pytest.fixture
def context(tmp_path: Path, spec: EnvironmentSpec) -> Context:
    """Nothing is built, nothing fetched, nothing set."""
    work = tmp_path / "home" / "work"
    work.parent.mkdir()
    return Context(
        work_dir=work,
        input_dir=None,
        output_dir=None,
        hardware=HARDWARE,
        device="cpu",
        environments=(spec,),
        options=BuildOptions(),
        store=Store(work, {"mine": MINE}, allow_downloads=False),
        models=(),
        loadings=(),
        count_media=lambda _folder: 0,
    )
