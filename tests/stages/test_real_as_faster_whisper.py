"""With the same options the stage asr hears what faster-whisper hears by itself."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from orchestrator.contract.exchange import ModelRef

from .test_real_samples import LIGHTHOUSE, SAMPLES, Make
from .test_real_warm import repeat

pytestmark = pytest.mark.real

SCRIPT = Path(__file__).with_name("faster_whisper_itself.py")


def test_sound_and_words_are_those_of_faster_whisper(
    stages: Make, models: Mapping[str, ModelRef], pythons: Mapping[str, Path]
) -> None:
    run = stages(SAMPLES / LIGHTHOUSE.file)
    assert run.run("demux").ok
    command = [pythons["asr"], SCRIPT, run.inputs["audio"], models["tiny.en"].path]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    found = json.loads(answer.stdout)
    assert found["detector"] < 1e-5
    assert found["spectrogram"] < 1e-5
    theirs, ours, same = found["speech"]
    assert (theirs, same) == (ours, True)
    theirs, ours = found["words"]
    assert theirs == ours
    assert "lighthouse" in ours.lower()


def test_pieces_side_by_side_have_the_same_words_whatever_the_number_of_threads(
    stages: Make, models: Mapping[str, ModelRef]
) -> None:
    run = stages(SAMPLES / LIGHTHOUSE.file)
    assert run.run("demux").ok
    repeat(Path(run.inputs["audio"]), 10)
    made = []
    for threads in (1, 2):
        assert run.run("asr", model="tiny.en", settings={"batch_size": 4}, threads=threads).ok
        made.append(Path(run.inputs["transcript"]).read_bytes())
    assert made[0] == made[1]
    segments = json.loads(made[0])["segments"]
    starts = [segment["start"] for segment in segments]
    assert starts == sorted(starts)
    assert " ".join(segment["text"] for segment in segments).lower().count("lighthouse") >= 10
