"""The stage of ``docs/adding-a-stage.md`` is real: what the page shows is what runs."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from orchestrator.catalogue import load_catalogue, order

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "shout"
PAGE = (ROOT / "docs" / "adding-a-stage.md").read_text(encoding="utf-8")
PATIENCE = 600.0


@pytest.mark.parametrize(
    "file",
    [
        "stages/shout/stage.json",
        "stages/shout/stage.py",
        "environments/loudness/environment.json",
        "environments/loudness/requirements.in",
    ],
)
def test_the_page_shows_the_files_as_they_are(file: str) -> None:
    assert (EXAMPLE / file).read_text(encoding="utf-8") in PAGE


def test_it_takes_its_place_in_the_workflow() -> None:
    found = order(
        ["demux", "asr", "hallucination", "subtitles", "shout"], load_catalogue([EXAMPLE])
    )
    names = [one.name for one in found]
    assert names == ["demux", "asr", "hallucination", "shout", "subtitles"]
    makers = {one.name: {source.name: source.stage for source in one.inputs} for one in found}
    assert makers["shout"]["transcript"] == "hallucination"
    assert makers["subtitles"]["transcript"] == "shout"


@pytest.fixture
def louder() -> ModuleType:
    file = EXAMPLE / "stages" / "shout" / "louder.py"
    spec = importlib.util.spec_from_file_location("louder", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_counts_as_shouting(louder: ModuleType) -> None:
    assert louder.louder([], 9.0) == []
    assert louder.louder([-30.0, -29.0, -12.0, -31.0], 9.0) == [False, False, True, False]
    segment = {"text": " wait!", "words": [{"word": " wait!", "start": 1.0}], "start": 1.0}
    assert louder.in_capitals(segment) == {
        "text": " WAIT!",
        "words": [{"word": " WAIT!", "start": 1.0}],
        "start": 1.0,
    }
    assert segment["text"] == " wait!"


# One batch over one real recording, with the stage and its environment added by settings.


@pytest.fixture(scope="module")
def work() -> Path:
    given = os.environ.get("SUBTITLES_TEST_WORK_DIR")
    return (Path(given) if given else ROOT / ".cache" / "test-work") / "example"


@pytest.fixture(scope="module")
def settings(work: Path) -> list[str]:
    words = [f"work_dir={work}", f"stage_paths={EXAMPLE}", "add_stages=shout", "device=cpu"]
    words += ["stages.asr.model=tiny.en", "stages.shout.margin=0"]
    return [part for word in words for part in ("--set", word)]


def run(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, *words],
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=ROOT,
        timeout=PATIENCE,
        env={**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1", "COLUMNS": "120"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("library")
    shutil.copy(ROOT / "samples" / "lighthouse.flac", folder)
    return folder


@pytest.fixture(scope="module")
def events(work: Path, settings: list[str], library: Path) -> str:
    shutil.rmtree(work / "artefacts", ignore_errors=True)  # of an earlier run of this test
    words = ["-m", "batch", str(library), "--json", "--set", "settle_seconds=0", *settings]
    return run(*words)


@pytest.mark.real
def test_it_is_in_the_plan(settings: list[str]) -> None:
    shown = run("-m", "orchestrator.cli.run_pipeline", "pipeline", *settings)
    assert "transcript from shout" in shown
    assert "loudness" in shown


@pytest.mark.real
def test_it_is_in_the_progress(events: str) -> None:
    lines = [line for line in events.splitlines() if '"shout"' in line]
    assert len(lines) >= 2  # it began, and ended


@pytest.mark.real
def test_it_is_in_the_manifest(events: str, work: Path) -> None:
    manifests = sorted(work.glob("out/*/*/*/*/*/manifest.json"), key=os.path.getmtime)
    record = json.loads(manifests[-1].read_text(encoding="utf-8"))["stages"]["shout"]
    assert record["status"] == "ran"
    assert record["environment"]["name"] == "loudness"
    assert record["facts"]["shouts"] >= 1
    assert record["requested"] == {"margin": 0.0}


@pytest.mark.real
def test_it_is_in_the_report(events: str, work: Path) -> None:
    summaries = sorted(work.glob("runs/*/summary.json"), key=os.path.getmtime)
    summary = json.loads(summaries[-1].read_text(encoding="utf-8"))
    assert summary["stages"]["shout"]["count"] == 1
    [file] = summary["files"]
    assert [one["name"] for one in file["stages"]] == [
        *("demux", "asr", "hallucination", "shout", "subtitles")
    ]


@pytest.mark.real
def test_what_it_did_is_in_the_subtitles(events: str, library: Path) -> None:
    text = (library / "lighthouse.en.srt").read_text(encoding="utf-8")
    words = [word.strip(".,") for word in text.split() if word.strip(".,").isalpha()]
    capitals = [word for word in words if len(word) > 1 and word.isupper()]
    assert 0 < len(capitals) < len(words)
    shouts = (library / "lighthouse.shouts.txt").read_text(encoding="utf-8")
    assert capitals[0] in shouts


@pytest.mark.real
def test_its_packages_contradict_those_of_recognition(events: str, work: Path) -> None:
    ready = [json.loads(file.read_text()) for file in work.glob("environments/*/ready.json")]
    numpy = {one["name"]: one["packages"].get("numpy") for one in ready}
    assert numpy["loudness"].split(".")[0] == "1"
    assert numpy["asr"].split(".")[0] == "2"
