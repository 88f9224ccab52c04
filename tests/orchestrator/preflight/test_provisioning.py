from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.catalogue import EnvironmentSpec
from orchestrator.contract.errors import Failure, fail
from orchestrator.preflight import provisioning
from orchestrator.preflight.context import Context, Inference, ModelWish
from orchestrator.provision import environments, models
from orchestrator.provision.environments import Environment
from orchestrator.provision.models import Model


@pytest.fixture
def built(context: Context, spec: EnvironmentSpec, tmp_path: Path) -> Environment:
    return Environment("tiny", "k" * 64, tmp_path, Path(sys.executable), "3.12.1", {"thing": "1"})


@pytest.fixture
def ready(built: Environment, monkeypatch: pytest.MonkeyPatch) -> Environment:
    """The environment stands as if it had been built."""
    monkeypatch.setattr(environments, "find_ready", lambda *_rest: built)
    return built


def own_model(tmp_path: Path) -> ModelWish:
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "model.bin").write_bytes(b"weights")
    return ModelWish(str(folder))


def test_uv_is_wanted_but_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert provisioning.check_uv().ok is True
    monkeypatch.setattr(provisioning, "find_uv", lambda: None)
    assert provisioning.check_uv().ok is None


def test_what_is_not_built_can_be_built(context: Context, spec: EnvironmentSpec) -> None:
    check = provisioning.check_environment(context, spec)
    assert check.blocks
    assert "--build" in check.fix


def test_building_is_only_asked_for(
    context: Context, spec: EnvironmentSpec, built: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environments, "ensure_environment", lambda *_rest: built)
    check = provisioning.check_environment(replace(context, build=True), spec)
    assert check.ok is True
    assert check.detail.startswith("Python 3.12.1, 1 packages")


def test_a_build_that_fails_is_told(
    context: Context, spec: EnvironmentSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_rest: object) -> Environment:
        raise fail("environment_build_failed", "no network", "check it")

    monkeypatch.setattr(environments, "ensure_environment", broken)
    check = provisioning.check_environment(replace(context, build=True), spec)
    assert (check.ok, check.detail, check.fix) == (False, "no network", "check it")


def test_a_broken_environment_is_found_and_mended(
    context: Context, spec: EnvironmentSpec, ready: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    lacking = replace(spec, imports=("no_such_module",))
    assert provisioning.check_environment(context, lacking).blocks
    discarded: list[Environment] = []
    monkeypatch.setattr(environments, "discard", lambda one, _report: discarded.append(one))
    monkeypatch.setattr(environments, "ensure_environment", lambda *_rest: ready)
    assert provisioning.check_environment(replace(context, build=True), lacking).ok is True
    assert discarded == [ready]
    assert provisioning.check_environment(context, spec).ok is True


def test_a_missing_model(context: Context) -> None:
    check = provisioning.check_model(context, ModelWish("mine"))
    assert check.blocks
    check = provisioning.check_model(replace(context, build=True), ModelWish("mine"))
    assert check.blocks
    assert "network" in check.fix


def test_a_model_that_is_here(context: Context, tmp_path: Path) -> None:
    wish = own_model(tmp_path)
    check = provisioning.check_model(replace(context, build=True), wish)
    assert check.ok is True
    assert "a folder of your own" in check.detail


def test_a_default_may_have_a_stand_in(
    context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = replace(context.store.specs["mine"], name="other")
    store = replace(context.store, specs={**context.store.specs, "other": other})
    monkeypatch.setattr(
        "orchestrator.preflight.context.find_ready_model",
        lambda _store, name: Model("other", tmp_path, "k", "s") if name == "other" else None,
    )
    monkeypatch.setattr("orchestrator.preflight.context.local_models", lambda _store: [other])
    having = replace(context, store=store)
    check = provisioning.check_model(having, ModelWish("mine", was_default=True))
    assert check.ok is None
    assert "other, the largest that is, stands in" in check.detail
    assert provisioning.check_model(having, ModelWish("mine")).blocks
    english = replace(other, languages=("en",))
    monkeypatch.setattr("orchestrator.preflight.context.local_models", lambda _store: [english])
    assert having.find_model(ModelWish("mine", was_default=True)) is None


class TestRecognition:
    """The child is replaced by one line of Python: what it says is what the check judges."""

    @pytest.fixture
    def having(
        self, context: Context, ready: Environment, spec: EnvironmentSpec, tmp_path: Path
    ) -> Context:
        context.work_dir.mkdir()
        wish = own_model(tmp_path)
        inference = Inference(tmp_path, spec, wish, "cpu", {"compute_type": "int8"})
        return replace(context, inference=inference)

    def says(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: str) -> None:
        child = tmp_path / "child.py"
        child.write_text(f"import json, sys\n{code}\n")
        monkeypatch.setattr(provisioning, "_CHILD", child)

    def heard(self, text: str) -> str:
        answer: dict[str, Any] = {"text": text, "compute_type": "int8"}
        answer.update(load_seconds=1.0, run_seconds=2.0)
        return f"print({'batch-subtitles-heard:' + json.dumps(answer)!r})"

    def test_no_speech_no_recognition(self, context: Context) -> None:
        assert provisioning.check_recognition(context).ok is True

    def test_not_without_its_environment(
        self, context: Context, spec: EnvironmentSpec, tmp_path: Path
    ) -> None:
        wanted = Inference(tmp_path, spec, ModelWish("mine"), "cpu", {})
        assert provisioning.check_recognition(replace(context, inference=wanted)).blocks

    def test_it_hears(
        self, having: Context, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        self.says(monkeypatch, tmp_path, self.heard("the old lighthouse"))
        check = provisioning.check_recognition(replace(having, sample=tmp_path / "a.flac"))
        assert check.ok is True
        assert "heard 'the old lighthouse'" in check.detail

    def test_it_is_given_what_the_stage_is_given(
        self, having: Context, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        self.says(monkeypatch, tmp_path, "print(sys.argv[1:])")
        check = provisioning.check_recognition(having)
        for word in ("model_path", '"threads": 4', '"device": "cpu"', '"compute_type": "int8"'):
            assert word in check.detail

    def test_no_words_in_speech_is_a_failure_in_noise_it_is_not(
        self, having: Context, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        self.says(monkeypatch, tmp_path, self.heard(""))
        assert provisioning.check_recognition(having).ok is True
        deaf = provisioning.check_recognition(replace(having, sample=tmp_path / "a.flac"))
        assert deaf.blocks
        assert "no words in a.flac" in deaf.detail

    def test_a_model_that_cannot_be_loaded(
        self, having: Context, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        self.says(monkeypatch, tmp_path, "raise RuntimeError('Unsupported model binary version')")
        check = provisioning.check_recognition(having)
        assert check.blocks
        assert "Unsupported model binary version" in check.detail


def test_choosing_fails_as_provisioning_fails(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unavailable(*_rest: object, **_more: object) -> Model:
        raise fail("model_unavailable", "gone", "look")

    monkeypatch.setattr(models, "choose_model", unavailable)
    check = provisioning.check_model(replace(context, build=True), ModelWish("mine"))
    assert check.detail == "gone"
    with pytest.raises(Failure):
        unavailable()
