"""The order in which the stages of a workflow run."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.catalogue.model import MEDIA, Catalogue, StageSpec
from orchestrator.catalogue.suggest import unknown
from orchestrator.contract.errors import Failure, fail


def order(stages: Sequence[str], catalogue: Catalogue) -> tuple[StageSpec, ...]:
    """Sort ``stages`` so that each comes after those that make its inputs.

    Stages that do not depend on each other keep the order in which they are given.

    Raises:
        Failure: class input: ``no_stages``, ``unknown_stage``, ``stage_twice``,
            ``artefact_made_twice``, ``missing_input`` or ``stage_cycle``.
    """
    if not stages:
        raise fail("no_stages", "the workflow has no stages", "Name at least one stage.")
    waiting = [_known(name, catalogue) for name in stages]
    makers = _makers(waiting)
    for stage in waiting:
        for name in stage.inputs:
            if name != MEDIA and name not in makers:
                raise _missing(stage, name, catalogue)
    ordered: list[StageSpec] = []
    ready = {MEDIA}
    while waiting:
        following = next((stage for stage in waiting if ready.issuperset(stage.inputs)), None)
        if following is None:
            raise _cycle(waiting, makers, ready)
        waiting.remove(following)
        ordered.append(following)
        ready.update(following.outputs)
    return tuple(ordered)


def _known(name: str, catalogue: Catalogue) -> StageSpec:
    stage = catalogue.stages.get(name)
    if stage is None:
        raise fail(
            "unknown_stage",
            unknown(name, catalogue.stages, "stage"),
            "Correct the name, or add the folder that holds this stage to stage_paths.",
        )
    return stage


def _makers(stages: Sequence[StageSpec]) -> dict[str, StageSpec]:
    makers: dict[str, StageSpec] = {}
    seen: set[str] = set()
    for stage in stages:
        if stage.name in seen:
            raise fail("stage_twice", f"the stage {stage.name!r} is named twice", "Name it once.")
        seen.add(stage.name)
        for name in stage.outputs:
            if name in makers:
                raise fail(
                    "artefact_made_twice",
                    f"{name!r} is made by both {makers[name].name!r} and {stage.name!r}",
                    "Leave one of the two stages out of the workflow.",
                )
            makers[name] = stage
    return makers


def _missing(stage: StageSpec, name: str, catalogue: Catalogue) -> Failure:
    makers = sorted(s.name for s in catalogue.stages.values() if name in s.outputs)
    return fail(
        "missing_input",
        f"{stage.name!r} needs {name!r}, which no stage of the workflow makes",
        f"Add {' or '.join(makers)} to the workflow."
        if makers
        else f"No known stage makes {name!r}: correct the inputs in {stage.folder}.",
    )


def _cycle(waiting: Sequence[StageSpec], makers: dict[str, StageSpec], ready: set[str]) -> Failure:
    """Walk from a waiting stage to the maker of a missing input until a stage comes again."""
    path = [waiting[0]]
    while True:
        missing = next(name for name in path[-1].inputs if name not in ready)
        maker = makers[missing]
        if maker in path:
            names = [stage.name for stage in [*path[path.index(maker) :], maker]]
            return fail(
                "stage_cycle",
                f"these stages wait for each other: {' <- '.join(names)}",
                "Change the inputs of one of them.",
            )
        path.append(maker)
