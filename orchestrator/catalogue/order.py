"""A workflow as a graph: which stages run, in which order, and where each input comes from.

Every artefact has at most one maker. Stages that take it and make it again are its *refiners*: they
form a chain in the order in which the workflow names them, and whoever else takes it gets what the
last of them made.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from orchestrator.catalogue.model import COLLECTS, MEDIA, Catalogue, StageSpec
from orchestrator.catalogue.suggest import did_you_mean, unknown
from orchestrator.contract.errors import Failure, fail
from orchestrator.contract.job import JobInput

_NONE: Mapping[str, str] = MappingProxyType({})
_VALUE = re.compile(r"[A-Za-z0-9]+(-[A-Za-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class StageInstance:
    """A stage as it stands in a workflow, with the source of each of its inputs.

    ``value`` is the one of its ``for_each`` that it is for; None where it has none.
    """

    spec: StageSpec
    value: str | None = None
    inputs: tuple[JobInput, ...] = ()

    @property
    def name(self) -> str:
        return self.artefact(self.spec.name)

    @property
    def overrides(self) -> Mapping[str, str]:
        """Settings that this instance has instead of its stage's."""
        setting = self.spec.each_setting
        return {} if setting is None or self.value is None else {setting: self.value}

    def artefact(self, output: str) -> str:
        """The name by which other stages know this output."""
        return output if self.value is None else f"{output}.{self.value}"


