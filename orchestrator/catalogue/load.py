"""Finds the stage and environment folders, the package's own and those of the user."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from orchestrator.catalogue.declarations import (
    ENVIRONMENT_FILE,
    REQUIREMENTS_FILE,
    STAGE_FILE,
    read_environment,
    read_stage,
)
from orchestrator.catalogue.model import Catalogue, EnvironmentSpec, StageSpec
from orchestrator.catalogue.reader import Problems
from orchestrator.catalogue.suggest import unknown
from orchestrator.contract.errors import fail

Spec = TypeVar("Spec", StageSpec, EnvironmentSpec)

PACKAGE = Path(__file__).resolve().parents[1]
"""The folder that holds the ``stages`` and ``environments`` shipped with this package."""


def load_catalogue(stage_paths: Sequence[Path], *, package: Path = PACKAGE) -> Catalogue:
    """Read every stage and environment of the package, then of each of ``stage_paths``.

    Each path is a folder that holds ``stages/`` or ``environments/`` or both.

    Raises:
        Failure: ``invalid_catalogue`` (class input), naming every file, key and fix: a path that
            is missing, a broken declaration, a name that stands twice, an unknown environment.
    """
    problems = Problems()
    stages: dict[str, StageSpec] = {}
    environments: dict[str, EnvironmentSpec] = {}
    for path in stage_paths:
        if not (path / "stages").is_dir() and not (path / "environments").is_dir():
            problems.add(
                path,
                "",
                "holds neither a stages nor an environments folder: correct stage_paths",
            )
    for root in (package, *stage_paths):
        for folder in _folders(root / "environments", ENVIRONMENT_FILE, REQUIREMENTS_FILE):
            _add(folder, read_environment, environments, problems)
        for folder in _folders(root / "stages", STAGE_FILE, "stage.py"):
            _add(folder, read_stage, stages, problems)
    if not problems.lines:
        for stage in stages.values():
            if stage.environment not in environments:
                message = unknown(stage.environment, environments, "environment")
                problems.add(stage.folder / STAGE_FILE, "environment", message)
    _check_engines(stages.values(), problems)
    if problems.lines:
        raise fail(
            "invalid_catalogue",
            "\n".join(problems.lines),
            "Correct these files, or remove their folder from stage_paths.",
        )
    return Catalogue(MappingProxyType(stages), MappingProxyType(environments))


def _folders(parent: Path, *signs: str) -> Iterator[Path]:
    """The folders in ``parent`` with one of the files ``signs``, in the order of their names.

    A folder with none of them is what version control leaves behind, and is passed over.
    """
    if not parent.is_dir():
        return
    for folder in sorted(parent.iterdir()):
        hidden = folder.name.startswith((".", "_"))
        if not hidden and any((folder / sign).is_file() for sign in signs):
            yield folder


def _check_engines(stages: Iterable[StageSpec], problems: Problems) -> None:
    """The settings choose among the stages of a role by engine, so each has its own."""
    known: dict[tuple[str, str | None], StageSpec] = {}
    for stage in stages:
        other = known.setdefault((stage.part, stage.engine), stage)
        if other is not stage:
            message = f"{other.folder} has the same role and engine: choose another engine"
            problems.add(stage.folder / STAGE_FILE, "engine", message)


def _add(
    folder: Path,
    read: Callable[[Path, Problems], Spec | None],
    known: dict[str, Spec],
    problems: Problems,
) -> None:
    spec = read(folder, problems)
    if spec is None:
        return
    if spec.name in known:
        problems.add(
            folder,
            "",
            f"the name {spec.name!r} is taken by {known[spec.name].folder}: rename this folder",
        )
        return
    known[spec.name] = spec
