"""The order in which stages run."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.catalogue import (
    Catalogue,
    Limits,
    OutputSpec,
    Resources,
    StageSpec,
    order,
)
from orchestrator.contract.errors import Failure


def stage(name: str, inputs: str, outputs: str) -> StageSpec:
    return StageSpec(
        name=name,
        version=1,
        title=name,
        folder=Path("stages") / name,
        environment="media",
        inputs=tuple(inputs.split()),
        outputs={output: OutputSpec(output, output) for output in outputs.split()},
        settings={},
        model_setting=None,
        uses=(),
        resources=Resources(),
        limits=Limits(),
    )


def catalogue(*stages: StageSpec) -> Catalogue:
    return Catalogue({stage.name: stage for stage in stages}, {})


KNOWN = catalogue(
    stage("demux", "media", "audio audio_info"),
    stage("asr", "audio audio_info", "transcript"),
    stage("other_asr", "audio", "transcript"),
    stage("subtitles", "transcript audio_info", "srt"),
    stage("transcript", "transcript", "txt"),
    stage("chicken", "egg media", "hen"),
    stage("egg", "hen", "egg"),
    stage("lost", "unheard", "found"),
)


def names(*wanted: str) -> list[str]:
    return [stage.name for stage in order(wanted, KNOWN)]


def test_every_stage_follows_those_that_feed_it() -> None:
    assert names("subtitles", "asr", "demux") == ["demux", "asr", "subtitles"]


def test_independent_stages_keep_the_order_given() -> None:
    assert names("demux", "asr", "transcript", "subtitles")[2:] == ["transcript", "subtitles"]
    assert names("demux", "asr", "subtitles", "transcript")[2:] == ["subtitles", "transcript"]


@given(st.permutations(["demux", "asr", "subtitles", "transcript"]))
def test_any_order_given_becomes_one_that_works(wanted: list[str]) -> None:
    ready = {"media"}
    for item in order(wanted, KNOWN):
        assert ready.issuperset(item.inputs)
        ready.update(item.outputs)


@pytest.mark.parametrize(
    ("wanted", "code", "message", "hint"),
    [
        ([], "no_stages", "no stages", "at least one"),
        (["demuks"], "unknown_stage", "did you mean 'demux'?", "stage_paths"),
        (["demux", "demux"], "stage_twice", "'demux' is named twice", "once"),
        (
            ["demux", "asr", "other_asr"],
            "artefact_made_twice",
            "'transcript' is made by both 'asr' and 'other_asr'",
            "Leave one",
        ),
        (
            ["demux", "subtitles"],
            "missing_input",
            "'subtitles' needs 'transcript', which no stage of the workflow makes",
            "Add asr or other_asr to the workflow.",
        ),
        (["lost"], "missing_input", "'unheard'", "No known stage makes 'unheard'"),
        (
            ["demux", "chicken", "egg"],
            "stage_cycle",
            "wait for each other: chicken <- egg <- chicken",
            "inputs",
        ),
    ],
)
def test_what_cannot_be_ordered(wanted: list[str], code: str, message: str, hint: str) -> None:
    with pytest.raises(Failure) as caught:
        order(wanted, KNOWN)
    assert caught.value.info.code == code
    assert message in caught.value.info.message
    assert hint in caught.value.info.hint
