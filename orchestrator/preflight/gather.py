"""Picks from settings and machine what the checks look at, and the key of the stamp."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from orchestrator.catalogue import StageSpec
from orchestrator.contract.paths import WorkFolder
from orchestrator.hardware import Hardware
from orchestrator.preflight.context import Context, Loading, ModelWish
from orchestrator.preflight.stamp import stamp_key
from orchestrator.provision.environments import find_ready
from orchestrator.provision.process import Report, no_report
from orchestrator.settings import LoadedSettings, ResolvedSettings
from orchestrator.setup import build_options, model_store, needed_environments, selected_stages
from orchestrator.stagemodels import check_named_models, named_models

_DECIDING = (
    *("workflow", "workflows", "add_stages", "drop_stages", "translate_to", "engines"),
    *("stages", "torch_backend", "environment_profile"),
)
"""The settings that decide what is run. The others, such as the input folder, verify nothing."""


def make_context(
    loaded: LoadedSettings,
    values: ResolvedSettings,
    hardware: Hardware,
    work: WorkFolder,
    *,
    count_media: Callable[[Path], int],
    sample: Path | None = None,
    build: bool = False,
    report: Report = no_report,
) -> Context:
    """What the checks look at, for these settings on this machine.

    Raises:
        Failure: the workflow cannot be run as it is set.
    """
    settings, catalogue = loaded.settings, loaded.catalogue
    instances = selected_stages(settings, catalogue)
    check_named_models(values, instances, catalogue)
    stages = list({one.spec.name: one.spec for one in instances}.values())
    wishes = {stage.name: _wishes(values, stage) for stage in stages}
    loadings = [
        Loading(
            stage.name,
            stage.folder,
            catalogue.environments[stage.environment],
            wishes[stage.name],
            values.device,
            {
                name: values.stages[stage.name][name]
                for name, setting in stage.settings.items()
                if setting.load
            },
        )
        for stage in stages
        if wishes[stage.name]
    ]
    return Context(
        work_dir=work.root,
        input_dir=settings.input_dir,
        output_dir=settings.output_dir,
        hardware=hardware,
        device=values.device,
        environments=tuple(
            catalogue.environments[name] for name in needed_environments(instances, catalogue)
        ),
        options=build_options(values),
        store=model_store(values, catalogue, work),
        models=tuple(dict.fromkeys(wish for some in wishes.values() for wish in some)),
        loadings=tuple(loadings),
        count_media=count_media,
        sample=sample,
        build=build,
        report=report,
    )


def verified_key(context: Context, values: ResolvedSettings) -> str | None:
    """The stamp's key for what is on this machine now; None while something is missing."""
    environments = [
        find_ready(spec, context.work_dir, context.options) for spec in context.environments
    ]
    models = [context.find_model(wish) for wish in context.models]
    built = [environment for environment in environments if environment is not None]
    fetched = [model for model in models if model is not None]
    if len(built) < len(environments) or len(fetched) < len(models):
        return None
    return stamp_key(built, fetched, _settings_hash(context, values))


def _settings_hash(context: Context, values: ResolvedSettings) -> str:
    """A hash of what the settings choose, and of the GPUs and drivers it is chosen for."""
    data = values.to_json()
    chosen = {name: data[name] for name in _DECIDING}
    parts = [chosen, values.device, context.hardware.to_json()["gpus"]]
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _wishes(values: ResolvedSettings, stage: StageSpec) -> tuple[ModelWish, ...]:
    if stage.model_setting is None:
        return ()
    key = f"stages.{stage.name}.{stage.model_setting}"
    chosen = any(choice.key == key and choice.was_default for choice in values.choices)
    return tuple(
        ModelWish(name, chosen, values.settings.language) for name in named_models(values, stage)
    )
