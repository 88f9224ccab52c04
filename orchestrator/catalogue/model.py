"""The declared world: stages, their settings and outputs, and the environments they run in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

AUTO = "auto"
"""The default of a setting whose value is chosen from the hardware."""

MEDIA = "media"
"""The artefact name that means the source file itself; every stage may take it."""

COLLECTS = ".*"
"""Ends an input that takes an artefact and all that instances of a stage make of it."""

SettingValue = int | float | str | bool | tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class SettingSpec:
    """One setting of a stage.

    ``type`` is ``int``, ``float``, ``str``, ``bool`` or ``list[str]``. ``minimum`` and ``maximum``
    are inclusive. A setting with ``in_key`` changes the stage's result, and so its stage key; one
    with ``load`` selects a resident worker; one with ``auto`` may hold ``"auto"``; one whose
    ``default`` is ``None`` may be left unset.
    """

    name: str
    type: str
    default: SettingValue
    choices: tuple[str | int | float, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    in_key: bool = True
    load: bool = False
    auto: bool = False
    help: str = ""


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """One artefact a stage makes: ``file`` is its plain name in the artefact's folder.

    ``large`` artefacts are dropped when their job has succeeded and ``keep`` is ``small``.
    ``publish`` is the extension of the sidecar made from it, or ``None``; with a ``suffix`` it is
    called ``STEM.SUFFIX.EXTENSION``, otherwise ``STEM.LANGUAGE.EXTENSION``. An ``optional`` one may
    be missing when the stage has run.
    """

    name: str
    file: str
    large: bool = False
    publish: str | None = None
    suffix: str = ""
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Resources:
    """What a stage reserves before it starts, until a measured peak is known (memory in MiB)."""

    cpu_threads: int = 1
    ram_mb: int = 500
    vram_mb: int = 0


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds without progress before a stage counts as hung, and from TERM to KILL."""

    stall_seconds: float = 600.0
    grace_seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class StageSpec:
    """One stage folder, as its ``stage.json`` declares it.

    ``inputs`` must be made by some stage of the workflow; ``optional_inputs`` are taken where one
    makes them. ``"srt.*"`` in either collects ``srt`` and what instances make of it: ``srt.pt``.

    ``uses`` names what the stage's result depends on besides its inputs and settings: the
    ``language`` asked for, the ``clip`` to cut.

    Stages with the same ``role`` do the same with different engines; a workflow that names the role
    means the stage with the ``engine`` chosen in the settings.

    With ``needs_model`` the stage can do nothing while its model setting names none.

    ``for_each`` is a setting of type ``list[str]``: the stage runs once for each of its values,
    which that instance finds in its setting ``each_setting``.
    """

    name: str
    version: int
    title: str
    folder: Path
    environment: str
    inputs: tuple[str, ...]
    outputs: Mapping[str, OutputSpec]
    settings: Mapping[str, SettingSpec]
    model_setting: str | None
    uses: tuple[str, ...]
    resources: Resources
    limits: Limits
    optional_inputs: tuple[str, ...] = ()
    role: str = ""
    engine: str | None = None
    for_each: str | None = None
    needs_model: bool = False

    @property
    def part(self) -> str:
        """What workflows call it: its role, or its own name where it has none."""
        return self.role or self.name

    @property
    def each_setting(self) -> str | None:
        """The setting that holds an instance's own value of ``for_each``: targets, target."""
        return self.for_each.removesuffix("s") if self.for_each else None

    def refines(self, artefact: str) -> bool:
        """Whether it takes the artefact and makes a better one of it."""
        takes = artefact in self.inputs or artefact in self.optional_inputs
        return takes and artefact in self.outputs and self.for_each is None


@dataclass(frozen=True, slots=True)
class EnvironmentSpec:
    """One environment folder, as its ``environment.json`` declares it.

    ``imports`` are the modules a health check imports; ``python`` is a version specifier;
    ``torch`` asks for the torch backend's index; ``variants`` maps a GPU kind to the requirements
    file, inside ``folder``, that is added for it.
    """

    name: str
    folder: Path
    imports: tuple[str, ...]
    python: str
    torch: bool
    variants: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Every stage and environment that was found, by name."""

    stages: Mapping[str, StageSpec]
    environments: Mapping[str, EnvironmentSpec]

    def playing(self, part: str) -> tuple[StageSpec, ...]:
        """The stages that a workflow may mean by this name."""
        return tuple(stage for stage in self.stages.values() if stage.part == part)

    def parts(self) -> frozenset[str]:
        """The names that a workflow may use: roles, and stages by their own name."""
        return frozenset(self.stages) | {stage.part for stage in self.stages.values()}

    def published(self) -> frozenset[str]:
        """The sidecar extensions that some stage can publish."""
        return frozenset(
            output.publish
            for stage in self.stages.values()
            for output in stage.outputs.values()
            if output.publish
        )
