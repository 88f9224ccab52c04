"""Which stages a run is made of: the workflow with what is added to it and left out of it."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.catalogue import Catalogue, StageInstance, StageSpec, choose_stage, order
from orchestrator.contract.errors import fail
from orchestrator.contract.languages import normalise
from orchestrator.settings.schema import USUAL_ORDER, Settings

TARGETS = "targets"
"""The setting of a stage that is run for each language of ``translate_to``."""

TRANSLATION = "translation"
"""What ``translate_to`` adds to a workflow in which no stage translates."""


def planned_stages(
    settings: Settings, catalogue: Catalogue, *, stand_in: str | None = None
) -> tuple[StageInstance, ...]:
    """The stages of the chosen workflow, in their order, each with the source of its inputs.

    Args:
        stand_in: what a stage runs for that the settings give nothing to run for, where the
            workflow is only to be looked at.

    Raises:
        Failure: what is wrong with the workflow, as :func:`orchestrator.catalogue.order` says it;
            ``no_targets`` where a stage of it has nothing to run for.
    """
    names = stage_names(settings, catalogue)
    specs = [choose_stage(name, catalogue, settings.engines) for name in names]
    values = {spec.name: each_value(spec, settings) for spec in specs if spec.for_each}
    for spec in specs:
        if spec.for_each is not None and not values[spec.name]:
            if stand_in is not None:
                values[spec.name] = (stand_in,)
                continue
            where = f"stages.{spec.name}.{spec.for_each}"
            raise fail(
                "no_targets",
                f"the stage {spec.name!r} of the workflow {settings.workflow} has nothing to run "
                f"for: {where} is empty",
                "Set translate_to to the languages wanted, such as [en, pt]."
                if spec.for_each == TARGETS
                else f"Set {where}, or leave the stage out of the workflow.",
            )
    return order(names, catalogue, engines=settings.engines, values=values)


def stage_names(settings: Settings, catalogue: Catalogue) -> tuple[str, ...]:
    """The workflow's stages by the names it uses for them, those added and dropped considered.

    An added stage goes to its place in the usual order, or last where it has none.
    """
    names = list(settings.workflows[settings.workflow])
    added = list(settings.add_stages)
    if settings.translate_to and not any(
        _is_translator(name, settings, catalogue) for name in (*names, *added)
    ):
        added.append(TRANSLATION)
    for name in added:
        if name not in names:
            names.insert(_place(name, names, catalogue), name)
    return tuple(name for name in names if name not in settings.drop_stages)


def each_value(spec: StageSpec, settings: Settings) -> tuple[str, ...]:
    """What a stage with ``for_each`` is to be run for."""
    assert spec.for_each is not None
    given = settings.stages.get(spec.name, {})
    values = given.get(spec.for_each, spec.settings[spec.for_each].default) or ()
    if spec.for_each != TARGETS:
        return tuple(values)
    return tuple(normalise(value) or value for value in values) or settings.translate_to


def _is_translator(name: str, settings: Settings, catalogue: Catalogue) -> bool:
    return choose_stage(name, catalogue, settings.engines).for_each == TARGETS


def _place(name: str, names: Sequence[str], catalogue: Catalogue) -> int:
    rank = _rank(name, catalogue)
    later = (place for place, other in enumerate(names) if _rank(other, catalogue) > rank)
    return next(later, len(names))


def _rank(name: str, catalogue: Catalogue) -> int:
    stage = catalogue.stages.get(name)
    part = stage.part if stage else name
    return USUAL_ORDER.index(part) if part in USUAL_ORDER else len(USUAL_ORDER)
