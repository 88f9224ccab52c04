"""Jobs as they are made: everything in ``job.json``, and an id of their own."""

import json
import os
import stat
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from orchestrator import prepare
from orchestrator.catalogue import (
    Limits,
    OutputSpec,
    Resources,
    SettingSpec,
    StageInstance,
    StageSpec,
)
from orchestrator.contract.exchange import Clip, ModelRef
from orchestrator.contract.job import JobEnvironment, JobInput, Publication, Source, read_job
from orchestrator.contract.paths import WorkFolder
from orchestrator.hardware import Gpu, Hardware
from orchestrator.prepare import JobMaker, Recipe, StageModels, last_number, make_recipe
from orchestrator.settings import Choice, ResolvedSettings, Settings

PATIENCE = 60.0
MACHINE = Hardware("CPU", 4, 8, 16 << 30, (), "Linux", "x86_64")
NOON = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)
SOURCE = Source("/library/Film.2001.mkv", 9, 7, "f0")


def stage(name: str, outputs: tuple[OutputSpec, ...], **changes: Any) -> StageSpec:
    return StageSpec(
        **{
            "name": name,
            "version": 1,
            "title": name,
            "folder": Path("/stages") / name,
            "environment": "asr",
            "inputs": ("media",),
            "outputs": {output.name: output for output in outputs},
            "settings": {},
            "model_setting": None,
            "uses": (),
            "resources": Resources(2, 900),
            "limits": Limits(60.0, 5.0),
            **changes,
        }
    )


ASR = stage(
    "asr",
    (OutputSpec("transcript", "transcript.json"), OutputSpec("audio", "audio.wav", large=True)),
    settings={
        "model": SettingSpec("model", "str", "base", load=True),
        "beam_size": SettingSpec("beam_size", "int", 5),
        "batch_size": SettingSpec("batch_size", "int", 1, in_key=False),
        "compute_type": SettingSpec("compute_type", "str", "int8", choices=("auto", "int8", "x")),
    },
    model_setting="model",
    uses=("language",),
)
SUBTITLES = stage(
    "subtitles",
    (
        OutputSpec("srt", "subtitles.srt", publish="srt"),
        OutputSpec("vtt", "subtitles.vtt", publish="vtt"),
        OutputSpec("txt", "transcript.txt", publish="txt"),
    ),
    inputs=("transcript",),
)
MODEL = ModelRef("base", "/models/base", "m0")
SMALLER = ModelRef("tiny", "/models/tiny", "t0")


def settings_of(stages: Mapping[str, Mapping[str, Any]], **values: Any) -> ResolvedSettings:
    choices = (Choice("stages.asr.model", "base", "runs on the CPU", was_default=True),)
    return ResolvedSettings(
        Settings(**values),
        "cpu",
        None,
        MappingProxyType({name: MappingProxyType(dict(one)) for name, one in stages.items()}),
        choices,
    )


VALUES = {
    "asr": {"model": "base", "beam_size": 5, "batch_size": 1, "compute_type": "int8"},
    "subtitles": {},
}


def recipe(
    specs: tuple[StageSpec, ...] = (ASR, SUBTITLES),
    model: ModelRef = MODEL,
    asr: Mapping[str, Any] = {},
    hardware: Hardware = MACHINE,
    environment: str = "e0",
    gpu: Gpu | None = None,
    **values: Any,
) -> Recipe:
    settings = settings_of({**VALUES, "asr": {**VALUES["asr"], **asr}}, **values)
    python = JobEnvironment("asr", environment, "/environments/asr/bin/python")
    instances = [StageInstance(spec, None, (JobInput("media"),)) for spec in specs]
    models = {"asr": StageModels((model,), (SMALLER,), 400, 4500)}
    settings = replace(settings, gpu=gpu)
    return make_recipe(settings, instances, {"asr": python}, models, hardware)


def test_a_recipe_has_nothing_left_to_look_up() -> None:
    made = recipe(asr={"beam_size": 3}, language="de")
    asr, subtitles = made.stages
    assert asr.requested == {"beam_size": 3, "compute_type": "int8"}
    assert asr.tuning == {"batch_size": 1}
    assert asr.resources == {"cpu_threads": 2, "ram_mb": 1300, "vram_mb": 0}
    assert subtitles.resources == {"cpu_threads": 2, "ram_mb": 900, "vram_mb": 0}
    assert (asr.compute_types, subtitles.compute_types) == (("int8", "x"), ())
    assert (asr.fallback_models, subtitles.fallback_models) == ((SMALLER,), ())
    assert (asr.inputs, asr.load) == ((JobInput("media"),), ("model",))
    assert (asr.stall_seconds, asr.grace_seconds) == (60.0, 5.0)
    assert (asr.models, subtitles.models) == ((MODEL,), ())
    assert asr.outputs[1].large
    assert (made.language, made.threads, made.device, made.keep) == ("de", 8, "cpu", "small")
    assert made.choices[0]["reason"] == "runs on the CPU"
    assert made.hardware["threads"] == 8
    json.dumps([made.choices, made.hardware, made.versions, asr.tuning])


