"""What is built and fetched before a job can be made, and for which stages."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from orchestrator import setup, stagemodels
from orchestrator.catalogue import (
    Catalogue,
    EnvironmentSpec,
    Limits,
    OutputSpec,
    Resources,
    SettingSpec,
    StageInstance,
    StageSpec,
)
from orchestrator.contract.errors import ErrorClass, Failure, fail
from orchestrator.contract.job import JobInput
from orchestrator.contract.paths import WorkFolder
from orchestrator.hardware import Gpu, Hardware
from orchestrator.provision.environments import Environment
from orchestrator.provision.models import Model, Store
from orchestrator.provision.modelspec import FileSpec, ModelSpec, Needs
from orchestrator.settings import Choice, ResolvedSettings, Settings
from orchestrator.setup import build_options, make_ready, model_store, selected_stages
from orchestrator.stagemodels import (
    check_languages,
    check_named_models,
    choose_models,
    stage_models,
)

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
        return Environment(
            name=spec.name,
            key=f"key of {spec.name}",
            path=folder,
            python=folder / "python",
            python_version="3.11",
            packages={"av": "15", "more": "1"},
            direct={"av": "15"},
        )

    monkeypatch.setattr(setup, "ensure_environment", build)
    return names


def offer(monkeypatch: pytest.MonkeyPatch, name: str) -> list[dict[str, Any]]:
    """The model store gives this model, whatever is asked for; returns what was asked."""
    asked: list[dict[str, Any]] = []

    def choose(_store: object, requested: str, **more: Any) -> Model:
        asked.append({"requested": requested, **more})
        more["progress"](1, 2)
        return Model(name, Path("/models") / name, f"key of {name}", "hub")

    monkeypatch.setattr(stagemodels, "choose_model", choose)
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
    assert ready.recipe.stages[1].environment.packages == {"av": "15"}
    assert ready.recipe.stages[1].inputs == (JobInput("audio", "demux", "audio"),)
    (model,) = ready.recipe.stages[1].models
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


def store_of(tmp_path: Path, *specs: ModelSpec) -> Store:
    return Store(tmp_path, {one.name: one for one in specs}, allow_downloads=False)


def spec_of(name: str, ram_mb: int, *languages: str) -> ModelSpec:
    files = {"model.bin": FileSpec(ram_mb, "a" * 64)}
    needs = {"any": Needs(ram_mb, 10 * ram_mb, 1, 2)}
    return ModelSpec(name, languages, "MIT", (), files, kind="whisper", needs=needs)


def model_of(name: str, tmp_path: Path, *languages: str) -> Model:
    return Model(name, tmp_path / name, f"key of {name}", "hub", languages)


def with_values(**values: Any) -> ResolvedSettings:
    stages = MappingProxyType({"asr": MappingProxyType(values)})
    return replace(settings_of(), stages=stages)


def test_models_for_languages_are_not_needed_together(tmp_path: Path) -> None:
    store = store_of(
        tmp_path, spec_of("all", 100), spec_of("en", 30, "en"), spec_of("de", 50, "de")
    )
    models = [model_of("all", tmp_path), model_of("en", tmp_path, "en")]
    models.append(model_of("de", tmp_path, "de"))
    found = stage_models(with_values(batch_size=5), "asr", models, store)
    assert (found.ram_mb, found.vram_mb) == (100 + 50 + 2 * 4, 1000 + 500 + 2 * 8)
    assert [one.name for one in found.models] == ["all", "en", "de"]
    assert found.models[1].languages == ("en",)
    automatic = stage_models(with_values(batch_size="auto"), "asr", models[:1], store)
    assert (automatic.ram_mb, automatic.vram_mb) == (100, 1000)


def test_a_folder_of_ones_own_is_estimated(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "model.bin").write_bytes(bytes(1 << 20))
    own = Model(str(tmp_path / "own"), tmp_path / "own", "k", "a folder of your own")
    assert stage_models(with_values(), "asr", [own], store_of(tmp_path)).ram_mb == 301


def test_smaller_models_only_where_that_is_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    smaller = model_of("small", tmp_path)
    monkeypatch.setattr(stagemodels, "smaller_ones", lambda *_asked: [smaller])
    store, models = store_of(tmp_path, spec_of("big", 9)), [model_of("big", tmp_path)]
    settings = with_values()
    assert stage_models(settings, "asr", models, store).smaller == ()
    allowed = replace(settings, settings=Settings(allow_smaller_models=True))
    assert [one.name for one in stage_models(allowed, "asr", models, store).smaller] == ["small"]


class TestSeveralModels:
    """A stage whose model setting is a list, one model for each of some languages."""

    def choose(
        self, monkeypatch: pytest.MonkeyPatch, here: str, given: tuple[str, ...] | None
    ) -> tuple[list[str], list[str]]:
        setting = SettingSpec("models", "list[str]", ("en", "de"))
        spec = stage("align", "asr", "words", "x", settings={"models": setting})
        spec = replace(spec, model_setting="models")
        value = setting.default if given is None else given
        settings = replace(settings_of(), stages={"align": {"models": value}})

        def ensure(_store: Store, name: str, *_more: object) -> Model:
            if name not in here.split():
                raise fail("model_unavailable", f"no {name}", "Connect.")
            return Model(name, Path("/models") / name, name, "hub")

        monkeypatch.setattr(stagemodels, "ensure_model", ensure)
        told: list[str] = []
        store = Store(Path("/nowhere"), {})
        _, models = choose_models(settings, [StageInstance(spec)], store, told.append)
        return [model.name for model in models.get("align", ())], told

    def test_all_of_them(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self.choose(monkeypatch, "en de", None) == (["en", "de"], [])
        assert self.choose(monkeypatch, "en de", ()) == ([], [])

    def test_a_default_that_cannot_be_had_is_left_out_loudly(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        found, told = self.choose(monkeypatch, "de", None)
        assert (found, told) == (["de"], ["WARNING: no en. It is left out."])

    def test_one_that_was_named_is_not(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(Failure, match="no fr"):
            self.choose(monkeypatch, "de", ("de", "fr"))

    def test_not_even_one_is_a_failure(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(Failure, match="no en"):
            self.choose(monkeypatch, "", None)


def test_a_stage_may_do_without_its_model(tmp_path: Path) -> None:
    setting = SettingSpec("model", "str", None)
    spec = stage("asr", "asr", "audio", "x", settings={"model": setting}, model_setting="model")
    _, models = choose_models(
        with_values(model=None), [StageInstance(spec)], store_of(tmp_path), silent
    )
    assert models == {}


def test_a_stage_that_needs_a_model_is_refused() -> None:
    setting = SettingSpec("models", "list[str]", ())
    spec = stage(
        *("translation", "huge", "words", "x"),
        settings={"models": setting},
        model_setting="models",
        needs_model=True,
    )
    other = stage("small", "media", "words", "x", role="translation", engine="offline")
    known = Catalogue({"translation": spec, "small": other}, {})
    empty = replace(settings_of(), stages={"translation": {"models": ()}})
    with pytest.raises(Failure) as caught:
        check_named_models(empty, [StageInstance(spec)], known)
    assert caught.value.info.code == "no_model_named"
    assert "engines.translation to one of: offline" in caught.value.info.hint
    named = replace(settings_of(), stages={"translation": {"models": ("folder",)}})
    check_named_models(named, [StageInstance(spec)], known)


def test_a_language_that_no_model_is_made_for_is_refused(tmp_path: Path) -> None:
    spec = stage("translation", "huge", "words", "x", for_each="targets")
    pair = model_of("pair", tmp_path, "en", "pt")

    def check(value: str, *models: Model) -> None:
        check_languages([StageInstance(spec, value)], {"translation": models})

    check("pt", pair)
    check("fr", pair, model_of("any", tmp_path))
    check("fr")
    with pytest.raises(Failure) as caught:
        check("fr", pair)
    assert caught.value.info.code == "no_model_for_language"
    assert "they are for en, pt" in caught.value.info.message
