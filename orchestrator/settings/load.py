"""Loads the settings: layers, one validation, and every problem at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import platformdirs
from pydantic import ValidationError

from orchestrator.catalogue import Catalogue, load_catalogue
from orchestrator.contract.errors import Failure, fail
from orchestrator.settings.convert import convert
from orchestrator.settings.explain import explain
from orchestrator.settings.layers import (
    CONFIG_VARIABLE,
    DEPTHS,
    VARIABLE,
    Leaf,
    Problem,
    command_line_layer,
    dotted,
    environment_layer,
    file_layer,
    merge,
)
from orchestrator.settings.schema import DEFAULT_WORKFLOWS, Settings
from orchestrator.settings.stages import settings_model
from orchestrator.settings.workflow import planned_stages

APPLICATION = "batch-subtitles"
DEFAULT = "default"
_WORKFLOW_KEYS = ("engines", "add_stages", "drop_stages", "translate_to")
_CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """The settings, where each value came from (by dotted key), and the catalogue they fit."""

    settings: Settings
    sources: Mapping[str, str]
    catalogue: Catalogue


def load_settings(
    *,
    cli: Mapping[str, object],
    environ: Mapping[str, str],
    config_path: Path | None = None,
    user_config: Path | None = None,
    cwd: Path | None = None,
) -> LoadedSettings:
    """Merge the layers, from strong to weak, and validate the result once.

    1. ``cli``: dotted keys; texts are parsed by the key's type; ``None`` is an option not given.
    2. ``environ``: ``BATCH_SUBTITLES_MAX_WORKERS``, ``BATCH_SUBTITLES_STAGES__ASR__MODEL``.
    3. The file ``config_path``, else that of ``BATCH_SUBTITLES_CONFIG``, else ``config.yaml`` at
       the top of a source checkout.
    4. ``user_config``, by default ``config.yaml`` in the user's configuration folder.
    5. The defaults.

    ``workflows`` and ``stages`` merge key by key; a list replaces the weaker one. Relative paths
    are relative to the file they stand in, those of 1 and 2 to ``cwd``.

    Raises:
        Failure: ``invalid_settings`` (exit code 2), one line for each problem;
            ``invalid_catalogue`` where a stage or environment folder is broken.
    """
    here = cwd or Path.cwd()
    problems: list[Problem] = []
    layers = [
        [
            Leaf(("workflows", name), list(stages), DEFAULT, DEFAULT, here)
            for name, stages in DEFAULT_WORKFLOWS.items()
        ]
    ]
    files = _files(config_path, user_config, environ, here, problems)
    layers.extend(file_layer(file, problems) for file in files)
    layers.append(environment_layer(environ, here))
    layers.append(command_line_layer(cli, here))
    catalogue = load_catalogue(_stage_paths(layers))
    values, winners = merge(
        [[convert(_spelled(leaf, catalogue), catalogue) for leaf in layer] for layer in layers]
    )
    try:
        settings = settings_model(catalogue).model_validate(values, context=catalogue)
        problems.extend(_workflow_problems(settings, winners, catalogue))
    except ValidationError as error:
        problems.extend(explain(error.errors(include_url=False), winners, catalogue))
    if problems:
        raise _invalid(problems)
    return LoadedSettings(settings, _sources(settings, winners), catalogue)


def parse_assignments(assignments: Iterable[str]) -> dict[str, object]:
    """``["stages.asr.beam_size=3"]`` as the mapping that :func:`load_settings` takes as ``cli``.

    Raises:
        Failure: ``invalid_settings``, for a text without ``=``.
    """
    given: dict[str, object] = {}
    problems = []
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if equals and key.strip():
            given[key.strip()] = value
        else:
            problems.append(Problem(assignment, "command line", "write it as KEY=VALUE"))
    if problems:
        raise _invalid(problems)
    return given


def explained_defaults() -> str:
    """``config.yaml`` with every key explained: the one inside a wheel, or that of the checkout."""
    packaged = Path(__file__).with_name("config.yaml")
    file = packaged if packaged.is_file() else _CHECKOUT / "config.yaml"
    return file.read_text(encoding="utf-8")


def work_folder(settings: Settings) -> Path:
    """``work_dir``, or the place in the user's data folder that stands for ``null``."""
    return settings.work_dir or platformdirs.user_data_path(APPLICATION, appauthor=False)