def test_a_model_needs_memory_of_the_gpu_where_it_runs_on_one() -> None:
    made = recipe(gpu=Gpu("cuda", "RTX", 0, 8 << 30, "570"))
    assert made.stages[0].resources == {"cpu_threads": 2, "ram_mb": 1300, "vram_mb": 4500}


TRANSLATION = stage(
    "translation",
    (OutputSpec("srt", "subtitles.srt", publish="srt"),),
    settings={
        "targets": SettingSpec("targets", "list[str]", ()),
        "target": SettingSpec("target", "str", None),
        "beams": SettingSpec("beams", "int", 4),
        "note": SettingSpec("note", "str", None, in_key=False),
    },
    for_each="targets",
)
FILM = stage(
    "mux", (OutputSpec("film", "f.mkv", publish="mkv", suffix="subtitled", optional=True),)
)


def translated(*targets: str) -> Recipe:
    values = {
        "translation": {"targets": targets, "target": None, "beams": 4, "note": None},
        "mux": {},
    }
    instances = [
        *(StageInstance(TRANSLATION, target, (JobInput("media"),)) for target in targets),
        StageInstance(FILM, None, (JobInput("srt.pt", "translation.pt", "srt"),)),
    ]
    python = JobEnvironment("asr", "e0", "/python")
    return make_recipe(settings_of(values), instances, {"asr": python}, {}, MACHINE)


def test_an_instance_has_its_own_value_and_its_outputs_that_language() -> None:
    portuguese, french, film = translated("pt", "fr").stages
    assert (portuguese.name, french.name) == ("translation.pt", "translation.fr")
    assert portuguese.requested == {"target": "pt", "beams": 4}
    assert portuguese.tuning == {"note": None, "targets": ["pt", "fr"]}
    assert (portuguese.outputs[0].language, french.outputs[0].language) == ("pt", "fr")
    assert film.inputs == (JobInput("srt.pt", "translation.pt", "srt"),)
    made = film.outputs[0]
    assert (made.language, made.suffix, made.optional) == (None, "subtitled", True)


def test_one_more_language_leaves_the_others_as_they_are() -> None:
    alone, both = translated("pt").stages[0], translated("pt", "fr").stages[0]
    assert alone.requested == both.requested
    assert (translated("pt").targets, translated("pt", "fr").targets) == (("pt",), ("pt", "fr"))


def test_an_output_with_a_suffix_is_published_whatever_the_formats() -> None:
    assert translated("pt", "fr").extensions == ("srt", "mkv")


def test_formats_choose_what_is_published_and_texts_always_are() -> None:
    assert recipe().extensions == ("srt", "txt")
    assert recipe(formats=("srt", "vtt")).extensions == ("srt", "vtt", "txt")


