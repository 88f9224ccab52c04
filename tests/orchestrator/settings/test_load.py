"""Layers, and every problem at once."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import platformdirs
import pytest

from orchestrator.catalogue import load_catalogue
from orchestrator.contract.errors import ErrorClass, Failure
from orchestrator.settings import (
    LoadedSettings,
    Settings,
    load_settings,
    parse_assignments,
    work_folder,
)
from orchestrator.settings.schema import DEFAULT_WORKFLOWS

SPOKEN: Mapping[str, Any] = {
    "model": {"type": "str", "default": "auto", "auto": True},
    "beam": {"type": "int", "default": 5, "min": 1, "max": 9},
    "temperature": {"type": "float", "default": 0.5},
    "batch": {"type": "int", "default": "auto", "auto": True},
    "mode": {"type": "str", "default": "fast", "choices": ["fast", "slow"]},
    "sounds": {"type": "list[str]", "default": [], "choices": ["music", "noise"]},
    "words": {"type": "list[str]", "default": ["a"]},
    "copy": {"type": "bool", "default": True},
    "track": {"type": "int", "default": None},
}


class World:
    """A folder with a plug-in stage, a configuration file and nothing of this machine."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.config = root / "config" / "settings.yaml"
        self.user = root / "user.yaml"
        self.config.parent.mkdir()
        stage = root / "plug" / "stages" / "speak"
        stage.mkdir(parents=True)
        (stage / "stage.py").touch()
        (stage / "stage.json").write_text(
            json.dumps(
                {
                    "name": "speak",
                    "version": 1,
                    "environment": "voice",
                    "inputs": ["media"],
                    "outputs": {"lrc": {"file": "out.lrc", "publish": "lrc"}},
                    "settings": SPOKEN,
                    "model_setting": "model",
                }
            )
        )
        environment = root / "plug" / "environments" / "voice"
        environment.mkdir(parents=True)
        (environment / "requirements.in").touch()
        (environment / "environment.json").write_text('{"imports": []}')

    def load(self, config: str = "", user: str = "", **layers: Any) -> LoadedSettings:
        """Load ``config`` and ``user``; ``layers`` may hold ``cli`` and ``environ``."""
        self.config.write_text(f"stage_paths: [../plug]\n{config}", encoding="utf-8")
        self.user.write_text(user, encoding="utf-8")
        given: dict[str, Any] = {"cli": {}, "environ": {}, "config_path": self.config, **layers}
        return load_settings(user_config=self.user, cwd=self.root, **given)

    def problems(self, config: str = "", user: str = "", **layers: Any) -> list[str]:
        with pytest.raises(Failure) as caught:
            self.load(config, user, **layers)
        assert caught.value.info.code == "invalid_settings"
        assert caught.value.info.error_class is ErrorClass.INPUT
        message = caught.value.info.message.replace(str(self.config), "settings.yaml")
        return message.replace(f"{self.root}/", "").splitlines()


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    only_plugs = partial(load_catalogue, package=tmp_path / "package")
    monkeypatch.setattr("orchestrator.settings.load.load_catalogue", only_plugs)
    return World(tmp_path)


def test_each_layer_wins_over_the_ones_below(world: World) -> None:
    loaded = world.load(
        config="cpu_threshold: 30\nmemory_threshold: 30\nvram_threshold: 30",
        user="cpu_threshold: 40\nmemory_threshold: 40\nvram_threshold: 40\nmax_workers: 4",
        environ={
            "BATCH_SUBTITLES_CPU_THRESHOLD": "20",
            "BATCH_SUBTITLES_MEMORY_THRESHOLD": "20.5",
            "PATH": "/bin",
        },
        cli={"cpu_threshold": 10, "keep": None},
    )
    settings, sources = loaded.settings, loaded.sources
    assert (settings.cpu_threshold, sources["cpu_threshold"]) == (10, "command line")
    assert settings.memory_threshold == 20.5
    assert sources["memory_threshold"] == "environment BATCH_SUBTITLES_MEMORY_THRESHOLD"
    assert (settings.vram_threshold, sources["vram_threshold"]) == (30, str(world.config))
    assert (settings.max_workers, sources["max_workers"]) == (4, str(world.user))
    assert (settings.keep, sources["keep"]) == ("small", "default")


