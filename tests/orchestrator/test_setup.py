"""What is built and fetched before a job can be made, and for which stages."""

from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from orchestrator import setup
from orchestrator.catalogue import (
    Catalogue,
    EnvironmentSpec,
    Limits,
    OutputSpec,
    Resources,
    SettingSpec,
    StageSpec,
)
from orchestrator.contract.errors import ErrorClass, Failure, fail
from orchestrator.contract.paths import WorkFolder
from orchestrator.hardware import Gpu, Hardware
from orchestrator.provision.environments import Environment
from orchestrator.provision.models import Model
from orchestrator.settings import Choice, ResolvedSettings, Settings
from orchestrator.setup import build_options, make_ready, model_store, selected_stages

MACHINE = Hardware("CPU", 4, 8, 16 << 30, (), "Linux", "x86_64")
GPU = Gpu("cuda", "RTX", 0, 12 << 30, "570")


def stage(name: str, environment: str, inputs: str, outputs: str, **changes: Any) -> StageSpec:
    return StageSpec(
        **{
            "name": name,
            "version": 1,
            "title": name,
            "folder": Path("/stages") / name,
            "environment": environment,
            "inputs": tuple(inputs.split()),
            "outputs": {one: OutputSpec(one, one, publish=one) for one in outputs.split()},
            "settings": {},
            "model_setting": None,
            "uses": (),
            "resources": Resources(),
            "limits": Limits(),
            **changes,
        }
    )


MODEL_SETTING = {"model": SettingSpec("model", "str", "large-v3", in_key=False)}
STAGES = (
    stage("demux", "media", "media", "audio"),
    stage("asr", "asr", "audio", "words", settings=MODEL_SETTING, model_setting="model"),
    stage("subtitles", "media", "words", "srt"),
    stage("probe", "media", "media", ""),
    stage("unused", "huge", "media", "x"),
)
CATALOGUE = Catalogue(
    {one.name: one for one in STAGES},
    {
        name: EnvironmentSpec(name, Path("/environments") / name, (), ">=3.11", False, {})
        for name in ("media", "asr", "huge", "hub")
    },
)


def settings_of(*, was_default: bool = True, gpu: Gpu | None = None) -> ResolvedSettings:
    return ResolvedSettings(
        Settings(workflows={"subtitle-gen": ("demux", "asr", "subtitles")}),
        "cpu",
        gpu,
        MappingProxyType(
            {
                one.name: MappingProxyType(
                    {name: setting.default for name, setting in one.settings.items()}
                )
                for one in STAGES
            }
        ),
        (Choice("stages.asr.model", "large-v3", "a large GPU", was_default),),
    )


@pytest.mark.parametrize(
    ("only", "expected"),
    [
        ((), ["demux", "asr", "subtitles"]),
        (("demux",), ["demux"]),
        (("asr",), ["demux", "asr"]),
        (("subtitles",), ["demux", "asr", "subtitles"]),
        (("demux", "asr"), ["demux", "asr"]),
    ],
)
def test_a_stage_brings_what_it_needs(only: tuple[str, ...], expected: list[str]) -> None:
    chosen = selected_stages(settings_of().settings, CATALOGUE, only)
    assert [one.name for one in chosen] == expected


@pytest.mark.parametrize("name", ["unused", "asrr"])
def test_a_stage_that_is_not_in_the_workflow_is_refused(name: str) -> None:
    with pytest.raises(Failure) as caught:
        selected_stages(settings_of().settings, CATALOGUE, (name,))
    assert caught.value.info.code == "unknown_stage"
    assert caught.value.info.hint == "Its stages are: demux, asr, subtitles."


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The environments that were asked for; nothing is really built."""
    names: list[str] = []

    def build(spec: EnvironmentSpec, work: Path, *_more: object) -> Environment:
        names.append(spec.name)
        folder = work / "environments" / spec.name
        return Environment(spec.name, f"key of {spec.name}", folder, folder / "python", "3.11", {})

    monkeypatch.setattr(setup, "ensure_environment", build)
    return names


def offer(monkeypatch: pytest.MonkeyPatch, name: str) -> list[dict[str, Any]]:
    """The model store gives this model, whatever is asked for; returns what was asked."""
    asked: list[dict[str, Any]] = []

    def choose(_store: object, requested: str, **more: Any) -> Model:
        asked.append({"requested": requested, **more})
        more["progress"](1, 2)
        return Model(name, Path("/models") / name, f"key of {name}", "hub")

    monkeypatch.setattr(setup, "choose_model", choose)
    return asked


def silent(_text: str) -> None:
    pass


Prepare = Callable[..., setup.Ready]


@pytest.fixture
def prepare(tmp_path: Path) -> Prepare:
    def run(settings: ResolvedSettings, *only: str) -> setup.Ready:
        return make_ready(settings, CATALOGUE, MACHINE, WorkFolder(tmp_path), only, silent)

    return run


def test_only_what_the_workflow_needs_is_built(
    monkeypatch: pytest.MonkeyPatch, built: list[str], prepare: Prepare
) -> None:
    (asked,) = [offer(monkeypatch, "large-v3")]
    ready = prepare(settings_of())
    assert built == ["media", "asr"]
    assert asked[0]["requested"] == "large-v3"
    assert [one.name for one in ready.recipe.stages] == ["demux", "asr", "subtitles"]
    assert ready.recipe.stages[1].environment.key == "key of asr"
    model = ready.recipe.stages[1].model
    assert model is not None
    assert (model.name, model.key) == ("large-v3", "key of large-v3")
    assert ready.probe_stage == Path("/stages/probe")
    assert ready.probe_python.parts[-2:] == ("media", "python")
    assert ready.settings.choices[0].value == "large-v3"


def test_a_stage_alone_needs_no_model(
    monkeypatch: pytest.MonkeyPatch, built: list[str], prepare: Prepare
) -> None:
    asked = offer(monkeypatch, "large-v3")
    ready = prepare(settings_of(), "demux")
    assert (built, asked, ready.models) == (["media"], [], {})


@pytest.mark.parametrize("was_default", [True, False])
def test_a_default_model_out_of_reach_is_replaced_and_the_choice_says_so(
    monkeypatch: pytest.MonkeyPatch, built: list[str], prepare: Prepare, was_default: bool
) -> None:
    given = "base" if was_default else "large-v3"
    asked = offer(monkeypatch, given)
    ready = prepare(settings_of(was_default=was_default))
    assert asked[0]["was_default"] is was_default
    (choice,) = ready.settings.choices
    assert choice.value == given
    assert ("could not be fetched" in choice.reason) is was_default
    assert ready.recipe.choices[0]["value"] == given


def test_what_cannot_be_built_is_told(monkeypatch: pytest.MonkeyPatch, prepare: Prepare) -> None:
    def unreachable(*_arguments: object) -> Environment:
        raise fail("index_unreachable", "no index", "Connect.", error_class=ErrorClass.ENVIRONMENT)

    monkeypatch.setattr(setup, "ensure_environment", unreachable)
    with pytest.raises(Failure, match="no index"):
        prepare(settings_of())


def test_settings_reach_the_build(tmp_path: Path) -> None:
    assert build_options(settings_of()).variant is None
    assert build_options(settings_of(gpu=GPU)).variant == "cuda"
    store = model_store(settings_of(), CATALOGUE, WorkFolder(tmp_path))
    assert store.hub is CATALOGUE.environments["hub"]
    assert store.allow_downloads


def test_preparations_are_told_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    setup.say("building media")
    assert capsys.readouterr() == ("", "building media\n")
