"""Where speech is found in real sound, and that none is found where there is none."""

from __future__ import annotations

import json
import math
import random
import wave
from array import array
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from orchestrator.contract.exchange import ModelRef

pytestmark = pytest.mark.real

SAMPLES = Path(__file__).parents[2] / "samples"
Make = Callable[[Path], Any]
RATE = 16_000
NOISE_SECONDS = 60
ENGINES = [("vad", None), ("vad_pyannote", "segmentation-3.0")]


def write_wav(path: Path, samples: array[int]) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())


def without_speech(seconds: int) -> array[int]:
    """Silence, a tone, white and brown noise, hum with beeps, a siren: equally long parts."""
    chance = random.Random(7)
    count = seconds * RATE // 6
    times = [n / RATE for n in range(count)]
    brown, level = [], 0.0
    for _ in times:
        level = 0.999 * level + chance.gauss(0, 150)
        brown.append(level)
    parts = [
        [0.0] * count,
        [8000 * math.sin(2 * math.pi * 440 * t) for t in times],
        [chance.gauss(0, 1500) for _ in times],
        brown,
        [1500 * math.sin(2 * math.pi * 50 * t) + 9000 * (t % 1 < 0.1) * math.sin(6283 * t)
         for t in times],
        [9000 * math.sin(2 * math.pi * (700 * t + 40 * math.sin(2 * math.pi * t / 2)))
         for t in times],
    ]  # fmt: skip
    return array("h", (round(max(-32768, min(32767, one))) for part in parts for one in part))


@pytest.fixture
def noise(tmp_path: Path) -> Path:
    path = tmp_path / "noise.wav"
    write_wav(path, without_speech(NOISE_SECONDS))
    return path


@pytest.mark.parametrize(("engine", "model"), ENGINES)
def test_speech_is_found_where_it_is(
    stages: Make, models: Mapping[str, ModelRef], engine: str, model: str | None
) -> None:
    run = stages(SAMPLES / "lighthouse.flac")
    assert run.run("demux").ok
    assert run.run(engine, model=model, threads=1).ok
    found = run.json("speech")
    assert found["duration"] == pytest.approx(13.0, abs=0.2)
    assert found["turns"][0][0] == pytest.approx(0.21, abs=0.3)
    assert found["turns"][-1][1] == pytest.approx(12.72, abs=0.3)
    assert run.facts["speech_seconds"] > 8


@pytest.mark.parametrize(("engine", "model"), ENGINES)
def test_no_speech_is_found_in_noise(
    stages: Make, models: Mapping[str, ModelRef], noise: Path, engine: str, model: str | None
) -> None:
    run = stages(noise)
    assert run.run("demux").ok
    assert run.run(engine, model=model, threads=1).ok
    assert run.json("speech")["turns"] == []


def test_recognition_hears_the_same_turns_by_itself(
    stages: Make, models: Mapping[str, ModelRef]
) -> None:
    run = stages(SAMPLES / "two-tracks.mkv")
    assert run.run("demux").ok
    assert run.run("asr", model="tiny.en").ok
    alone = run.text("transcript")
    assert run.run("vad").ok
    assert run.run("asr", model="tiny.en").ok
    assert run.text("transcript") == alone


def test_nothing_is_said_in_noise(
    stages: Make, models: Mapping[str, ModelRef], noise: Path
) -> None:
    run = stages(noise)
    for stage, model in (("demux", None), ("vad", None), ("asr", "base"), ("hallucination", None)):
        assert run.run(stage, model=model).ok
    assert run.json("transcript")["segments"] == []
    assert run.json("removals") == {"version": 1, "removed": []}


def test_what_is_made_up_in_noise_is_removed(
    stages: Make, models: Mapping[str, ModelRef], noise: Path, tmp_path: Path
) -> None:
    """As where a detector takes noise for speech: all of it is given to Whisper."""
    run = stages(noise)
    assert run.run("demux").ok
    misheard = tmp_path / "speech.json"
    misheard.write_text(json.dumps({"version": 1, "turns": [[0.0, NOISE_SECONDS]]}))
    run.inputs["speech"] = str(misheard)
    assert run.run("asr", model="base", language="en").ok
    made_up = run.json("transcript")["segments"]
    assert made_up
    result = run.run("hallucination")
    assert run.json("transcript")["segments"] == []
    assert run.json("transcript")["removed"] == len(run.json("removals")["removed"])
    assert [warning.code for warning in result.warnings] == ["invented_text_removed"]
