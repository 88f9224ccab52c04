"""Reading stage and environment folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.catalogue import Limits, OutputSpec, Resources, SettingSpec, load_catalogue
from orchestrator.contract.errors import ErrorClass, Failure

MINIMAL = {
    "name": "cut",
    "version": 1,
    "environment": "media",
    "inputs": ["media"],
    "outputs": {"audio": {"file": "audio.wav"}},
}


def add_stage(root: Path, folder: str = "cut", **changes: Any) -> Path:
    path = root / "stages" / folder
    path.mkdir(parents=True)
    (path / "stage.py").touch()
    data = {**MINIMAL, "name": folder, **changes}
    data = {key: value for key, value in data.items() if value is not ...}
    (path / "stage.json").write_text(json.dumps(data), encoding="utf-8")
    return path


def add_environment(root: Path, folder: str = "media", **changes: Any) -> Path:
    path = root / "environments" / folder
    path.mkdir(parents=True)
    (path / "requirements.in").touch()
    data = {"imports": ["av"], **changes}
    (path / "environment.json").write_text(json.dumps(data), encoding="utf-8")
    return path


@pytest.fixture
def package(tmp_path: Path) -> Path:
    root = tmp_path / "package"
    add_environment(root)
    return root


def refusal(package: Path, *stage_paths: Path) -> list[str]:
    """The lines of the refusal, without the folder they all start with."""
    with pytest.raises(Failure) as caught:
        load_catalogue(stage_paths, package=package)
    assert caught.value.info.code == "invalid_catalogue"
    assert caught.value.info.error_class is ErrorClass.INPUT
    assert caught.value.info.hint
    return [
        line.replace(f"{package.parent}/", "") for line in caught.value.info.message.splitlines()
    ]


def test_reads_every_field_of_a_stage(package: Path) -> None:
    folder = add_stage(
        package,
        title="Cut",
        uses=["clip"],
        outputs={
            "audio": {"file": "audio.wav", "large": True},
            "srt": {"file": "s.srt", "publish": "srt"},
        },
        settings={
            "model": {"type": "str", "default": "auto", "auto": True, "load": True},
            "beam": {"type": "int", "default": 5, "min": 1, "max": 9, "help": "Width."},
            "words": {"type": "list[str]", "default": ["a"], "in_key": False},
            "mode": {"type": "str", "default": "fast", "choices": ["fast", "slow"]},
            "track": {"type": "int", "default": None},
        },
        model_setting="model",
        resources={"cpu_threads": 2, "ram_mb": 10, "vram_mb": 3},
        limits={"stall_seconds": 5, "grace_seconds": 1.5},
    )
    stage = load_catalogue([], package=package).stages["cut"]
    assert (stage.title, stage.version, stage.folder) == ("Cut", 1, folder)
    assert (stage.environment, stage.inputs, stage.uses) == ("media", ("media",), ("clip",))
    assert dict(stage.outputs) == {
        "audio": OutputSpec("audio", "audio.wav", large=True),
        "srt": OutputSpec("srt", "s.srt", publish="srt"),
    }
    assert dict(stage.settings) == {
        "model": SettingSpec("model", "str", "auto", auto=True, load=True),
        "beam": SettingSpec("beam", "int", 5, minimum=1, maximum=9, help="Width."),
        "words": SettingSpec("words", "list[str]", ("a",), in_key=False),
        "mode": SettingSpec("mode", "str", "fast", choices=("fast", "slow")),
        "track": SettingSpec("track", "int", None),
    }
    assert stage.model_setting == "model"
    assert stage.resources == Resources(2, 10, 3)
    assert stage.limits == Limits(5.0, 1.5)


def test_reads_what_places_a_stage_in_the_graph(package: Path) -> None:
    add_stage(
        package,
        "tell-whisper",
        role="tell",
        engine="whisper",
        inputs=["cues", "srt.*"],
        optional_inputs=["speech"],
        for_each="targets",
        outputs={"film": {"file": "f", "publish": "mkv", "suffix": "subtitled", "optional": True}},
        settings={
            "targets": {"type": "list[str]", "default": []},
            "target": {"type": "str", "default": None},
            "models": {"type": "list[str]", "default": ["a"]},
        },
        model_setting="models",
    )
    stage = load_catalogue([], package=package).stages["tell-whisper"]
    assert (stage.role, stage.engine, stage.part) == ("tell", "whisper", "tell")
    assert (stage.inputs, stage.optional_inputs) == (("cues", "srt.*"), ("speech",))
    assert (stage.for_each, stage.each_setting) == ("targets", "target")
    assert stage.outputs["film"] == OutputSpec(
        "film", "f", publish="mkv", suffix="subtitled", optional=True
    )
    assert load_catalogue([], package=package).parts() == {"tell", "tell-whisper"}


def test_the_stages_of_a_role_have_engines_of_their_own(package: Path) -> None:
    add_stage(package, "asr")
    add_stage(package, "asr_a", role="asr", engine="a")
    add_stage(package, "asr_b", role="asr", engine="b")
    assert {one.name for one in load_catalogue([], package=package).playing("asr")} == {
        *("asr", "asr_a", "asr_b")
    }
    add_stage(package, "asr_c", role="asr", engine="a")
    [line] = refusal(package)
    assert line.startswith("package/stages/asr_c/stage.json: engine: package/stages/asr_a has the")


def test_what_a_stage_may_leave_out(package: Path) -> None:
    add_stage(package)
    stage = load_catalogue([], package=package).stages["cut"]
    assert (stage.title, stage.model_setting, stage.uses) == ("cut", None, ())
    assert (stage.part, stage.engine, stage.optional_inputs) == ("cut", None, ())
    assert (stage.for_each, stage.each_setting) == (None, None)
    assert (stage.resources, stage.limits) == (Resources(), Limits())
    assert not stage.settings


def test_a_stage_that_answers_questions_has_no_outputs(package: Path) -> None:
    add_stage(package, outputs={})
    assert not load_catalogue([], package=package).stages["cut"].outputs


def test_reads_every_field_of_an_environment(tmp_path: Path) -> None:
    folder = add_environment(
        tmp_path, "asr", python=">=3.11, <3.14", torch=True, variants={"cuda": "cuda.in"}
    )
    (folder / "cuda.in").touch()
    environment = load_catalogue([], package=tmp_path).environments["asr"]
    assert (environment.name, environment.folder) == ("asr", folder)
    assert environment.imports == ("av",)
    assert (environment.python, environment.torch) == (">=3.11, <3.14", True)
    assert dict(environment.variants) == {"cuda": "cuda.in"}


def test_extra_folders_are_read_like_our_own(package: Path, tmp_path: Path) -> None:
    add_stage(package, outputs={"srt": {"file": "a.srt", "publish": "srt"}})
    extra = tmp_path / "extra"
    add_stage(extra, "mine", environment="own", outputs={"t": {"file": "t", "publish": "lrc"}})
    add_environment(extra, "own")
    catalogue = load_catalogue([extra], package=package)
    assert list(catalogue.stages) == ["cut", "mine"]
    assert list(catalogue.environments) == ["media", "own"]
    assert catalogue.published() == {"srt", "lrc"}


def test_leftover_and_hidden_folders_are_passed_over(package: Path) -> None:
    add_stage(package, "_shared", name="broken on purpose")
    add_stage(package, ".git")
    (package / "stages" / "leftover" / "__pycache__").mkdir(parents=True)
    (package / "stages" / "notes.txt").touch()
    assert not load_catalogue([], package=package).stages


def test_a_path_without_folders_is_refused(package: Path, tmp_path: Path) -> None:
    assert refusal(package, tmp_path / "nowhere") == [
        "nowhere: holds neither a stages nor an environments folder: correct stage_paths"
    ]


def test_a_name_may_stand_once(package: Path, tmp_path: Path) -> None:
    add_stage(package)
    extra = tmp_path / "extra"
    add_stage(extra)
    add_environment(extra)
    assert refusal(package, extra) == [
        f"extra/{kind}: the name {name!r} is taken by package/{kind}: rename this folder"
        for kind, name in (("environments/media", "media"), ("stages/cut", "cut"))
    ]


def test_a_stage_needs_a_known_environment(package: Path) -> None:
    add_stage(package, environment="meda")
    assert refusal(package) == [
        "package/stages/cut/stage.json: environment: "
        "unknown environment 'meda'; did you mean 'media'?"
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "line 1 is not valid JSON: Expecting property name enclosed in double quotes"),
        ("[]", "must hold a JSON object, {...}"),
        ('{"name": "a", "name": "b"}', "is not valid: the key 'name' stands there twice"),
    ],
)
def test_what_is_no_declaration_at_all(package: Path, text: str, message: str) -> None:
    (add_stage(package) / "stage.json").write_text(text, encoding="utf-8")
    (package / "environments" / "media" / "environment.json").write_text(text, encoding="utf-8")
    assert refusal(package) == [
        f"package/environments/media/environment.json: {message}",
        f"package/stages/cut/stage.json: {message}",
    ]


def test_bytes_that_are_no_text(package: Path) -> None:
    (add_stage(package) / "stage.json").write_bytes(b"\xff")
    assert "is not valid: 'utf-8' codec" in refusal(package)[0]


def test_files_that_are_missing(package: Path) -> None:
    (add_stage(package, "one") / "stage.py").unlink()
    (add_stage(package, "two") / "stage.json").unlink()
    (package / "environments" / "media" / "requirements.in").unlink()
    assert refusal(package) == [
        "package/environments/media/environment.json: package/environments/media has no "
        "requirements.in: add it, one requirement a line",
        "package/stages/one/stage.json: package/stages/one has no stage.py: "
        "add it, with its run function",
        "package/stages/two/stage.json: cannot be read: No such file or directory",
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"environment": "A b"},
            "environment: must be lower-case letters, digits, _ and -, got 'A b'",
        ),
        ({"name": "cat"}, "name: must be the folder's name, 'cut'"),
        ({"name": ...}, 'name: is missing; add it, as "text"'),
        ({"title": " "}, "title: must be text that is not empty, got ' '"),
        ({"version": 0}, "version: must be a whole number of at least 1, got 0"),
        ({"version": True}, "version: must be a whole number of at least 1, got True"),
        ({"version": ...}, "version: is missing; add it, as a whole number"),
        ({"inputs": ...}, 'inputs: is missing; add it, as a list ["a", "b"]'),
        ({"inputs": [1]}, "inputs: must be a list of texts, got [1]"),
        ({"inputs": "media"}, "inputs: must be a list of texts, got 'media'"),
        ({"inputs": ["a", "a"]}, "inputs: names the same thing twice: ['a', 'a']"),
        ({"uses": ["languages"]}, "uses: unknown fact of a job 'languages'; did you mean"),
        ({"outputs": ...}, "outputs: is missing; add it, as an object {...}"),
        ({"limits": []}, "limits: must be an object {...}, got []"),
        ({"settings": {"a": 1}}, "settings.a: must be an object {...}, got 1"),
        ({"outputs": {"A": {"file": "a"}}}, "outputs.A: the name must be lower-case"),
        ({"outputs": {"media": {"file": "a"}}}, "outputs.media: is the source file's name"),
        ({"outputs": {"a": {"file": "../x"}}}, "outputs.a.file: must be a plain file name"),
        ({"outputs": {"a": {"file": "a", "large": 1}}}, "outputs.a.large: must be true or false"),
        ({"outputs": {"a": {"file": "f"}, "b": {"file": "f"}}}, "outputs: two outputs have the"),
        ({"setings": {}}, "setings: unknown key 'setings'; did you mean 'settings'?"),
        ({"model_setting": "model"}, "model_setting: unknown setting 'model'"),
        (
            {"model_setting": "n", "settings": {"n": {"type": "int", "default": 1}}},
            "model_setting: the setting 'n' must be of type str",
        ),
        ({"role": "cutter"}, "engine: is missing: add what sets it apart from other 'cutter'"),
        ({"inputs": ["audio.*"]}, "inputs: 'audio.*' would collect the stage's own output"),
        ({"inputs": ["srt.pt"]}, "inputs: must be names of artefacts, or like srt.*, got"),
        ({"optional_inputs": ["media"]}, "optional_inputs: 'media' is among the inputs already"),
        (
            {"outputs": {"a": {"file": "a", "suffix": "new"}}},
            "outputs.a.suffix: is only for an output that is published",
        ),
        ({"needs_model": True}, "needs_model: is only for a stage with a model_setting"),
        ({"for_each": "targets"}, "for_each: unknown setting 'targets'"),
        (
            {"for_each": "n", "settings": {"n": {"type": "int", "default": 1}}},
            "for_each: must be a setting of type list[str] whose name ends with s",
        ),
        (
            {"for_each": "targets", "settings": {"targets": {"type": "list[str]", "default": []}}},
            "for_each: wants a setting 'target' of type str with the default null",
        ),
        ({"resources": {"ram": 1}}, "resources.ram: unknown key 'ram'; did you mean 'ram_mb'?"),
        ({"resources": {"cpu_threads": 0}}, "resources.cpu_threads: must be a whole number of at"),
        ({"limits": {"stall_seconds": 0}}, "limits.stall_seconds: must be more than 0 seconds"),
        ({"limits": {"stall_seconds": "5"}}, "limits.stall_seconds: must be a number, got '5'"),
    ],
)
def test_what_is_wrong_with_a_stage(package: Path, changes: dict[str, Any], message: str) -> None:
    add_stage(package, **changes)
    [line] = refusal(package)
    assert line.startswith(f"package/stages/cut/stage.json: {message}")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"default": 1}, 'type: is missing; add it, as "text"'),
        ({"type": "integer", "default": 1}, "type: unknown type 'integer'; did you mean 'int'?"),
        ({"type": "int"}, "default: is missing"),
        ({"type": "int", "default": "5"}, "default: must be of type int, got '5'"),
        ({"type": "int", "default": True}, "default: must be of type int, got True"),
        ({"type": "bool", "default": 1}, "default: must be of type bool, got 1"),
        ({"type": "int", "default": "auto"}, "default: must be of type int, got 'auto'"),
        ({"type": "str", "default": ["a"]}, "default: must be of type str, got ['a']"),
        ({"type": "list[str]", "default": [1]}, "default: must be of type list[str], got [1]"),
        ({"type": "int", "default": 0, "min": 1}, "default: must lie between min and max, got 0"),
        ({"type": "float", "default": 3, "max": 2}, "default: must lie between min and max, got 3"),
        ({"type": "str", "default": "c", "choices": ["a", "b"]}, "default: must be one of a, b"),
        ({"type": "str", "default": "c", "choices": []}, "choices: must be a list of values"),
        ({"type": "str", "default": "c", "min": 1}, "min: is only for types int and float"),
        ({"type": "int", "default": 1, "min": "0"}, "min: must be a number, got '0'"),
        ({"type": "int", "default": 1, "in_key": "no"}, "in_key: must be true or false, got 'no'"),
        ({"type": "int", "default": 1, "inkey": False}, "inkey: unknown key 'inkey'; did you mean"),
    ],
)
def test_what_is_wrong_with_a_setting(package: Path, setting: dict[str, Any], message: str) -> None:
    add_stage(package, settings={"x": setting})
    [line] = refusal(package)
    assert line.startswith(f"package/stages/cut/stage.json: settings.x.{message}")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"python": "3.11+"}, "python: must be like \">=3.11,<3.14\", got '3.11+'"),
        ({"variants": {"cuda": "no.in"}}, "variants.cuda: there is no file 'no.in' in"),
        ({"variants": {"cuda": 1}}, "variants.cuda: must be text that is not empty, got 1"),
        ({"imports": "av"}, "imports: must be a list of texts, got 'av'"),
        ({"name": "media"}, "name: unknown key 'name'"),
    ],
)
def test_what_is_wrong_with_an_environment(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    package = tmp_path / "package"
    add_environment(package, **changes)
    [line] = refusal(package)
    assert line.startswith(f"package/environments/media/environment.json: {message}")


def test_all_problems_come_at_once(package: Path) -> None:
    add_stage(package, "one", version="1", colour="red")
    add_stage(package, "two", inputs=3)
    assert len(refusal(package)) == 3
