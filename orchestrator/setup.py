"""Everything a job needs before it can be made: environments built, models fetched, the recipe."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.catalogue import Catalogue, StageInstance, with_needs
from orchestrator.contract.job import JobEnvironment
from orchestrator.contract.paths import WorkFolder
from orchestrator.hardware import Hardware
from orchestrator.prepare import Recipe, make_recipe
from orchestrator.provision.environments import (
    BuildOptions,
    Environment,
    ensure_environment,
)
from orchestrator.provision.models import Model, Store
from orchestrator.provision.modelspec import load_models
from orchestrator.settings import ResolvedSettings, Settings, planned_stages
from orchestrator.stagemodels import (
    check_languages,
    check_named_models,
    choose_models,
    stage_models,
)

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
    models: Mapping[str, tuple[Model, ...]]


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
    instances = selected_stages(settings.settings, catalogue, only)
    check_named_models(settings, instances, catalogue)
    specs = list(dict.fromkeys(one.spec.name for one in instances))
    probe = catalogue.stages[PROBE_STAGE]
    options = build_options(settings)
    environments = {
        name: ensure_environment(catalogue.environments[name], work.root, options, report)
        for name in needed_environments(instances, catalogue)
    }
    store = model_store(settings, catalogue, work)
    settings, models = choose_models(settings.used_by(specs), instances, store, report)
    check_languages(instances, models)
    recipe = make_recipe(
        settings,
        instances,
        {
            name: JobEnvironment(name, environment.key, str(environment.python), environment.direct)
            for name, environment in environments.items()
        },
        {name: stage_models(settings, name, chosen, store) for name, chosen in models.items()},
        hardware,
    )
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
) -> tuple[StageInstance, ...]:
    """The workflow's stages in their order, or of these the ones in ``only`` and what they need.

    Raises:
        Failure: ``unknown_stage``, or what is wrong with the workflow.
    """
    return with_needs(planned_stages(settings, catalogue), only)


def needed_environments(instances: Sequence[StageInstance], catalogue: Catalogue) -> list[str]:
    """The environments of these stages and of the probe, each once."""
    probe = catalogue.stages[PROBE_STAGE]
    return list(dict.fromkeys([*(one.spec.environment for one in instances), probe.environment]))


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
        load_models(settings.settings.stage_paths),
        hub=catalogue.environments.get(HUB_ENVIRONMENT),
        build=build_options(settings),
        allow_downloads=settings.settings.allow_downloads,
        token_file=settings.settings.hub_token_file,
    )