def order(
    stages: Sequence[str],
    catalogue: Catalogue,
    *,
    engines: Mapping[str, str] = _NONE,
    values: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> tuple[StageInstance, ...]:
    """The stages so that each comes after those that make its inputs, with these resolved.

    Stages that do not depend on each other keep the order in which they are given.

    Args:
        engines: the engine wanted for a role.
        values: by stage, the values that it runs for each of; a stage without any is left out.

    Raises:
        Failure: class input: ``no_stages``, ``unknown_stage``, ``unknown_engine``,
            ``stage_twice``, ``invalid_instance``, ``artefact_made_twice``, ``missing_input`` or
            ``stage_cycle``.
    """
    if not stages:
        raise fail("no_stages", "the workflow has no stages", "Name at least one stage.")
    specs = [choose_stage(name, catalogue, engines) for name in stages]
    _check_once(specs)
    instances = [one for spec in specs for one in _instances(spec, values)]
    chains = _chains(instances)
    waiting = [
        StageInstance(one.spec, one.value, tuple(_sources(one, chains, catalogue)))
        for one in instances
    ]
    ordered: list[StageInstance] = []
    done = {""}
    while waiting:
        following = next((one for one in waiting if done.issuperset(_needs(one))), None)
        if following is None:
            raise _cycle(waiting, done)
        waiting.remove(following)
        ordered.append(following)
        done.add(following.name)
    return tuple(ordered)


def choose_stage(name: str, catalogue: Catalogue, engines: Mapping[str, str] = _NONE) -> StageSpec:
    """The stage that a workflow means by a role or by a stage's own name.

    Raises:
        Failure: ``unknown_stage``, ``unknown_engine``.
    """
    playing = catalogue.playing(name)
    engine = engines.get(name)
    if playing and engine is not None:
        for stage in playing:
            if stage.engine == engine:
                return stage
        known = [stage.engine for stage in playing if stage.engine]
        raise fail(
            "unknown_engine",
            unknown(engine, known, f"engine of {name!r}"),
            "Correct the setting engines, or add the folder of that engine to stage_paths.",
        )
    if name in catalogue.stages:
        return catalogue.stages[name]
    if len(playing) == 1:
        return playing[0]
    if playing:
        raise fail(
            "unknown_engine",
            f"{name!r} has several engines, and none of them is the default",
            f"Set engines.{name} to one of: {', '.join(str(one.engine) for one in playing)}.",
        )
    raise fail(
        "unknown_stage",
        unknown(name, catalogue.parts(), "stage"),
        "Correct the name, or add the folder that holds this stage to stage_paths.",
    )


def with_needs(stages: Sequence[StageInstance], wanted: Sequence[str]) -> tuple[StageInstance, ...]:
    """Of ordered ``stages`` the ``wanted`` ones and those that make what they take.

    A stage or a role means all of its instances. None wanted: all of them.

    Raises:
        Failure: ``unknown_stage``.
    """
    by_name = {name: one for one in stages for name in _called(one)}
    for name in wanted:
        if name not in by_name:
            raise fail(
                "unknown_stage",
                f"the workflow has no stage {name!r}",
                f"Its stages are: {', '.join(one.name for one in stages)}.",
            )
    needed: set[str] = set()
    chosen: list[StageInstance] = []
    for one in reversed(stages):
        if not wanted or one.name in needed or not _called(one).isdisjoint(wanted):
            needed.update(_needs(one))
            chosen.append(one)
    return tuple(reversed(chosen))


def _called(one: StageInstance) -> set[str]:
    return {one.name, one.spec.name, one.spec.part}


def _needs(one: StageInstance) -> set[str]:
    return {source.stage for source in one.inputs}


def _check_once(specs: Sequence[StageSpec]) -> None:
    seen: set[str] = set()
    for spec in specs:
        if spec.name in seen:
            raise fail("stage_twice", f"the stage {spec.name!r} is named twice", "Name it once.")
        seen.add(spec.name)


def _instances(spec: StageSpec, values: Mapping[str, Sequence[str]]) -> Iterator[StageInstance]:
    if spec.for_each is None:
        yield StageInstance(spec)
        return
    for value in dict.fromkeys(values.get(spec.name, ())):
        if not _VALUE.fullmatch(value):
            raise fail(
                "invalid_instance",
                f"{spec.name!r} cannot run for {value!r}: its outputs could not be named by it",
                f"Use letters, digits and hyphens in stages.{spec.name}.{spec.for_each}.",
            )
        yield StageInstance(spec, value)


def _chains(instances: Sequence[StageInstance]) -> dict[str, list[StageInstance]]:
    """By artefact, its maker and its refiners, in the order in which they work on it."""
    chains: dict[str, list[StageInstance]] = {}
    for one in instances:
        for output in one.spec.outputs:
            chain = chains.setdefault(one.artefact(output), [])
            if one.spec.refines(output):
                chain.append(one)
            elif chain and not chain[0].spec.refines(output):
                raise _made_twice(one.artefact(output), chain[0], one)
            else:
                chain.insert(0, one)
    return chains


def _made_twice(artefact: str, one: StageInstance, other: StageInstance) -> Failure:
    return fail(
        "artefact_made_twice",
        f"{artefact!r} is made by both {one.name!r} and {other.name!r}",
        "Leave one of the two stages out of the workflow.",
    )


def _sources(
    one: StageInstance, chains: Mapping[str, Sequence[StageInstance]], catalogue: Catalogue
) -> Iterator[JobInput]:
    for name in one.spec.inputs:
        found = list(_matching(one, name, chains))
        if not found:
            raise _missing(one.spec, name, catalogue)
        yield from found
    for name in one.spec.optional_inputs:
        yield from _matching(one, name, chains)


def _matching(
    one: StageInstance, name: str, chains: Mapping[str, Sequence[StageInstance]]
) -> Iterator[JobInput]:
    if name == MEDIA:
        yield JobInput(MEDIA)
        return
    plain = name.removesuffix(COLLECTS)
    for artefact, chain in chains.items():
        instances = name.endswith(COLLECTS) and artefact.startswith(f"{plain}.")
        if artefact != plain and not instances:
            continue
        last = len(chain)
        if one.spec.refines(plain):
            last = next(place for place, other in enumerate(chain) if other.name == one.name)
        if last:
            maker = chain[last - 1]
            yield JobInput(artefact, maker.name, artefact.partition(".")[0])


def _missing(stage: StageSpec, name: str, catalogue: Catalogue) -> Failure:
    plain = name.removesuffix(COLLECTS)
    makers = sorted(
        {
            one.part
            for one in catalogue.stages.values()
            if plain in one.outputs and not one.refines(plain)
        }
    )
    message = f"{stage.name!r} needs {name!r}, which no stage of the workflow makes"
    if makers:
        return fail("missing_input", message, f"Add {' or '.join(makers)} to the workflow.")
    made = {output for one in catalogue.stages.values() for output in one.outputs}
    hint = did_you_mean(plain, made)
    return fail(
        "missing_input",
        f"{message}; {hint}" if hint else message,
        f"No known stage makes {name!r}: correct the inputs in {stage.folder}.",
    )


def _cycle(waiting: Sequence[StageInstance], done: set[str]) -> Failure:
    """Walk from a waiting stage to the maker of a missing input until a stage comes again."""
    by_name = {one.name: one for one in waiting}
    path = [waiting[0].name]
    while True:
        needs = by_name[path[-1]].inputs
        maker = next(source.stage for source in needs if source.stage not in done)
        if maker in path:
            return fail(
                "stage_cycle",
                "these stages wait for each other: "
                + " <- ".join([*path[path.index(maker) :], maker]),
                "Change the inputs of one of them, or leave it out of the workflow.",
            )
        path.append(maker)
