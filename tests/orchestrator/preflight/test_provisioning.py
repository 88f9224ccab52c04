from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.catalogue import EnvironmentSpec
from orchestrator.contract.errors import Failure, fail
from orchestrator.preflight import loading, provisioning
from orchestrator.preflight.context import Context, Loading, ModelWish
from orchestrator.provision import environments
from orchestrator.provision.environments import Environment
from orchestrator.provision.models import Model


@pytest.fixture
def built(context: Context, spec: EnvironmentSpec, tmp_path: Path) -> Environment:
    return Environment(
        "tiny", "k" * 64, tmp_path, Path(sys.executable), "3.12.1", {"thing": "1"}, {}
    )


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
    other = Model("other", tmp_path, "k", "s")
    monkeypatch.setattr(
        "orchestrator.preflight.context.stand_ins",
        lambda _store, name, language: [other] if (name, language) == ("mine", "en") else [],
    )
    check = provisioning.check_model(context, ModelWish("mine", True, "en"))
    assert check.ok is None
    assert "other, the largest that is, stands in" in check.detail
    assert provisioning.check_model(context, ModelWish("mine", False, "en")).blocks
    assert context.find_model(ModelWish("mine", True, "de")) is None


class TestLoading:
    """The child is replaced by one line of Python: what it says is what the check judges."""

    @pytest.fixture
    def wanted(self, context: Context, spec: EnvironmentSpec, tmp_path: Path) -> Loading:
        context.work_dir.mkdir()
        return Loading("asr", tmp_path, spec, (own_model(tmp_path),), "cpu", {"beams": 3})

    def says(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: str) -> None:
        child = tmp_path / "child.py"
        child.write_text(f"import json, os, sys\n{code}\n")
        monkeypatch.setattr(loading, "_CHILD", child)

    def loaded(self, **more: object) -> str:
        answer: dict[str, object] = {"load_seconds": 1.0, "rss_bytes": 5_000_000, **more}
        return f"print({'batch-subtitles-loaded:' + json.dumps(answer)!r})"

    def heard(self, text: str) -> str:
        return self.loaded(text=text, compute_type="int8", run_seconds=2.0)

    def test_not_without_its_environment(self, context: Context, wanted: Loading) -> None:
        assert provisioning.check_loading(context, wanted).blocks

    def test_not_without_its_model(
        self, context: Context, wanted: Loading, ready: Environment
    ) -> None:
        lacking = replace(wanted, models=(ModelWish("mine"),))
        assert provisioning.check_loading(context, lacking).blocks

    def test_a_model_that_only_loads(
        self,
        context: Context,
        wanted: Loading,
        ready: Environment,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
    ) -> None:
        self.says(monkeypatch, tmp_path, self.loaded())
        check = provisioning.check_loading(replace(context, sample=tmp_path / "a.flac"), wanted)
        assert check.ok is True
        assert check.name == "stage asr"
        assert check.detail.endswith("on cpu: loaded in 1.0 s, 5 MB of memory")

    def test_it_hears(
        self,
        context: Context,
        wanted: Loading,
        ready: Environment,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
    ) -> None:
        self.says(monkeypatch, tmp_path, self.heard("the old lighthouse"))
        check = provisioning.check_loading(replace(context, sample=tmp_path / "a.flac"), wanted)
        assert check.ok is True
        assert "heard 'the old lighthouse'" in check.detail

    def test_it_is_given_what_the_stage_is_given(
        self,
        context: Context,
        wanted: Loading,
        ready: Environment,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
    ) -> None:
        monkeypatch.setenv("HF_TOKEN", "hf_secret")
        self.says(
            monkeypatch,
            tmp_path,
            "print(sys.argv[1:], os.environ.get('HF_TOKEN'), os.environ['HF_HUB_OFFLINE'])",
        )
        check = provisioning.check_loading(context, wanted)
        for word in ("model_path", '"models": [', '"threads": 4', '"device": "cpu"', '"beams": 3'):
            assert word in check.detail
        assert check.detail.endswith("None 1")

    def test_no_words_in_speech_is_a_failure_in_noise_it_is_not(
        self,
        context: Context,
        wanted: Loading,
        ready: Environment,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
    ) -> None:
        self.says(monkeypatch, tmp_path, self.heard(""))
        assert provisioning.check_loading(context, wanted).ok is True
        deaf = provisioning.check_loading(replace(context, sample=tmp_path / "a.flac"), wanted)
        assert deaf.blocks
        assert "no words in a.flac" in deaf.detail

    def test_a_model_that_cannot_be_loaded(
        self,
        context: Context,
        wanted: Loading,
        ready: Environment,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
    ) -> None:
        self.says(monkeypatch, tmp_path, "raise RuntimeError('Unsupported model binary version')")
        check = provisioning.check_loading(context, wanted)
        assert check.blocks
        assert "Unsupported model binary version" in check.detail


def test_choosing_fails_as_provisioning_fails(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unavailable(*_rest: object, **_more: object) -> Model:
        raise fail("model_unavailable", "gone", "look")

    monkeypatch.setattr(provisioning, "choose_model", unavailable)
    check = provisioning.check_model(replace(context, build=True), ModelWish("mine"))
    assert check.detail == "gone"
    with pytest.raises(Failure):
        unavailable()