def _files(
    config_path: Path | None,
    user_config: Path | None,
    environ: Mapping[str, str],
    cwd: Path,
    problems: list[Problem],
) -> list[Path]:
    """The files that exist, weakest first. One that was asked for and is missing is a problem."""
    user = user_config or (
        platformdirs.user_config_path(APPLICATION, appauthor=False) / "config.yaml"
    )
    files = [user] if user.is_file() else []
    named = environ.get(CONFIG_VARIABLE)
    asked, place = config_path, "--config"
    if asked is None and named:
        asked, place = Path(named), f"environment {CONFIG_VARIABLE}"
    if asked is not None:
        path = cwd / asked.expanduser()
        if path.is_file():
            files.append(path)
        else:
            what = "is not a file" if path.exists() else "does not exist"
            problems.append(Problem(str(path), place, f"{what}; correct the path"))
    elif (_CHECKOUT / "pyproject.toml").is_file() and (_CHECKOUT / "config.yaml").is_file():
        files.append(_CHECKOUT / "config.yaml")
    return files


def _stage_paths(layers: list[list[Leaf]]) -> list[Path]:
    """``stage_paths`` ahead of validation, which needs the stages; none where it is not valid."""
    nothing = Catalogue(MappingProxyType({}), MappingProxyType({}))
    leaves = [leaf for layer in layers for leaf in layer if leaf.key == ("stage_paths",)]
    value = convert(leaves[-1], nothing).value if leaves else []
    paths = value if isinstance(value, list) else []
    return [path for path in paths if isinstance(path, Path)]


def _spelled(leaf: Leaf, catalogue: Catalogue) -> Leaf:
    """A variable's name takes no hyphen; the stage that is meant may have one."""
    section, *rest = leaf.key
    if section not in ("stages", "engines") or not rest or not leaf.place.startswith(VARIABLE):
        return leaf
    names = catalogue.stages if section == "stages" else catalogue.parts()
    spelled = {name.replace("-", "_"): name for name in names}
    return replace(leaf, key=(section, spelled.get(rest[0], rest[0]), *rest[1:]))


def _workflow_problems(
    settings: Settings, winners: Mapping[tuple[str, ...], Leaf], catalogue: Catalogue
) -> list[Problem]:
    """What is wrong with the chosen workflow once everything else about it is known.

    That it has no language to run for does not matter where it is only looked at or prepared for.

    The default workflows as they are, with the default engines, are ours to keep right.
    """
    changing = [key for key in winners if key[0] in _WORKFLOW_KEYS and winners[key].value]
    if not changing and settings.workflows[settings.workflow] in DEFAULT_WORKFLOWS.values():
        return []
    try:
        planned_stages(settings, catalogue, stand_in="language")
    except Failure as failure:
        key = changing[0] if changing else ("workflows", settings.workflow)
        place = winners[key].place if key in winners else DEFAULT
        return [Problem(dotted(key), place, f"{failure.info.message}. {failure.info.hint}")]
    return []


def _sources(settings: Settings, winners: Mapping[tuple[str, ...], Leaf]) -> dict[str, str]:
    keys = [(name,) for name in Settings.model_fields if name not in DEPTHS]
    sources = {dotted(key): DEFAULT for key in keys}
    for stage, values in settings.stages.items():
        sources.update({dotted(("stages", stage, name)): DEFAULT for name in values})
    sources.update({dotted(key): leaf.layer for key, leaf in winners.items()})
    return sources


def _invalid(problems: Iterable[Problem]) -> Failure:
    return fail(
        "invalid_settings",
        "\n".join(map(str, problems)),
        "Correct these settings, then run again; docs/settings.md explains each key.",
    )