def test_stages_and_workflows_merge_key_by_key(world: World) -> None:
    loaded = world.load(
        config="workflows: {karaoke: [speak]}\nstages: {speak: {beam: 2, mode: slow}}",
        user="stages: {speak: {beam: 3, words: [x]}}",
        environ={"BATCH_SUBTITLES_STAGES__SPEAK__BEAM": "7"},
        cli={"stages.speak.batch": "4", "workflow": "karaoke"},
    )
    assert dict(loaded.settings.stages["speak"]) == {
        "model": "auto",
        "beam": 7,
        "temperature": 0.5,
        "batch": 4,
        "mode": "slow",
        "sounds": (),
        "words": ("x",),
        "copy": True,
        "track": None,
    }
    assert loaded.settings.workflow == "karaoke"
    assert set(loaded.settings.workflows) == {*DEFAULT_WORKFLOWS, "karaoke"}
    assert loaded.sources["stages.speak.words"] == str(world.user)
    assert loaded.sources["stages.speak.copy"] == "default"
    assert loaded.sources["workflows.karaoke"] == str(world.config)
    assert loaded.catalogue.stages["speak"].environment == "voice"


@pytest.mark.parametrize(
    "config", ["", "stages:", "stages:\n  speak:\n    # beam: 5\n", "stages: {}"]
)
def test_sections_with_every_line_commented_out(world: World, config: str) -> None:
    loaded = world.load(config, user="stages: {speak: {beam: 3}}")
    assert loaded.settings.stages["speak"]["beam"] == 3


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("max_workers", " 2 ", 2),
        ("cpu_threshold", "50", 50.0),
        ("allow_downloads", "false", False),
        ("include", "a/*, b", ("a/*", "b")),
        ("include", "", ()),
        ("formats", "lrc", ("lrc",)),
        ("language", "no", "no"),
        ("language", "eng", "en"),
        ("language", "AUTO", None),
        ("extensions", "MKV,.mp4,*.ts", ("mkv", "mp4", "ts")),
        ("input_dir", "", None),
        ("torch_backend", "cu128", "cu128"),
        ("device", "cuda:1", "cuda:1"),
    ],
)
def test_text_is_read_by_the_type_of_its_key(
    world: World, key: str, text: str, value: object
) -> None:
    variable = f"BATCH_SUBTITLES_{key.upper()}"
    for loaded in (world.load(cli={key: text}), world.load(environ={variable: text})):
        assert getattr(loaded.settings, key) == value


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("model", "no", "no"),
        ("model", "5", "5"),
        ("words", "a,no", ("a", "no")),
        ("copy", "False", False),
        ("temperature", "1", 1.0),
        ("batch", "auto", "auto"),
        ("batch", "3", 3),
        ("track", "null", None),
        ("track", "2", 2),
        ("sounds", "music", ("music",)),
    ],
)
def test_text_is_read_by_the_type_of_its_setting(
    world: World, name: str, text: str, value: object
) -> None:
    variable = f"BATCH_SUBTITLES_STAGES__SPEAK__{name.upper()}"
    cli = {f"stages.speak.{name}": text}
    for loaded in (world.load(cli=cli), world.load(environ={variable: text})):
        assert loaded.settings.stages["speak"][name] == value


def test_lists_from_the_command_line(world: World) -> None:
    assert world.load(cli={"include": ["a,b", "c"]}).settings.include == ("a,b", "c")


def test_workflows_from_the_environment(world: World) -> None:
    environ = {"BATCH_SUBTITLES_WORKFLOWS__MY_FLOW": "speak"}
    assert world.load(environ=environ).settings.workflows["my-flow"] == ("speak",)


def test_our_own_marks_in_the_environment_are_no_settings(world: World) -> None:
    world.load(environ={"BATCH_SUBTITLES_RUN_ID": "r1", "BATCH_SUBTITLES_CONFIG": "unused.yaml"})


