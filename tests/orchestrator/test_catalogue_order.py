"""The order in which stages run, and which of them makes each input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.catalogue import (
    Catalogue,
    Limits,
    OutputSpec,
    Resources,
    SettingSpec,
    StageInstance,
    StageSpec,
    choose_stage,
    order,
    with_needs,
)
from orchestrator.contract.errors import ErrorClass, Failure
from orchestrator.contract.job import JobInput

TARGETS = {
    "targets": SettingSpec("targets", "list[str]", ()),
    "target": SettingSpec("target", "str", None),
}


def stage(name: str, inputs: str, outputs: str, **changes: Any) -> StageSpec:
    return StageSpec(
        **{
            "name": name,
            "version": 1,
            "title": name,
            "folder": Path("stages") / name,
            "environment": "media",
            "inputs": tuple(inputs.split()),
            "outputs": {output: OutputSpec(output, output) for output in outputs.split()},
            "settings": {},
            "model_setting": None,
            "uses": (),
            "resources": Resources(),
            "limits": Limits(),
            **changes,
        }
    )


def each(name: str, inputs: str, outputs: str, **changes: Any) -> StageSpec:
    return stage(name, inputs, outputs, settings=TARGETS, for_each="targets", **changes)


def catalogue(*stages: StageSpec) -> Catalogue:
    return Catalogue({stage.name: stage for stage in stages}, {})


KNOWN = catalogue(
    stage("demux", "media", "audio audio_info"),
    stage("vad", "audio", "speech"),
    stage("asr", "audio audio_info", "transcript", optional_inputs=("speech",), engine="usual"),
    stage("asr-other", "audio", "transcript", role="asr", engine="other"),
    stage("alignment", "audio transcript", "transcript"),
    stage("hallucination", "transcript", "transcript removals", optional_inputs=("speech",)),
    stage("diarization", "audio transcript", "transcript turns"),
    stage("subtitles", "transcript audio_info", "cues srt"),
    stage("transcript", "transcript", "txt"),
    each("translation", "cues", "cues srt"),
    each("translation_hindi", "cues", "cues srt", role="translation", engine="hindi"),
    stage("mux", "media srt.*", "film"),
    stage("all_texts", "media", "list", optional_inputs=("srt.*",)),
    stage("polish", "", "transcript", optional_inputs=("transcript",)),
    stage("chicken", "egg media", "hen"),
    stage("egg", "hen", "egg"),
    stage("lost", "unheard", "found"),
    stage("nearly", "transcripts", "found"),
    stage("a_one", "media", "one", role="one", engine="a"),
    stage("b_one", "media", "one", role="one", engine="b"),
    stage("only", "media", "single", role="lonely", engine="x"),
)


def arranged(*wanted: str, **options: Any) -> tuple[StageInstance, ...]:
    return order(wanted, KNOWN, **options)


def names(*wanted: str, **options: Any) -> list[str]:
    return [stage.name for stage in arranged(*wanted, **options)]


def makers(*wanted: str, **options: Any) -> dict[str, dict[str, str]]:
    """By stage and input, which stage makes it."""
    return {
        one.name: {source.name: source.stage for source in one.inputs}
        for one in arranged(*wanted, **options)
    }


def refusal(wanted: Sequence[str], known: Catalogue = KNOWN, **options: Any) -> Failure:
    with pytest.raises(Failure) as caught:
        order(wanted, known, **options)
    assert caught.value.info.error_class is ErrorClass.INPUT
    assert caught.value.info.hint
    return caught.value


def test_every_stage_follows_those_that_feed_it() -> None:
    assert names("subtitles", "asr", "demux") == ["demux", "asr", "subtitles"]


def test_independent_stages_keep_the_order_given() -> None:
    assert names("demux", "asr", "transcript", "subtitles")[2:] == ["transcript", "subtitles"]
    assert names("demux", "asr", "subtitles", "transcript")[2:] == ["subtitles", "transcript"]


def test_an_optional_input_is_taken_where_a_stage_makes_it() -> None:
    assert "speech" not in makers("demux", "asr")["asr"]
    assert makers("asr", "demux", "vad")["asr"]["speech"] == "vad"
    assert names("asr", "demux", "vad") == ["demux", "vad", "asr"]


def test_refiners_work_one_after_another_and_others_get_the_last_version() -> None:
    found = makers("demux", "subtitles", "asr", "alignment", "hallucination", "diarization")
    assert found["alignment"]["transcript"] == "asr"
    assert found["hallucination"]["transcript"] == "alignment"
    assert found["diarization"]["transcript"] == "hallucination"
    assert found["subtitles"]["transcript"] == "diarization"


def test_refiners_keep_the_order_of_the_workflow() -> None:
    found = makers("demux", "diarization", "asr", "hallucination")
    assert found["hallucination"]["transcript"] == "diarization"
    assert found["diarization"]["transcript"] == "asr"


def test_a_refiner_that_needs_nothing_is_the_maker_where_there_is_no_other() -> None:
    assert makers("demux", "polish", "transcript")["transcript"]["transcript"] == "polish"
    found = makers("demux", "polish", "asr", "transcript")
    assert (found["polish"]["transcript"], found["transcript"]["transcript"]) == ("asr", "polish")


def test_a_stage_runs_once_for_each_of_its_values() -> None:
    wanted = ["demux", "asr", "subtitles", "translation", "mux"]
    found = arranged(*wanted, values={"translation": ["pt", "fr", "pt"]})
    assert [one.name for one in found] == [
        *("demux", "asr", "subtitles", "translation.pt", "translation.fr", "mux")
    ]
    portuguese = found[3]
    assert (portuguese.value, dict(portuguese.overrides)) == ("pt", {"target": "pt"})
    assert portuguese.inputs == (JobInput("cues", "subtitles", "cues"),)
    assert found[5].inputs == (
        JobInput("media"),
        JobInput("srt", "subtitles", "srt"),
        JobInput("srt.pt", "translation.pt", "srt"),
        JobInput("srt.fr", "translation.fr", "srt"),
    )
    assert dict(found[0].overrides) == {}


def test_a_stage_without_values_is_left_out() -> None:
    assert names("demux", "asr", "subtitles", "translation") == ["demux", "asr", "subtitles"]


def test_two_engines_may_share_the_values_but_not_one_of_them() -> None:
    wanted = ["demux", "asr", "subtitles", "translation", "translation_hindi"]
    both = names(*wanted, values={"translation": ["fr"], "translation_hindi": ["hi"]})
    assert both[3:] == ["translation.fr", "translation_hindi.hi"]
    failure = refusal(wanted, values={"translation": ["hi"], "translation_hindi": ["hi"]})
    assert "'cues.hi' is made by both 'translation.hi' and" in failure.info.message


def test_what_is_collected_may_be_nothing_where_it_is_optional() -> None:
    assert makers("all_texts")["all_texts"] == {"media": ""}
    assert refusal(["mux"]).info.code == "missing_input"


def test_the_engine_of_a_role_is_chosen() -> None:
    assert names("demux", "asr", engines={"asr": "other"}) == ["demux", "asr-other"]
    assert names("demux", "asr", engines={"asr": "usual"}) == ["demux", "asr"]
    assert names("demux", "asr-other") == ["demux", "asr-other"]
    assert names("lonely") == ["only"]
    assert names("one", engines={"one": "b"}) == ["b_one"]
    assert choose_stage("asr", KNOWN).name == "asr"


@given(st.permutations(["demux", "vad", "asr", "hallucination", "subtitles", "transcript"]))
def test_any_order_given_becomes_one_that_works(wanted: list[str]) -> None:
    done = {""}
    for one in order(wanted, KNOWN):
        assert done.issuperset(source.stage for source in one.inputs)
        done.add(one.name)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Catalogue, list[str], Mapping[str, list[str]]]:
    """Stages on a few artefacts, with refiners, options, instances and collectors among them."""
    artefacts = ["a", "b", "c", "d"]
    stages = []
    for number in range(draw(st.integers(1, 6))):
        outputs = draw(st.sets(st.sampled_from(artefacts), max_size=2))
        pool = [*artefacts, *(f"{name}.*" for name in artefacts if name not in outputs)]
        takes = draw(st.lists(st.sampled_from(pool), unique=True, max_size=3))
        split = draw(st.integers(0, len(takes)))
        make = each if draw(st.booleans()) else stage
        stages.append(
            make(
                f"s{number}",
                " ".join(["media", *takes[:split]]),
                " ".join(sorted(outputs)),
                optional_inputs=tuple(takes[split:]),
            )
        )
    chosen = draw(st.permutations([one.name for one in stages]))
    values = {name: draw(st.lists(st.sampled_from(["x", "y"]), max_size=2)) for name in chosen}
    return catalogue(*stages), chosen, values


@given(worlds())
def test_a_workflow_is_either_refused_or_has_every_input_made_in_time(
    world: tuple[Catalogue, list[str], Mapping[str, list[str]]],
) -> None:
    known, wanted, values = world
    try:
        found = order(wanted, known, values=values)
    except Failure as failure:
        if failure.info.code not in ("missing_input", "artefact_made_twice", "stage_cycle"):
            raise
        return
    assert found == order(wanted, known, values=values)
    done: dict[str, StageInstance] = {}
    for one in found:
        assert one.name not in done
        for source in one.inputs:
            if source.stage:
                assert source.output in done[source.stage].spec.outputs
                assert done[source.stage].artefact(source.output) == source.name
        plain = {name for name in one.spec.inputs if not name.endswith(".*")}
        assert plain <= {source.name for source in one.inputs}
        assert len({source.name for source in one.inputs}) >= len(plain)
        done[one.name] = one
    for output in ("a", "b", "c", "d"):
        users = [
            (one, source)
            for one in found
            for source in one.inputs
            if source.name == output and not one.spec.refines(output)
        ]
        assert len({source.stage for _, source in users}) <= 1  # all get the same version
        refiners = [one for one in found if one.spec.refines(output)]
        assert [one.name for one in refiners] == [
            name for name in wanted if known.stages[name].refines(output)
        ]
    for one in found:
        part = with_needs(found, [one.name])
        here = {""} | {other.name for other in part}
        assert all(source.stage in here for other in part for source in other.inputs)


def test_with_its_needs() -> None:
    found = arranged(
        *("demux", "vad", "asr", "hallucination", "subtitles", "translation"),
        values={"translation": ["pt", "fr"]},
    )

    def chosen(*wanted: str) -> list[str]:
        return [one.name for one in with_needs(found, wanted)]

    assert chosen() == [one.name for one in found]
    assert chosen("asr") == ["demux", "vad", "asr"]
    assert chosen("translation.fr")[-2:] == ["subtitles", "translation.fr"]
    assert chosen("translation")[-2:] == ["translation.pt", "translation.fr"]
    with pytest.raises(Failure) as caught:
        with_needs(found, ["mux"])
    assert caught.value.info.code == "unknown_stage"
    assert "translation.pt" in caught.value.info.hint


@pytest.mark.parametrize(
    ("wanted", "code", "message", "hint"),
    [
        ([], "no_stages", "no stages", "at least one"),
        (["demuks"], "unknown_stage", "did you mean 'demux'?", "stage_paths"),
        (["demux", "demux"], "stage_twice", "'demux' is named twice", "once"),
        (["one"], "unknown_engine", "'one' has several engines", "Set engines.one to one of: a, b"),
        (
            ["demux", "asr", "asr-other"],
            "artefact_made_twice",
            "'transcript' is made by both 'asr' and 'asr-other'",
            "Leave one",
        ),
        (
            ["demux", "subtitles"],
            "missing_input",
            "'subtitles' needs 'transcript', which no stage of the workflow makes",
            "Add asr to the workflow.",
        ),
        (["demux", "alignment"], "missing_input", "'alignment' needs 'transcript'", "Add asr"),
        (["lost"], "missing_input", "'unheard'", "No known stage makes 'unheard'"),
        (["nearly"], "missing_input", "did you mean 'transcript'?", "No known stage"),
        (
            ["demux", "chicken", "egg"],
            "stage_cycle",
            "wait for each other: chicken <- egg <- chicken",
            "inputs",
        ),
    ],
)
def test_what_cannot_be_ordered(wanted: list[str], code: str, message: str, hint: str) -> None:
    info = refusal(wanted).info
    assert info.code == code
    assert message in info.message
    assert hint in info.hint


def test_an_engine_or_a_value_that_makes_no_sense() -> None:
    info = refusal(["demux", "asr"], engines={"asr": "others"}).info
    assert info.code == "unknown_engine"
    assert info.message == "unknown engine of 'asr' 'others'; did you mean 'other'?"
    info = refusal(
        ["demux", "asr", "subtitles", "translation"], values={"translation": ["../pt"]}
    ).info
    assert (info.code, "stages.translation.targets" in info.hint) == ("invalid_instance", True)
