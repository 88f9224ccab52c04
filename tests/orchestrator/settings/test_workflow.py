"""Which stages a run is made of, and how a user changes that."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from orchestrator.catalogue import load_catalogue
from orchestrator.contract.errors import Failure
from orchestrator.settings import LoadedSettings, Settings, load_settings, planned_stages

EACH = {
    "targets": {"type": "list[str]", "default": []},
    "target": {"type": "str", "default": None},
}
STAGES: Mapping[str, Mapping[str, Any]] = {
    "demux": {"inputs": ["media"], "outputs": ["audio"]},
    "vad": {"inputs": ["audio"], "outputs": ["speech"]},
    "asr": {"inputs": ["audio"], "optional_inputs": ["speech"], "outputs": ["transcript"]},
    "asr-loud": {"inputs": ["audio"], "outputs": ["transcript"], "role": "asr", "engine": "loud"},
    "alignment": {"inputs": ["transcript"], "outputs": ["transcript"]},
    "hallucination": {"inputs": ["transcript"], "outputs": ["transcript"]},
    "subtitles": {"inputs": ["transcript"], "outputs": ["cues", "srt"]},
    "translation": {
        "inputs": ["cues"],
        "outputs": ["cues", "srt"],
        "settings": EACH,
        "for_each": "targets",
    },
    "mux": {"inputs": ["media", "srt.*"], "outputs": ["film"]},
    "karaoke": {"inputs": ["cues"], "outputs": ["lrc"]},
    "dubbing": {
        "inputs": ["cues"],
        "outputs": ["voice"],
        "settings": {
            "voices": {"type": "list[str]", "default": []},
            "voice": {"type": "str", "default": None},
        },
        "for_each": "voices",
    },
}

Load = Callable[..., LoadedSettings]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    package = tmp_path / "package"
    for name, stage in STAGES.items():
        folder = package / "stages" / name
        folder.mkdir(parents=True)
        (folder / "stage.py").touch()
        outputs = {one: {"file": f"{one}.out", "publish": one} for one in stage["outputs"]}
        data = {"name": name, "version": 1, "environment": "media", **stage, "outputs": outputs}
        (folder / "stage.json").write_text(json.dumps(data))
    environment = package / "environments" / "media"
    environment.mkdir(parents=True)
    (environment / "requirements.in").touch()
    (environment / "environment.json").write_text('{"imports": []}')
    monkeypatch.setattr(
        "orchestrator.settings.load.load_catalogue", partial(load_catalogue, package=package)
    )
    config = tmp_path / "config.yaml"

    def loaded(text: str = "", environ: Mapping[str, str] = {}, **cli: object) -> LoadedSettings:
        config.write_text(text)
        return load_settings(
            cli=cli, environ=environ, config_path=config, user_config=tmp_path / "no", cwd=tmp_path
        )

    return loaded


def names(loaded: LoadedSettings) -> list[str]:
    return [one.name for one in planned_stages(loaded.settings, loaded.catalogue)]


def test_the_workflow_as_it_is(load: Load) -> None:
    assert names(load()) == ["demux", "asr", "hallucination", "subtitles"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("add_stages: [mux]", "demux asr hallucination subtitles mux"),
        ("add_stages: [mux, vad]", "demux vad asr hallucination subtitles mux"),
        ("add_stages: [alignment]", "demux asr alignment hallucination subtitles"),
        ("add_stages: [karaoke, mux]", "demux asr hallucination subtitles mux karaoke"),
        ("add_stages: [asr]", "demux asr hallucination subtitles"),
        ("drop_stages: [hallucination, vad]", "demux asr subtitles"),
        ("engines: {asr: loud}", "demux asr-loud hallucination subtitles"),
        ("translate_to: [pt]", "demux asr hallucination subtitles translation.pt"),
        (
            "translate_to: [Portuguese, fra]\nadd_stages: [mux]",
            "demux asr hallucination subtitles translation.pt translation.fr mux",
        ),
        (
            "workflow: translate\ntranslate_to: [pt]",
            "demux asr hallucination subtitles translation.pt",
        ),
        (
            "workflow: translate\nstages: {translation: {targets: [deu]}}",
            "demux asr hallucination subtitles translation.de",
        ),
        (
            "translate_to: [pt]\nstages: {translation: {targets: [de]}}",
            "demux asr hallucination subtitles translation.de",
        ),
        (
            "workflows: {sing: [asr, karaoke, demux, subtitles]}\nworkflow: sing",
            "demux asr subtitles karaoke",
        ),
    ],
)
def test_what_the_settings_make_of_it(load: Load, text: str, expected: str) -> None:
    assert names(load(text)) == expected.split()


def test_alignment_is_refined_further(load: Load) -> None:
    loaded = load("add_stages: [alignment]")
    made = {one.name: one.inputs for one in planned_stages(loaded.settings, loaded.catalogue)}
    assert made["hallucination"][0].stage == "alignment"
    assert made["subtitles"][0].stage == "hallucination"


def test_the_command_line_and_variables_say_it_too(load: Load) -> None:
    assert "mux" in names(load(add_stages="mux,vad"))
    loaded = load(environ={"BATCH_SUBTITLES_ENGINES__ASR": "loud"})
    assert "asr-loud" in names(loaded)
    assert loaded.sources["engines.asr"] == "environment BATCH_SUBTITLES_ENGINES__ASR"


def test_a_variable_names_a_stage_with_a_hyphen(load: Load) -> None:
    with pytest.raises(Failure) as caught:
        load(environ={"BATCH_SUBTITLES_STAGES__ASR_LOUD__BEAM": "1"})
    assert "stages.asr-loud.beam (environment" in caught.value.info.message


@pytest.mark.parametrize(
    ("text", "key", "message"),
    [
        ("add_stages: [muxx]", "add_stages[0]", "unknown stage 'muxx'; did you mean 'mux'?"),
        ("drop_stages: [vat]", "drop_stages[0]", "unknown stage 'vat'; did you mean 'vad'?"),
        ("engines: {asr: lout}", "engines", "unknown engine of 'asr' 'lout'; did you mean 'loud'?"),
        ("engines: {asrr: x}", "engines", "unknown stage 'asrr'; did you mean"),
        ("drop_stages: [asr]", "drop_stages", "'hallucination' needs 'transcript', which no stage"),
        ("add_stages: [asr-loud]", "add_stages", "'transcript' is made by both"),
        ("translate_to: [klingonian]", "translate_to[0]", "'klingonian' is not a language"),
        (
            "workflows: {sing: [karaoke]}\nworkflow: sing",
            "workflows.sing",
            "'karaoke' needs 'cues', which no stage of the workflow makes",
        ),
    ],
)
def test_what_cannot_run_is_refused_with_the_place(
    load: Load, text: str, key: str, message: str
) -> None:
    with pytest.raises(Failure) as caught:
        load(f"# settings\n{text}")
    assert caught.value.info.code == "invalid_settings"
    [line] = caught.value.info.message.splitlines()
    assert line.startswith(f"{key} (")
    assert f"config.yaml:2): {message}" in line


def test_nothing_to_translate_into_is_told(load: Load) -> None:
    loaded = load("workflow: translate")
    with pytest.raises(Failure) as caught:
        names(loaded)
    assert caught.value.info.code == "no_targets"
    assert caught.value.info.hint == "Set translate_to to the languages wanted, such as [en, pt]."
    loaded = load("workflow: translate\ndrop_stages: [translation]")
    assert names(loaded) == ["demux", "asr", "hallucination", "subtitles"]


def test_values_of_a_stage_of_ones_own(load: Load) -> None:
    loaded = load("add_stages: [dubbing]\nstages: {dubbing: {voices: [low, high]}}")
    assert names(loaded)[-2:] == ["dubbing.low", "dubbing.high"]
    with pytest.raises(Failure, match="the stage 'dubbing' of the workflow") as caught:
        names(load("add_stages: [dubbing]"))
    assert caught.value.info.hint.startswith("Set stages.dubbing.voices, or leave the stage out")
    loaded = load("add_stages: [dubbing]")
    looked_at = planned_stages(loaded.settings, loaded.catalogue, stand_in="VOICE")
    assert looked_at[-1].name == "dubbing.VOICE"


def test_without_a_catalogue_names_are_taken_as_they_are() -> None:
    settings = Settings(add_stages=("anything",), engines={"asr": "x"})
    assert (settings.add_stages, dict(settings.engines)) == (("anything",), {"asr": "x"})