def test_relative_paths_count_from_where_they_are_written(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("USERPROFILE", "/home/me")
    loaded = world.load(
        config="input_dir: films\noutput_dir: ~/subs\nstages: {speak: {model: ./m}}",
        user="work_dir: work",
    )
    folder = world.config.parent
    assert loaded.settings.input_dir == folder / "films"
    assert loaded.settings.output_dir == Path("/home/me/subs")
    assert loaded.settings.work_dir == world.root / "work"
    assert loaded.settings.stages["speak"]["model"] == str(folder / "m")
    assert loaded.settings.stage_paths == (folder / "../plug",)
    environ = {"BATCH_SUBTITLES_INPUT_DIR": "films", "BATCH_SUBTITLES_STAGES__SPEAK__MODEL": "./m"}
    cli = {"input_dir": "films", "stages.speak.model": "./m"}
    for loaded in (world.load(cli=cli), world.load(environ=environ)):
        assert loaded.settings.input_dir == world.root / "films"
        assert loaded.settings.stages["speak"]["model"] == str(world.root / "m")


def test_a_home_that_nobody_has_stays_as_written(world: World) -> None:
    settings = world.load(cli={"input_dir": "~nobody-here/x"}).settings
    assert settings.input_dir == world.root / "~nobody-here/x"


def test_the_file_may_be_named_by_the_environment(world: World) -> None:
    other = world.root / "other.yaml"
    other.write_text("max_workers: 3")
    loaded = world.load(config_path=None, environ={"BATCH_SUBTITLES_CONFIG": "other.yaml"})
    assert loaded.settings.max_workers == 3
    assert loaded.sources["max_workers"] == str(other)


def test_a_named_file_must_be_there(world: World) -> None:
    missing = world.root / "gone.yaml"
    assert world.problems(config_path=missing, cli={"max_workers": 0}) == [
        "gone.yaml (--config): does not exist; correct the path",
        "max_workers (command line): must be at least 1, got 0",
    ]
    environ = {"BATCH_SUBTITLES_CONFIG": "plug"}
    assert world.problems(config_path=None, environ=environ) == [
        "plug (environment BATCH_SUBTITLES_CONFIG): is not a file; correct the path"
    ]


def test_the_places_of_files_that_nobody_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platformdirs, "user_config_path", lambda *_, **__: tmp_path / "home")
    monkeypatch.setattr("orchestrator.settings.load._CHECKOUT", tmp_path / "checkout")
    for folder in ("home", "checkout"):
        (tmp_path / folder).mkdir()
    (tmp_path / "home" / "config.yaml").write_text("max_workers: 2\nkeep: all")
    (tmp_path / "checkout" / "config.yaml").write_text("max_workers: 3")
    installed = load_settings(cli={}, environ={})
    assert (installed.settings.max_workers, installed.settings.keep) == (2, "all")
    (tmp_path / "checkout" / "pyproject.toml").touch()
    checkout = load_settings(cli={}, environ={})
    assert (checkout.settings.max_workers, checkout.settings.keep) == (3, "all")