@pytest.mark.parametrize(
    "changes",
    [
        {"asr": {"beam_size": 6}},
        {"model": replace(MODEL, key="m1")},
        {"language": "de"},
        {"formats": ("srt", "vtt")},
        {"specs": (replace(ASR, version=2), SUBTITLES)},
        {"specs": (ASR,)},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_the_settings_key_changes_when_a_result_would(changes: dict[str, Any]) -> None:
    assert recipe(**changes).settings_key != recipe().settings_key


@pytest.mark.parametrize(
    "changes",
    [
        {"asr": {"batch_size": 16}},
        {"asr": {"model": "/models/base"}},
        {"model": replace(MODEL, name="my own", path="/elsewhere")},
        {"hardware": replace(MACHINE, threads=64, cpu_name="other")},
        {"environment": "e1"},
        {"keep": "all"},
        {"allow_cpu_fallback": True},
        {"max_workers": 4},
        {"specs": (replace(ASR, title="Listen", resources=Resources(8)), SUBTITLES)},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_the_settings_key_stays_when_only_the_way_changes(changes: dict[str, Any]) -> None:
    assert recipe(**changes).settings_key == recipe().settings_key


def maker(tmp_path: Path, user: str = "ann") -> JobMaker:
    return JobMaker(WorkFolder(tmp_path / "work"), user, now=lambda: NOON)


def test_what_may_be_done_when_memory_does_not_suffice(tmp_path: Path) -> None:
    for allowed in (False, True):
        made = recipe(allow_cpu_fallback=allowed)
        assert maker(tmp_path).make(made, SOURCE, None)[1].allow_cpu_fallback is allowed


def test_a_job_holds_all_it_needs(tmp_path: Path) -> None:
    made = recipe(language="de")
    publication = Publication("/library", "Film.2001", ("srt",))
    folder, job = maker(tmp_path).make(made, SOURCE, publication, Clip(1.0, 2.0))
    assert folder.root == tmp_path / "work" / "out/2026/01/31/ann/20260131-000001"
    assert read_job(folder) == job
    assert (job.id, job.created) == ("20260131-000001", "2026-01-31T12:00:00Z")
    assert (job.source, job.publication, job.clip) == (SOURCE, publication, Clip(1.0, 2.0))
    assert job.artefacts == str(tmp_path / "work" / "artefacts")
    assert (job.settings_key, job.language) == (made.settings_key, "de")
    if sys.platform != "win32":
        assert stat.S_IMODE(folder.root.stat().st_mode) == 0o700


def test_a_job_without_a_library_publishes_inside(tmp_path: Path) -> None:
    folder, job = maker(tmp_path).make(recipe(), SOURCE, None)
    assert job.publication == Publication(str(folder.outputs), "Film.2001", ("srt", "txt"))


def test_ids_count_on_from_where_they_are(tmp_path: Path) -> None:
    first = maker(tmp_path)
    ids = [first.make(recipe(), SOURCE, None)[1].id for _ in range(3)]
    ids += [maker(tmp_path).make(recipe(), SOURCE, None)[1].id]
    ids += [first.make(recipe(), SOURCE, None)[1].id]
    assert ids == [f"20260131-{number:06d}" for number in range(1, 6)]


def test_each_day_and_each_user_counts_anew(tmp_path: Path) -> None:
    now = [NOON]
    jobs = JobMaker(WorkFolder(tmp_path), "ann", now=lambda: now[0])
    jobs.make(recipe(), SOURCE, None)
    now[0] += timedelta(days=1)
    assert jobs.make(recipe(), SOURCE, None)[1].id == "20260201-000001"
    other = JobMaker(WorkFolder(tmp_path), "bob", now=lambda: NOON)
    assert other.make(recipe(), SOURCE, None)[1].id == "20260131-000001"


@pytest.mark.parametrize(
    ("user", "folder"), [("ann", "ann"), ("../x", ".._x"), ("A B\\ü", "A_B__"), ("", "user")]
)
def test_a_user_name_cannot_leave_its_place(tmp_path: Path, user: str, folder: str) -> None:
    made, _ = maker(tmp_path, user).make(recipe(), SOURCE, None)
    assert made.root.parent == tmp_path / "work" / "out/2026/01/31" / folder


RACE = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from orchestrator.contract.paths import WorkFolder
from orchestrator.prepare import JobMaker
day = datetime(2026, 1, 31, tzinfo=UTC)
maker = JobMaker(WorkFolder(Path(sys.argv[1])), "ann", now=lambda: day)
print("ready", flush=True)
sys.stdin.readline()
for _ in range(20):
    print(maker._new_folder("20260131")[1])
"""


def test_ids_are_unique_among_eight_processes(tmp_path: Path) -> None:
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACE, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(8)
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("\n")
        racer.stdin.flush()
    ids = [job_id for racer in racers for job_id in racer.communicate(timeout=PATIENCE)[0].split()]
    assert sorted(ids) == [f"20260131-{number:06d}" for number in range(1, 161)]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 8, 9, 100])
def test_the_last_number_is_found_without_listing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    for number in range(1, count + 1):
        (tmp_path / f"20260131-{number:06d}").mkdir()

    def no_listing(*_arguments: object) -> None:
        raise AssertionError("the folder was listed")

    monkeypatch.setattr(os, "scandir", no_listing)
    monkeypatch.setattr(os, "listdir", no_listing)
    assert last_number(tmp_path, "20260131") == count


def test_the_version_is_known_even_where_nothing_is_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def not_installed(_name: str) -> str:
        raise PackageNotFoundError

    monkeypatch.setattr(prepare, "version", not_installed)
    assert prepare.own_version() == "0"
    monkeypatch.setattr(prepare, "version", lambda _name: "1.2.3")
    assert prepare.own_version() == "1.2.3"
