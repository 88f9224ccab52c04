"""What a job will do: run or reuse, and why."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.contract.exchange import Clip, ModelRef
from orchestrator.contract.job import (
    JOB_VERSION,
    Job,
    JobInput,
    JobOutput,
    JobStage,
    Publication,
    Source,
)
from orchestrator.job.plan import Action, Selection, Stored, plan, stage_keys

from .conftest import fake_stage

MAKERS = {"media": "", "audio": "demux", "info": "demux", "transcript": "asr"}


def stage(name: str, inputs: str, outputs: str, **changes: Any) -> JobStage:
    """``s0`` makes ``0a`` and ``0b``; what the other artefacts are made by is in ``MAKERS``."""
    made = tuple(JobOutput(output, f"{output}.bin") for output in outputs.split())
    taken = tuple(JobInput(one, MAKERS.get(one, f"s{one[0]}"), one) for one in inputs.split())
    return fake_stage(name=name, inputs=taken, outputs=made, **changes)


DEMUX = stage("demux", "media", "audio info", uses=("clip",))
ASR = stage("asr", "audio info", "transcript", uses=("language",))
SUBTITLES = stage("subtitles", "transcript info", "srt")
STAGES = (DEMUX, ASR, SUBTITLES)
KEYS = {one.name: f"key of {one.name}" for one in STAGES}
WHOLE = {one.name: Stored(frozenset(output.name for output in one.outputs)) for one in STAGES}
NO_AUDIO = {**WHOLE, "demux": Stored(frozenset({"info"}), frozenset({"audio"}))}


def without(*names: str) -> dict[str, Stored]:
    return {name: stored for name, stored in WHOLE.items() if name not in names}


def decided(stored: dict[str, Stored], selection: Selection = Selection()) -> str:
    """``R`` for run, ``-`` for reuse, ``.`` for a stage that is left out."""
    steps = {step.stage.name: step.action for step in plan(STAGES, KEYS, stored, selection)}
    signs = {Action.RUN: "R", Action.REUSE: "-", None: "."}
    return "".join(signs[steps.get(one.name)] for one in STAGES)


@pytest.mark.parametrize(
    ("stored", "selection", "expected"),
    [
        ({}, Selection(), "RRR"),
        (WHOLE, Selection(), "---"),
        (NO_AUDIO, Selection(), "---"),
        (without("subtitles"), Selection(), "--R"),
        (without("asr"), Selection(), "-R-"),
        ({**NO_AUDIO, "asr": Stored(frozenset(), frozenset({"transcript"}))}, Selection(), "---"),
        ({"demux": NO_AUDIO["demux"]}, Selection(), "RRR"),
        ({"demux": NO_AUDIO["demux"], "asr": WHOLE["asr"]}, Selection(), "--R"),
        (WHOLE, Selection(force=True), "RRR"),
        (WHOLE, Selection(start_from="asr"), "-RR"),
        (NO_AUDIO, Selection(start_from="asr"), "RRR"),
        (NO_AUDIO, Selection(start_from="subtitles"), "--R"),
        (WHOLE, Selection(only=("asr",)), "---"),
        ({}, Selection(only=("asr",)), "RR."),
        ({}, Selection(only=("demux",)), "R.."),
        (WHOLE, Selection(only=("asr",), force=True), "-R-"),
        (NO_AUDIO, Selection(only=("asr",), force=True), "RR-"),
        (without("demux"), Selection(), "R--"),
        (without("demux"), Selection(only=("subtitles",)), ".--"),
    ],
)
def test_what_runs(stored: dict[str, Stored], selection: Selection, expected: str) -> None:
    assert decided(stored, selection) == expected


def reasons(stored: dict[str, Stored], selection: Selection = Selection()) -> list[str]:
    return [step.reason for step in plan(STAGES, KEYS, stored, selection)]


def test_each_decision_has_its_reason() -> None:
    assert reasons({}) == ["not done yet with these settings"] * 3
    assert reasons({"demux": NO_AUDIO["demux"]})[0] == (
        "asr needs audio.bin, which was dropped to save space"
    )
    assert reasons({}, Selection(only=("asr",))) == [
        "asr needs audio.bin, which is not there",
        "not done yet with these settings",
    ]
    assert reasons(NO_AUDIO) == [
        "done before; its large files were dropped and are not needed",
        "done before with the same settings",
        "done before with the same settings",
    ]
    assert reasons(WHOLE, Selection(start_from="asr"))[1] == "asked for with --from asr"
    assert reasons(WHOLE, Selection(force=True))[0] == "asked for with --force"
    assert reasons(WHOLE, Selection(only=("asr",)))[0] == "not asked for"


def stored_of(draw: Any, one: JobStage) -> Stored | None:
    if not draw(st.booleans()):
        return None
    names = [output.name for output in one.outputs]
    dropped = draw(st.sets(st.sampled_from(names)))
    return Stored(frozenset(names) - dropped, frozenset(dropped))


@st.composite
def situations(draw: Any) -> tuple[tuple[JobStage, ...], dict[str, Stored], Selection]:
    """A workflow of one to five stages, what the store has of it, and what the user asks for."""
    stages: list[JobStage] = []
    artefacts = ["media"]
    for number in range(draw(st.integers(1, 5))):
        inputs = draw(st.lists(st.sampled_from(artefacts), unique=True, max_size=3))
        outputs = [f"{number}{letter}" for letter in "ab"[: draw(st.integers(1, 2))]]
        stages.append(stage(f"s{number}", " ".join(inputs), " ".join(outputs)))
        artefacts += outputs
    stored = {one.name: found for one in stages if (found := stored_of(draw, one)) is not None}
    names = [one.name for one in stages]
    selection = Selection(
        tuple(draw(st.lists(st.sampled_from(names), unique=True))),
        draw(st.none() | st.sampled_from(names)),
        draw(st.booleans()),
    )
    return tuple(stages), stored, selection


@given(situations())
def test_a_stage_that_runs_has_all_it_needs(
    situation: tuple[tuple[JobStage, ...], dict[str, Stored], Selection],
) -> None:
    stages, stored, selection = situation
    steps = plan(stages, {one.name: one.name for one in stages}, stored, selection)
    at_hand = {"media", *(name for one in stored.values() for name in one.present)}
    for step in steps:
        if step.action is Action.RUN:
            assert {one.name for one in step.stage.inputs} <= at_hand
            at_hand |= {output.name for output in step.stage.outputs}
    order = [one.name for one in stages]
    assert [step.stage.name for step in steps] == sorted(
        (step.stage.name for step in steps), key=order.index
    )


@given(situations())
def test_nothing_runs_that_need_not(
    situation: tuple[tuple[JobStage, ...], dict[str, Stored], Selection],
) -> None:
    stages, stored, selection = situation
    selection = replace(selection, start_from=None, force=False)
    steps = plan(stages, {one.name: one.name for one in stages}, stored, selection)
    running = {step.stage.name for step in steps if step.action is Action.RUN}
    targets = selection.only or [one.name for one in stages]
    for one in stages:
        if one.name not in running:
            continue
        needed = {taken.name for other in stages if other.name in running for taken in other.inputs}
        missing = {output.name for output in one.outputs} - (
            stored[one.name].present if one.name in stored else set()
        )
        assert (one.name in targets and one.name not in stored) or needed & missing
    if all(name in stored for name in targets):
        assert running == set()


def job(*stages: JobStage, **changes: Any) -> Job:
    made = Job(
        version=JOB_VERSION,
        id="j",
        created="",
        workflow="w",
        source=Source("/m/film.mkv", 1, 1, "f0"),
        stages=stages,
        artefacts="/a",
        publication=Publication("/m", "film", ()),
        keep="small",
        threads=1,
    )
    return replace(made, **changes)


def changed(before: Job, after: Job) -> list[str]:
    first, second = stage_keys(before), stage_keys(after)
    return [name for name in first if first[name] != second[name]]


def test_a_change_reaches_what_comes_after_it_and_nothing_else() -> None:
    base = job(*STAGES)
    assert changed(base, base) == []
    all_three = ["demux", "asr", "subtitles"]
    assert changed(base, replace(base, source=replace(base.source, fingerprint="f1"))) == all_three
    moved = replace(base.source, path="/elsewhere", mtime_ns=9)
    assert changed(base, replace(base, source=moved, id="k", threads=8, device="cuda")) == []
    assert changed(base, replace(base, clip=Clip(1.0, 2.0))) == all_three
    assert changed(base, replace(base, language="de")) == ["asr", "subtitles"]
    model = replace(ASR, models=(ModelRef("m", "/m", "k1"),))
    assert changed(base, job(DEMUX, model, SUBTITLES)) == ["asr", "subtitles"]
    moved_model = replace(ASR, models=(ModelRef("other name", "/other", "k1"),))
    assert changed(job(DEMUX, model, SUBTITLES), job(DEMUX, moved_model, SUBTITLES)) == []
    wider = replace(SUBTITLES, requested={"width": 50})
    assert changed(base, job(DEMUX, ASR, wider)) == ["subtitles"]
    tuned = replace(ASR, tuning={"batch_size": 16}, resources={"ram_mb": 9}, stall_seconds=1.0)
    assert changed(base, job(DEMUX, tuned, SUBTITLES)) == []
    assert changed(base, job(replace(DEMUX, version=2), ASR, SUBTITLES)) == all_three
