"""Everything a job needs before it can be made: environments built, models fetched, the recipe."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.catalogue import Catalogue, StageSpec, order
from orchestrator.contract.errors import fail
from orchestrator.contract.exchange import ModelRef
from orchestrator.contract.job import JobEnvironment
from orchestrator.contract.paths import WorkFolder
from orchestrator.hardware import Hardware
from orchestrator.prepare import Recipe, make_recipe
from orchestrator.provision.environments import (
    BuildOptions,
    Environment,
    ensure_environment,
)
from orchestrator.provision.models import Model, Store, choose_model
from orchestrator.provision.progress import show_bytes
from orchestrator.settings import Choice, ResolvedSettings, Settings

PROBE_STAGE = "probe"
HUB_ENVIRONMENT = "hub"


@dataclass(frozen=True, slots=True)
class Ready:
    """A machine that can work: the recipe of the jobs, and what the probe needs."""

    recipe: Recipe
    settings: ResolvedSettings
    probe_python: Path
    probe_stage: Path
    environments: Mapping[str, Environment]
    models: Mapping[str, Model]


def say(text: str) -> None:
    """Preparations are told on stderr, so that ``--json`` keeps stdout to itself."""
    print(text, file=sys.stderr, flush=True)


def make_ready(
    settings: ResolvedSettings,
    catalogue: Catalogue,
    hardware: Hardware,
    work: WorkFolder,
    only: Sequence[str] = (),
    report: Callable[[str], None] = say,
) -> Ready:
    """Build and fetch what the workflow needs and is not there yet; cheap when all is there.

    ``only`` limits the workflow to these stages and those that they need.

    Raises:
        Failure: what could not be built or fetched, with the way out (class environment).
    """
    specs = selected_stages(settings.settings, catalogue, only)
    options = build_options(settings)
    environments: dict[str, Environment] = {}
    for spec in (*specs, catalogue.stages[PROBE_STAGE]):
        if spec.environment not in environments:
            environments[spec.environment] = ensure_environment(
                catalogue.environments[spec.environment], work.root, options, report
            )
    settings, models = _models(settings, specs, model_store(settings, catalogue, work), report)
    recipe = make_recipe(
        settings,
        specs,
        {
            name: JobEnvironment(name, environment.key, str(environment.python))
            for name, environment in environments.items()
        },
        {
            stage: (ModelRef(model.name, str(model.path), model.key, model.languages),)
            for stage, model in models.items()
        },
        hardware,
    )
    probe = catalogue.stages[PROBE_STAGE]
    return Ready(
        recipe,
        settings,
        environments[probe.environment].python,
        probe.folder,
        environments,
        models,
    )


def selected_stages(
    settings: Settings, catalogue: Catalogue, only: Sequence[str] = ()
) -> tuple[StageSpec, ...]:
    """The workflow's stages in their order, or of these the ones in ``only`` and what they need.

    Raises:
        Failure: ``unknown_stage``, or what is wrong with the workflow.
    """
    stages = order(settings.workflows[settings.workflow], catalogue)
    names = [stage.name for stage in stages]
    for name in only:
        if name not in names:
            raise fail(
                "unknown_stage",
                f"the workflow {settings.workflow} has no stage {name!r}",
                f"Its stages are: {', '.join(names)}.",
            )
    wanted = set(only or names)
    needed: set[str] = set()
    for stage in reversed(stages):
        if stage.name in wanted or needed.intersection(stage.outputs):
            wanted.add(stage.name)
            needed.update(stage.inputs)
    return tuple(stage for stage in stages if stage.name in wanted)


def build_options(settings: ResolvedSettings) -> BuildOptions:
    """How environments are to be built with these settings on this machine."""
    return BuildOptions(
        torch_backend=settings.settings.torch_backend,
        profile=settings.settings.environment_profile,
        variant=settings.gpu.kind if settings.gpu else None,
        allow_downloads=settings.settings.allow_downloads,
    )


def model_store(settings: ResolvedSettings, catalogue: Catalogue, work: WorkFolder) -> Store:
    return Store(
        work.root,
        hub=catalogue.environments.get(HUB_ENVIRONMENT),
        build=build_options(settings),
        allow_downloads=settings.settings.allow_downloads,
    )


def _models(
    settings: ResolvedSettings,
    specs: Sequence[StageSpec],
    store: Store,
    report: Callable[[str], None],
) -> tuple[ResolvedSettings, dict[str, Model]]:
    """The model of each stage that has one; a default out of reach is replaced, loudly."""
    models: dict[str, Model] = {}
    for spec in specs:
        if spec.model_setting is None:
            continue
        requested = str(settings.stages[spec.name][spec.model_setting])
        key = f"stages.{spec.name}.{spec.model_setting}"
        was_default = any(choice.key == key and choice.was_default for choice in settings.choices)
        with show_bytes(f"model {requested}") as progress:
            model = choose_model(
                store,
                requested,
                was_default=was_default,
                language=settings.settings.language,
                progress=progress,
                report=report,
            )
        models[spec.name] = model
        if model.name != requested and was_default:
            reason = f"{requested} could not be fetched; this is the largest model here"
            settings = settings.with_choice(Choice(key, model.name, reason, was_default=True))
    return settings, models
