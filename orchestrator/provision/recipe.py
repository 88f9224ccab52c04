"""The files of an environment's folder that decide what is installed, and what they ask for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestrator.catalogue import EnvironmentSpec
from orchestrator.catalogue.reader import Problems, Reader, read_object
from orchestrator.contract.errors import ErrorClass, fail

_PROFILE_FILE = "profile.json"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class Recipe:
    """What an environment is made from; ``constraints`` and overrides need not be there.

    Args:
        profile: the profile's ``profile.json``; None where it has none.
        own_torch: the profile says itself which torch is installed and from where: PyTorch's own
            package index is not asked.
    """

    requirements: tuple[Path, ...]
    constraints: Path | None
    overrides: tuple[Path, ...]
    profile: Path | None = None
    own_torch: bool = False

    def files(self) -> tuple[Path, ...]:
        optional = (self.constraints, self.profile)
        return (*self.requirements, *self.overrides, *(file for file in optional if file))


def recipe(spec: EnvironmentSpec, *, profile: str, variant: str | None) -> Recipe:
    """The files of the environment's folder that apply for a profile and a GPU kind."""
    requirements = [spec.folder / "requirements.in"]
    if variant is not None and variant in spec.variants:
        requirements.append(spec.folder / spec.variants[variant])
    profiles = spec.folder / "profiles" / profile
    own, general = profiles / "overrides.txt", spec.folder / "overrides.txt"
    return Recipe(
        tuple(requirements),
        _if_there(spec.folder / "constraints.txt"),
        tuple(file for file in (general, own) if file.is_file()),
        _if_there(profiles / _PROFILE_FILE),
        own_torch=own.is_file() and "torch" in required_names(own.read_text(encoding="utf-8")),
    )


def removals(files: Recipe) -> tuple[str, ...]:
    """The patterns of installed files that the profile wants removed, relative to the packages.

    Raises:
        Failure: ``environment_profile_invalid``.
    """
    if files.profile is None:
        return ()
    problems = Problems()
    patterns: tuple[str, ...] = ()
    data = read_object(files.profile, problems)
    if data is not None:
        reader = Reader(data, files.profile, problems)
        patterns = reader.names("remove", required=False)
        reader.done()
    for pattern in patterns:
        if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
            problems.add(files.profile, "remove", f"must stay inside the packages, got {pattern!r}")
    if problems.lines:
        raise fail(
            "environment_profile_invalid",
            "\n".join(problems.lines),
            "Correct that file, or choose another environment_profile.",
            error_class=ErrorClass.ENVIRONMENT,
        )
    return patterns


def direct_packages(files: Recipe, installed: Mapping[str, str]) -> dict[str, str]:
    """The versions of the packages that the requirements name, without what came along."""
    wanted = {
        name for file in files.requirements for name in required_names(file.read_text("utf-8"))
    }
    versions = {_normal(name): version for name, version in installed.items()}
    return {name: versions[name] for name in sorted(wanted) if name in versions}


def required_names(text: str) -> list[str]:
    """The names in a file of requirements, normalised; options, addresses and remarks aside."""
    lines = (line.strip() for line in text.splitlines())
    found = (_NAME.match(line) for line in lines if "://" not in line.split("#")[0].split("@")[0])
    return [_normal(match[0]) for match in found if match]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _if_there(file: Path) -> Path | None:
    return file if file.is_file() else None
