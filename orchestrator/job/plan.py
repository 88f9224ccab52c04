"""What a job will do, as a pure function: run or reuse each stage, and why."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum

from orchestrator.contract.exchange import Clip
from orchestrator.contract.job import Job, JobStage
from orchestrator.contract.keys import stage_key
from orchestrator.contract.records import Record

TYPE_CHECKING = False  # as typing's, whose import would cost a job 3 ms
if TYPE_CHECKING:
    from typing import Any


class Action(StrEnum):
    RUN = "run"
    REUSE = "reuse"


class Step(Record):
    stage: JobStage
    key: str
    action: Action
    reason: str


class Selection(Record):
    """What the user asked for beyond "what is missing": see ``run-pipeline --help``."""

    only: tuple[str, ...] = ()
    start_from: str | None = None
    force: bool = False


class Stored(Record):
    """What the store has of a stage's artefact: the outputs at hand and those dropped since."""

    present: frozenset[str]
    dropped: frozenset[str] = frozenset()


def requested_settings(stage: JobStage, language: str | None, clip: Clip | None) -> dict[str, Any]:
    """The settings that change the stage's result, the job-level ones it uses among them."""
    asked: dict[str, Any] = dict(stage.requested)
    if "language" in stage.uses:
        asked["language"] = language
    if "clip" in stage.uses:
        asked["clip"] = [clip.start, clip.end] if clip else None
    return asked


def stage_keys(job: Job) -> dict[str, str]:
    """The key of every stage's artefact, in the order of the job's stages."""
    keys: dict[str, str] = {}
    for stage in job.stages:
        keys[stage.name] = stage_key(
            stage.name,
            stage.version,
            requested_settings(stage, job.language, job.clip),
            [model.key for model in stage.models],
            {
                one.name: f"{keys[one.stage]}/{one.output}" if one.stage else job.source.fingerprint
                for one in stage.inputs
            },
        )
    return keys


def plan(
    stages: Sequence[JobStage],
    keys: Mapping[str, str],
    stored: Mapping[str, Stored],
    selection: Selection = Selection(),
    publish_again: Collection[tuple[str, str]] = (),
) -> tuple[Step, ...]:
    """Decide for each stage, given what the store has (a stage that is absent is not in it).

    A dropped output counts as valid until a stage that must run needs it; then the stage that made
    it runs again. Stages outside ``selection.only`` run only where a selected one needs them.
    ``publish_again`` are stages and their outputs that are missing in the library.
    """
    names = [stage.name for stage in stages]
    targets = selection.only or names
    forced = _forced(names, targets, selection)
    runs: dict[str, str] = {}
    needed = dict.fromkeys(publish_again, "the library")
    for stage in reversed(stages):
        reason = _reason_to_run(stage, stage.name in targets, forced, stored, needed)
        if reason:
            runs[stage.name] = reason
            needed.update({(one.stage, one.output): stage.name for one in stage.inputs})
    return tuple(
        Step(stage, keys[stage.name], Action.RUN, runs[stage.name])
        if stage.name in runs
        else Step(stage, keys[stage.name], Action.REUSE, _reason_to_reuse(stage, stored, targets))
        for stage in stages
        if stage.name in runs or stage.name in stored
    )


def _forced(
    names: Sequence[str], targets: Collection[str], selection: Selection
) -> Mapping[str, str]:
    if selection.start_from is not None:
        first = names.index(selection.start_from)
        return dict.fromkeys(names[first:], f"asked for with --from {selection.start_from}")
    if selection.force:
        return dict.fromkeys(targets, "asked for with --force")
    return {}


def _reason_to_run(
    stage: JobStage,
    target: bool,
    forced: Mapping[str, str],
    stored: Mapping[str, Stored],
    needed: Mapping[tuple[str, str], str],
) -> str | None:
    has = stored.get(stage.name)
    if target and stage.name in forced:
        return forced[stage.name]
    if has is None and target:
        return "not done yet with these settings"
    for output in stage.outputs:
        needing = needed.get((stage.name, output.name))
        if needing and (has is None or output.name not in has.present):
            if has and output.optional and output.name not in has.dropped:
                continue  # it was not made, and would not be made again
            what = "was dropped to save space" if has else "is not there"
            return f"{needing} needs {output.file}, which {what}"
    return None


def _reason_to_reuse(
    stage: JobStage, stored: Mapping[str, Stored], targets: Collection[str]
) -> str:
    if stage.name not in targets:
        return "not asked for"
    if stored[stage.name].dropped:
        return "done before; its large files were dropped and are not needed"
    return "done before with the same settings"
