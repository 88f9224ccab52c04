"""Real environments and a real model: built and fetched once, then used from the work folder."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.catalogue import Catalogue, load_catalogue
from orchestrator.hardware import detect
from orchestrator.preflight.check import Check
from orchestrator.preflight.context import Context, Loading, ModelWish
from orchestrator.preflight.provisioning import (
    check_environment,
    check_loading,
    check_model,
)
from orchestrator.provision.build import BuildOptions
from orchestrator.provision.environments import ensure_environment, find_ready
from orchestrator.provision.models import Store, ensure_model, find_ready_model

pytestmark = pytest.mark.real

ROOT = Path(__file__).resolve().parents[3]
SAMPLE = ROOT / "samples" / "lighthouse.flac"


@pytest.fixture(scope="module")
def work_dir() -> Path:
    given = os.environ.get("SUBTITLES_TEST_WORK_DIR")
    return Path(given) if given else ROOT / ".cache" / "test-work"


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue([])


@pytest.fixture(scope="module")
def context(work_dir: Path, catalogue: Catalogue) -> Context:
    asr = catalogue.environments["asr"]
    wish = ModelWish("tiny.en")
    store = Store(work_dir, hub=catalogue.environments["hub"])
    settings = {"compute_type": "int8"}
    return Context(
        work_dir=work_dir,
        input_dir=None,
        output_dir=None,
        hardware=detect(),
        device="cpu",
        environments=(catalogue.environments["media"], asr),
        options=BuildOptions(),
        store=store,
        models=(wish,),
        loadings=(Loading("asr", catalogue.stages["asr"].folder, asr, (wish,), "cpu", settings),),
        count_media=lambda _folder: 0,
        build=True,
    )


@pytest.mark.parametrize("name", ["media", "asr", "hub"])
def test_each_environment_builds_and_imports(
    context: Context, catalogue: Catalogue, name: str
) -> None:
    spec = catalogue.environments[name]
    assert check_environment(context, spec).ok is True
    built = find_ready(spec, context.work_dir, context.options)
    assert built is not None
    assert ensure_environment(spec, context.work_dir, context.options) == built
    pinned = (spec.folder / "constraints.txt").read_text()
    for package, version in built.packages.items():
        assert f"{package.lower().replace('_', '-')}=={version}" in pinned


def test_a_model_from_a_wheel_is_whole(context: Context) -> None:
    assert check_model(context, ModelWish("tiny.en")).ok is True
    model = find_ready_model(context.store, "tiny.en")
    assert model is not None
    assert ensure_model(replace(context.store, allow_downloads=False), "tiny.en") == model


def recognition(context: Context) -> Check:
    for spec in context.environments:
        assert check_environment(context, spec).ok is True
    assert check_model(context, context.models[0]).ok is True
    return check_loading(context, context.loadings[0])


def test_real_speech_is_recognised(context: Context) -> None:
    check = recognition(replace(context, sample=SAMPLE))
    assert check.ok is True
    assert "lighthouse" in check.detail


def test_without_a_sample_noise_will_do(context: Context) -> None:
    assert recognition(context).ok is True
