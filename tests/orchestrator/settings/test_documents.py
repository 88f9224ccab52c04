"""``config.yaml`` and ``docs/settings.md`` say what the code does."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from orchestrator.catalogue import SettingSpec, load_catalogue, order
from orchestrator.settings import Settings
from orchestrator.settings.schema import DEFAULT_EXTENSIONS, DEFAULT_WORKFLOWS
from orchestrator.settings.stages import settings_model
from orchestrator.settings.yaml12 import parse

ROOT = Path(__file__).resolve().parents[3]
CONFIG = (ROOT / "config.yaml").read_text(encoding="utf-8")
REFERENCE = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")


def test_the_shipped_file_holds_the_defaults() -> None:
    values = parse(CONFIG).value
    assert list(values.pop("stages")) == ["asr", "subtitles"]
    assert set(values) == set(Settings.model_fields) - {"stages"}
    assert Settings.model_validate(values) == Settings()


@pytest.mark.parametrize("key", Settings.model_fields)
def test_the_shipped_file_names_each_variable(key: str) -> None:
    assert f"# BATCH_SUBTITLES_{key.upper()}" in CONFIG


def test_the_examples_of_stage_settings_are_their_defaults() -> None:
    values = parse(re.sub(r"(?m)^    # ", "    ", CONFIG)).value["stages"]
    assert values["asr"]["beam_size"] == 5
    catalogue = load_catalogue([])
    model = settings_model(catalogue)
    assert model.model_validate({"stages": values}, context=catalogue) == model()


@pytest.mark.parametrize("key", Settings.model_fields)
def test_the_reference_names_each_key(key: str) -> None:
    assert f"\n| `{key}` |" in REFERENCE


def test_the_reference_counts_the_extensions() -> None:
    assert f"| `extensions` | {len(DEFAULT_EXTENSIONS)} of" in REFERENCE


def test_the_reference_explains_each_stage_setting() -> None:
    rows = [
        _row(stage.name, setting)
        for stage in load_catalogue([]).stages.values()
        for setting in stage.settings.values()
    ]
    table = REFERENCE.partition("| setting | default | meaning |\n|---|---|---|\n")[2]
    assert table.splitlines() == rows


def _row(stage: str, setting: SettingSpec) -> str:
    bounds = ""
    if setting.minimum is not None and setting.maximum is not None:
        bounds = f" {setting.minimum:g} to {setting.maximum:g}."
    default = json.dumps(setting.default).strip('"')
    return f"| `{stage}.{setting.name}` | `{default}` | {setting.help}{bounds} |"


@pytest.mark.parametrize("workflow", DEFAULT_WORKFLOWS)
def test_the_default_workflows_can_run(workflow: str) -> None:
    stages = DEFAULT_WORKFLOWS[workflow]
    found = order(stages, load_catalogue([]), values={"translation": ["pt"]})
    assert [stage.spec.name for stage in found] == list(stages)


def test_the_default_format_is_published() -> None:
    assert {"srt", "vtt", "txt", "json"} <= load_catalogue([]).published()
