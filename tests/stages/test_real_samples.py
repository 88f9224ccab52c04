"""The shipped samples, from file to subtitles, with the models that run on any machine."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jiwer
import pytest

from orchestrator.contract.exchange import Clip, ModelRef, StageResult

pytestmark = pytest.mark.real

SAMPLES = Path(__file__).parents[2] / "samples"
Make = Callable[[Path], Any]


class Sample(NamedTuple):
    """``starts`` and ``ends``: media times of the first and last sound of speech, by ear."""

    file: str
    starts: float
    ends: float


TWO_TRACKS = Sample("two-tracks.mkv", 0.20, 17.15)
LIGHTHOUSE = Sample("lighthouse.flac", 0.21, 12.72)
LATE = Sample("Été à la mer/Möwen über dem Fluß.mp4", 3.78, 13.45)


class SeenCue(NamedTuple):
    start: float
    end: float
    text: str


def read_srt(text: str) -> list[SeenCue]:
    cues = []
    for number, block in enumerate(text.strip().split("\n\n"), 1):
        index, times, *lines = block.split("\n")
        assert index == str(number)
        assert 1 <= len(lines) <= 2
        assert all(len(line) <= 42 for line in lines)
        start, end = times.split(" --> ")
        cues.append(SeenCue(seconds(start), seconds(end), " ".join(lines)))
    return cues


def seconds(clock: str) -> float:
    hours, minutes, rest = clock.replace(",", ".").split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(rest)


def plain(text: str) -> str:
    return " ".join(re.sub(r"[^a-z0-9' ]", " ", text.lower()).split())


def reference(sample: Sample) -> str:
    name = Path(sample.file).with_suffix(".txt").name
    return plain((SAMPLES / "references" / name).read_text("utf-8"))


def run_all(run: Any, model: str, last: str = "subtitles", **request: object) -> StageResult:
    assert run.run("demux", **request).ok
    assert run.run("asr", model=model).ok
    result: StageResult = run.run(last)
    return result


@pytest.mark.parametrize("sample", [TWO_TRACKS, LIGHTHOUSE, LATE], ids=lambda one: one.file)
def test_the_words_are_right_and_in_time(
    stages: Make, models: Mapping[str, ModelRef], sample: Sample
) -> None:
    run = stages(SAMPLES / sample.file)
    assert run_all(run, "base").ok
    cues = read_srt(run.text("srt"))
    words = plain(" ".join(cue.text for cue in cues))
    assert jiwer.wer(reference(sample), words) <= 0.1
    assert cues[0].start == pytest.approx(sample.starts, abs=0.3)
    assert cues[-1].end == pytest.approx(sample.ends, abs=0.3)
    assert run.facts["language"] == "en"
    assert run.text("vtt").count(" --> ") == len(cues)


def test_the_same_work_gives_the_same_bytes(stages: Make, models: Mapping[str, ModelRef]) -> None:
    run = stages(SAMPLES / LATE.file)
    run_all(run, "tiny.en")
    first = run.text("transcript"), run.text("srt")
    run_all(run, "tiny.en")
    assert (run.text("transcript"), run.text("srt")) == first


def test_a_clip_has_the_times_of_the_whole(stages: Make, models: Mapping[str, ModelRef]) -> None:
    run = stages(SAMPLES / TWO_TRACKS.file)
    run_all(run, "base", clip=Clip(7.0, 12.0))
    (cue,) = read_srt(run.text("srt"))
    assert plain(cue.text) == "he was not an ill disposed young man"
    assert cue.start == pytest.approx(8.4, abs=0.3)


def test_recognising_in_batches(stages: Make, models: Mapping[str, ModelRef]) -> None:
    run = stages(SAMPLES / LIGHTHOUSE.file)
    assert run.run("demux").ok
    assert run.run("asr", model="tiny.en", settings={"batch_size": 4}).ok
    assert run.run("subtitles").ok
    words = plain(" ".join(cue.text for cue in read_srt(run.text("srt"))))
    assert jiwer.wer(reference(LIGHTHOUSE), words) <= 0.15


def test_a_transcript_to_read(stages: Make, models: Mapping[str, ModelRef]) -> None:
    run = stages(SAMPLES / LATE.file)
    assert run_all(run, "tiny.en", last="transcript").ok
    assert plain(run.text("txt")) == reference(LATE)
    assert run.json("json")["segments"][0]["start"] == pytest.approx(LATE.starts, abs=0.3)


def test_silence_is_no_failure(
    stages: Make,
    models: Mapping[str, ModelRef],
    ffmpeg: Callable[..., None],
    tmp_path: Path,
) -> None:
    media = tmp_path / "silence.flac"
    ffmpeg("-f", "lavfi", "-i", "anullsrc=r=16000:cl=mono", "-t", "5", media)
    run = stages(media)
    assert run.run("demux").ok
    result = run.run("asr", model="base")
    assert [warning.code for warning in result.warnings] == ["no_speech"]
    assert run.run("subtitles").facts["cues"] == 0
    assert run.text("srt") == ""


def test_a_language_that_the_model_does_not_know(
    stages: Make, models: Mapping[str, ModelRef]
) -> None:
    run = stages(SAMPLES / LATE.file)
    assert run.run("demux").ok
    for language, code in (("fr", "model_english_only"), ("tlh", "language_unknown")):
        error = run.run("asr", model="tiny.en", language=language).error
        assert error is not None
        assert error["code"] == code


def test_arithmetic_that_the_device_lacks_is_replaced_and_told(
    stages: Make, models: Mapping[str, ModelRef]
) -> None:
    run = stages(SAMPLES / LATE.file)
    assert run.run("demux").ok
    result = run.run("asr", model="tiny.en", settings={"compute_type": "float16"})
    assert result.ok
    assert [warning.code for warning in result.warnings] == ["compute_type_replaced"]