def test_every_problem_comes_at_once(world: World) -> None:
    config = """\
max_worker: 3
cpu_threshold: 120
language: qqq
stages:
  speak:
    bean: 2
    beam: 99
    mode: sloww
    sounds: [musik]
    words: [1]
  speek: {}
workflows:
  My Flow: [speak]
  flow: [speak, speek]
formats: [lrd]
mode: slow
keep: smal
"""
    environ = {
        "BATCH_SUBTITLES_LOG_LEVL": "info",
        "BATCH_SUBTITLES_ALLOW_DOWNLOADS": "no",
        "BATCH_SUBTITLES_STAGES__SPEAK__BATCH": "many",
    }
    cli = {"settle_seconds": "soon", "device": "gpu"}
    assert sorted(world.problems(config, "max_workers: [", environ=environ, cli=cli)) == sorted(
        [
            "user.yaml:1: while parsing a flow node expected the node content, "
            "but found '<stream end>'",
            "max_worker (settings.yaml:2): unknown key; did you mean 'max_workers'?",
            "cpu_threshold (settings.yaml:3): must be at most 100, got 120",
            "language (settings.yaml:4): 'qqq' is not a language; use auto, a code such as en "
            "or deu, or an English name",
            "stages.speak.bean (settings.yaml:7): unknown key; did you mean 'beam'?",
            "stages.speak.beam (settings.yaml:8): must be at most 9, got 99",
            "stages.speak.mode (settings.yaml:9): unknown value 'sloww'; did you mean 'slow'?",
            "stages.speak.sounds (settings.yaml:10): unknown value 'musik'; did you mean 'music'?",
            "stages.speak.words[0] (settings.yaml:11): must be text (put it in quotes), got 1",
            "stages.speek (settings.yaml:12): unknown key; did you mean 'speak'?",
            "workflows.My Flow (settings.yaml:14): 'My Flow' must be lower-case words joined by "
            "hyphens",
            "workflows.flow (settings.yaml:15): unknown stage 'speek'; did you mean 'speak'?. "
            "Correct the name, or add the folder that holds this stage to stage_paths.",
            "formats[0] (settings.yaml:16): unknown format 'lrd'; did you mean 'lrc'?",
            "mode (settings.yaml:17): unknown key; did you mean stages.speak.mode?",
            "keep (settings.yaml:18): must be small or all, got 'smal'; did you mean 'small'?",
            "log_levl (environment BATCH_SUBTITLES_LOG_LEVL): unknown key; "
            "did you mean 'log_level'?",
            "allow_downloads (environment BATCH_SUBTITLES_ALLOW_DOWNLOADS): "
            "must be true or false, got 'no'",
            "stages.speak.batch (environment BATCH_SUBTITLES_STAGES__SPEAK__BATCH): "
            "must be a whole number, got 'many'",
            "settle_seconds (command line): must be a number, got 'soon'",
            "device (command line): must be auto, cpu, cuda or cuda:1, got 'gpu'",
        ]
    )


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ("workflow: subtitel-gen", "workflow: unknown workflow 'subtitel-gen'; did you mean"),
        ("workflow: 1", "workflow: must be text (put it in quotes), got 1"),
        ("workflows: {x: speak}", "workflows.x: must be a list, like [a, b], got 'speak'"),
        ("workflows: {x: }", "workflows.x: must be a list, like [a, b], got nothing (null)"),
        ("workflows: {x: []}", "workflows.x: the workflow has no stages. Name at least one"),
        ("workflows: 3", "workflows: must be a section of keys, got 3"),
        ("stages: 3", "stages: must be a section of keys, got 3"),
        ("stages: {speak: [1]}", "stages.speak: must be a section of keys, got [1]"),
        ("stages: {speak: {temperature: .inf}}", "stages.speak.temperature: must be a finite"),
        ("stages: {speak: {temperature: no}}", "stages.speak.temperature: must be a number, got"),
        ("stages: {speak: {batch: 2.5}}", "stages.speak.batch: must be a whole number, got 2.5"),
        ("stages: {speak: {batch: }}", "stages.speak.batch: must be a whole number, got nothing"),
        ("stages: {speak: {beam: auto}}", "stages.speak.beam: must be a whole number, got 'auto'"),
        ("stages: {speak: {copy: 1}}", "stages.speak.copy: must be true or false, got 1"),
        ("stages: {speak: {zzzz: 1}}", "stages.speak.zzzz: unknown key; stages.speak has: batch"),
        ("stages: {beam: 1}", "stages.beam: unknown key; did you mean stages.speak.beam?"),
        ("zzzz: 1", "zzzz: unknown key; docs/settings.md lists the keys"),
        ("language: 5", "language: must be text (put it in quotes), got 5"),
        ("formats: []", "formats: must name at least one, got []"),
        ("formats: lrc", "formats: must be a list, like [a, b], got 'lrc'"),
        ("include: ['!']", "include[0]: '!' is not a gitignore pattern"),
        ("exclude: [1]", "exclude[0]: must be text (put it in quotes), got 1"),
        ("extensions: [tar.gz]", "extensions[0]: 'tar.gz' is not a file extension"),
        ("extensions: ['']", "extensions[0]: '' is not a file extension; write it like mkv"),
        ("input_dir: 5", "input_dir: must be a path, got 5"),
        (
            "input_dir: smb://me:word@nas/films",
            "input_dir: must be a path, not an address (mount the share, and name where it is "
            "mounted), got 'smb://***@nas/films'",
        ),
        (
            "hub_token_file: hf_0123456789abcdefghij",
            "hub_token_file: must name a file, and not be the token: write the token into a file "
            "that only you may read, and name that",
        ),
        ("max_workers: true", "max_workers: must be a whole number, got true"),
        ("max_workers: 65", "max_workers: must be at most 64, got 65"),
        ("throttle_delay: 0", "throttle_delay: must be more than 0, got 0"),
        ("drain_seconds: -1", "drain_seconds: must be at least 0, got -1"),
        ("torch_backend: cuda", "torch_backend: must be auto, cpu, xpu, cu128 or rocm6.4, got"),
        ("environment_profile: ../x", "environment_profile: must be the name of a folder, a-z"),
        ("log_level: INFO", "log_level: must be debug or info or warning or error, got 'INFO'; di"),
        (f"keep: {'x' * 100}", f"keep: must be small or all, got '{'x' * 59}…"),
        ("1: x", '1: a key must be text: put it in "quotes"'),
        ("stages: {speak: {true: 1}}", "stages.speak.True: a key must be text"),
    ],
)
def test_what_is_refused(world: World, config: str, problem: str) -> None:
    [line] = world.problems(config)
    assert re.sub(r" \(settings.yaml[:2]*\)", "", line).startswith(problem)


