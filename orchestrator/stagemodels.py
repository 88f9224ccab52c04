"""The models of each stage: those that the settings name, found, fetched, and weighed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from orchestrator.catalogue import Catalogue, StageInstance, StageSpec
from orchestrator.contract.errors import Failure, fail
from orchestrator.contract.exchange import ModelRef
from orchestrator.prepare import StageModels
from orchestrator.provision.choose import choose_model, smaller_ones
from orchestrator.provision.models import Model, Store, ensure_model
from orchestrator.provision.needs import needs_of, needs_of_folder, with_batch
from orchestrator.provision.progress import show_bytes
from orchestrator.settings import TARGETS, Choice, ResolvedSettings


def check_named_models(
    settings: ResolvedSettings, instances: Sequence[StageInstance], catalogue: Catalogue
) -> None:
    """Refuse a stage that could only fail, after hours of work of those before it.

    Raises:
        Failure: ``no_model_named``.
    """
    for spec in {one.spec.name: one.spec for one in instances}.values():
        if spec.needs_model and not named_models(settings, spec):
            key = f"stages.{spec.name}.{spec.model_setting}"
            others = [str(one.engine) for one in catalogue.playing(spec.part) if one is not spec]
            other = f", or set engines.{spec.part} to one of: {', '.join(others)}" if others else ""
            raise fail(
                "no_model_named",
                f"the stage {spec.name} needs a model, and {key} names none",
                f"Set {key} to a model of models.yaml or a folder that holds one{other}.",
            )


def choose_models(
    settings: ResolvedSettings,
    instances: Sequence[StageInstance],
    store: Store,
    report: Callable[[str], None],
) -> tuple[ResolvedSettings, dict[str, tuple[Model, ...]]]:
    """The models of each stage that has any; a default out of reach is replaced, loudly.

    Of several models that a stage names by default, those that cannot be had are left out as long
    as there is one: each is for languages of its own.
    """
    models: dict[str, tuple[Model, ...]] = {}
    for spec in {one.spec.name: one.spec for one in instances}.values():
        setting = spec.settings.get(spec.model_setting or "")
        names = named_models(settings, spec)
        if setting is None or not names:
            continue
        if setting.type == "list[str]":
            models[spec.name] = tuple(_each_model(names, names == setting.default, store, report))
        else:
            settings, model = _one_model(settings, spec, names[0], store, report)
            models[spec.name] = (model,)
    return settings, models


def _one_model(
    settings: ResolvedSettings,
    spec: StageSpec,
    requested: str,
    store: Store,
    report: Callable[[str], None],
) -> tuple[ResolvedSettings, Model]:
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
    if model.name != requested and was_default:
        reason = f"{requested} could not be fetched; this is the largest model here"
        settings = settings.with_choice(Choice(key, model.name, reason, was_default=True))
    return settings, model


def _each_model(
    requested: Sequence[str], by_default: bool, store: Store, report: Callable[[str], None]
) -> Iterator[Model]:
    missing: list[Failure] = []
    for name in requested:
        try:
            with show_bytes(f"model {name}") as progress:
                yield ensure_model(store, name, progress, report)
        except Failure as failure:
            if not by_default or failure.info.code != "model_unavailable":
                raise
            missing.append(failure)
    if missing and len(missing) == len(requested):
        raise missing[0]
    for one in missing:
        report(f"WARNING: {one.info.message}. It is left out.")


def check_languages(
    instances: Sequence[StageInstance], models: Mapping[str, Sequence[Model]]
) -> None:
    """Refuse a language to translate into that no model of its stage is made for.

    Raises:
        Failure: ``no_model_for_language``.
    """
    for one in instances:
        having = models.get(one.spec.name, ())
        known = {language for model in having for language in model.languages}
        if one.spec.for_each != TARGETS or not having or not all(m.languages for m in having):
            continue
        if one.value not in known:
            raise fail(
                "no_model_for_language",
                f"no model of the stage {one.spec.name} is made for {one.value!r}; they are for "
                f"{', '.join(sorted(known))}",
                f"Name one that is in stages.{one.spec.name}.{one.spec.model_setting}, choose "
                f"another engine for {one.spec.part}, or take {one.value} out of translate_to.",
            )


def named_models(settings: ResolvedSettings, spec: StageSpec) -> tuple[str, ...]:
    """The models that the settings name for a stage: names of ``models.yaml``, or folders."""
    if spec.model_setting is None:
        return ()
    value = settings.stages[spec.name][spec.model_setting]
    if value is None:
        return ()
    return tuple(map(str, value)) if isinstance(value, tuple) else (str(value),)


def stage_models(
    settings: ResolvedSettings, stage: str, models: Sequence[Model], store: Store
) -> StageModels:
    """The models of a stage, and the memory that they need with its settings.

    Those for certain languages are not needed together: of them the largest counts.
    """
    values = settings.stages[stage]
    batch_size = values.get("batch_size")
    general: list[tuple[int, int]] = []
    special: list[tuple[int, int]] = []
    for model in models:
        spec = store.specs.get(model.name)
        needs = needs_of(spec, values.get("compute_type")) if spec else needs_of_folder(model.path)
        wanted = with_batch(needs, batch_size if isinstance(batch_size, int) else 1)
        (special if model.languages else general).append(wanted)
    ram_mb, vram_mb = (
        sum(one[place] for one in general) + max((one[place] for one in special), default=0)
        for place in (0, 1)
    )
    smaller: list[Model] = []
    if settings.settings.allow_smaller_models and len(models) == 1:
        smaller = smaller_ones(store, models[0].name, settings.settings.language)
    return StageModels(_refs(models), _refs(smaller), ram_mb, vram_mb)


def _refs(models: Sequence[Model]) -> tuple[ModelRef, ...]:
    return tuple(ModelRef(one.name, str(one.path), one.key, one.languages) for one in models)