def test_a_number_too_long_to_be_one(world: World) -> None:
    [line] = world.problems(cli={"max_workers": "9" * 5000})
    assert line.startswith("max_workers (command line): must be a whole number, got '999")


def test_stage_paths_of_a_wrong_type(world: World) -> None:
    cli = {"stage_paths": [3]}
    assert world.problems(cli=cli) == ["stage_paths[0] (command line): must be a path, got 3"]
    assert world.problems(environ={"BATCH_SUBTITLES_STAGE_PATHS__X": "1"}) == [
        "stage_paths (environment BATCH_SUBTITLES_STAGE_PATHS__X): "
        "must be a list, like [a, b], got {'x': '1'}"
    ]


def test_a_broken_stage_folder_is_reported(world: World) -> None:
    with pytest.raises(Failure) as caught:
        world.load(cli={"stage_paths": "nowhere"})
    assert caught.value.info.code == "invalid_catalogue"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"- a", "settings.yaml: must hold keys and values (key: value), got ['a']"),
        (b"a: \xff", "settings.yaml: is not UTF-8 text: the byte at position 3 is no part of a"),
        (b"a: 1\na: 2", "settings.yaml:2: the key 'a' stands there twice, first on line 1"),
    ],
)
def test_a_file_that_is_no_settings_file(world: World, content: bytes, problem: str) -> None:
    world.config.write_bytes(content)
    with pytest.raises(Failure) as caught:
        load_settings(
            cli={}, environ={}, config_path=world.config, user_config=world.user, cwd=world.root
        )
    message = caught.value.info.message.replace(str(world.config), "settings.yaml")
    assert message.startswith(problem)


def test_a_file_that_cannot_be_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    world.config.touch()
    monkeypatch.setattr(Path, "read_text", denied)
    with pytest.raises(Failure, match="cannot be read: Permission denied"):
        load_settings(cli={}, environ={}, config_path=world.config, user_config=world.root)


def test_a_byte_order_mark_is_no_part_of_the_first_key(world: World) -> None:
    world.config.write_text("\ufeffmax_workers: 2", encoding="utf-8")
    loaded = load_settings(cli={}, environ={}, config_path=world.config, user_config=world.root)
    assert loaded.settings.max_workers == 2


def test_settings_are_frozen_and_can_be_written_as_json(world: World) -> None:
    settings = world.load().settings
    with pytest.raises(ValueError, match="frozen"):
        settings.max_workers = 2
    with pytest.raises(TypeError):
        settings.stages["speak"]["beam"] = 1  # type: ignore[index]
    with pytest.raises(TypeError):
        settings.workflows["x"] = ()  # type: ignore[index]
    data = json.loads(settings.model_dump_json())
    assert data["stages"]["speak"]["beam"] == 5
    assert data["workflows"]["subtitle-gen"] == list(DEFAULT_WORKFLOWS["subtitle-gen"])


def test_assignments() -> None:
    assert parse_assignments(["a.b=1", " c = x=y", "d="]) == {"a.b": "1", "c": " x=y", "d": ""}


@pytest.mark.parametrize("text", ["max_workers", "=2"])
def test_what_is_no_assignment(text: str) -> None:
    with pytest.raises(Failure) as caught:
        parse_assignments([text])
    assert caught.value.info.message == f"{text} (command line): write it as KEY=VALUE"


def test_the_work_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(platformdirs, "user_data_path", lambda name, **_: tmp_path / name)
    assert work_folder(Settings()) == tmp_path / "batch-subtitles"
    assert work_folder(Settings(work_dir=tmp_path / "w")) == tmp_path / "w"
