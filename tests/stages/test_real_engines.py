"""Engines of recognition and alignment side by side, on the same speech with the same weights."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import jiwer
import pytest

from orchestrator.contract.exchange import ModelRef

pytestmark = pytest.mark.real

SAMPLES = Path(__file__).parents[2] / "samples"
SEASIDE = SAMPLES / "Été à la mer" / "Möwen über dem Fluß.mp4"
LIGHTHOUSE = SAMPLES / "lighthouse.flac"
LIGHTHOUSE_SECONDS = 12.9
STARTS, ENDS = 0.21, 12.72
"""First and last sound of speech in the lighthouse recording, by ear."""
SILENCE = 2.5
Make = Callable[[Path], Any]


def plain(text: str) -> str:
    return " ".join(re.sub(r"[^a-z0-9' ]", " ", text.lower()).split())


def reference(media: Path) -> str:
    return plain((SAMPLES / "references" / f"{media.stem}.txt").read_text("utf-8"))


def said(transcript: Mapping[str, Any]) -> str:
    return plain(" ".join(segment["text"] for segment in transcript["segments"]))


def words(transcript: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [word for segment in transcript["segments"] for word in segment["words"]]


@pytest.fixture
def speech(stages: Make, ffmpeg: Callable[..., None], tmp_path: Path) -> Any:
    """Silence, the lighthouse, silence, the seaside; already extracted."""
    media = tmp_path / "both.flac"
    form = "aresample=16000,aformat=channel_layouts=mono"
    quiet = f"adelay={SILENCE * 1000:.0f}"
    ffmpeg(
        *("-i", LIGHTHOUSE, "-i", SEASIDE, "-filter_complex"),
        f"[0:a]{form},apad,atrim=end={LIGHTHOUSE_SECONDS},{quiet}[a];[1:a]{form},{quiet}[b];"
        "[a][b]concat=n=2:v=0:a=1",
        media,
    )
    run = stages(media)
    assert run.run("demux").ok
    return run


def expected() -> str:
    return f"{reference(LIGHTHOUSE)} {reference(SEASIDE)}"


def check_edges(found: list[dict[str, Any]], tolerance: float) -> None:
    """The lighthouse is said between two silences whose ends are known."""
    count = len(reference(LIGHTHOUSE).split())
    assert found[0]["start"] == pytest.approx(SILENCE + STARTS, abs=tolerance)
    assert found[count - 1]["end"] == pytest.approx(SILENCE + ENDS, abs=tolerance)
    assert found[count]["start"] > SILENCE + LIGHTHOUSE_SECONDS + SILENCE


def test_speech_found_before_gives_the_same_words(
    speech: Any, models: Mapping[str, ModelRef]
) -> None:
    assert speech.run("asr", model="base").ok
    alone = speech.json("transcript")
    assert jiwer.wer(expected(), said(alone)) <= 0.05
    assert speech.run("vad").ok
    assert speech.run("asr", model="base").ok
    assert speech.json("transcript") == alone

    assert speech.run("alignment_pocketsphinx").ok
    aligned = speech.json("transcript")
    assert said(aligned) == said(alone)
    check_edges(words(aligned), 0.1)
    report = aligned["alignment"]
    assert report["share"] == 1.0
    assert report["median_difference"] < 0.1
    assert {**aligned, "alignment": 0, "segments": 0, "word_times": 0} == {
        **alone,
        "alignment": 0,
        "segments": 0,
        "word_times": 0,
    }


def test_whisperx_hears_the_same(speech: Any, models: Mapping[str, ModelRef]) -> None:
    assert speech.run("asr_whisperx", model="base", settings={"batch_size": 4}).ok
    assert speech.facts["language"] == "en"
    assert jiwer.wer(expected(), said(speech.json("transcript"))) <= 0.05

    assert speech.run("vad").ok
    assert speech.run("asr_whisperx", model="base", settings={"batch_size": 4}).ok
    guessed = speech.json("transcript")
    assert guessed["word_times"] == "interpolated"
    assert jiwer.wer(expected(), said(guessed)) <= 0.05
    assert all(one["end"] <= other["start"] for one, other in pairwise(words(guessed)))
    assert words(guessed)[0]["start"] == pytest.approx(SILENCE + STARTS, abs=0.3)

    assert speech.run("alignment_pocketsphinx").ok
    check_edges(words(speech.json("transcript")), 0.1)


def test_alignment_by_wav2vec2(
    speech: Any, models: Mapping[str, ModelRef], pythons: Mapping[str, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "wav2vec2"
    make = Path(__file__).with_name("fakes") / "random_wav2vec2.py"
    subprocess.run([pythons["whisperx"], make, folder], check=True, timeout=300)
    assert speech.run("asr", model="tiny.en").ok
    before = speech.json("transcript")
    german = ModelRef("german", "/nowhere", "1", ("de",))
    result = speech.run("alignment_whisperx", models=[german, ModelRef("own", str(folder), "2")])
    assert result.ok
    after = speech.json("transcript")
    assert said(after) == said(before)
    assert (after["alignment"]["model"], after["alignment"]["share"]) == ("own", 1.0)
    assert after["word_times"] == "aligned"
    assert result.metrics["alignment_share"] == 1.0
    found = words(after)
    assert all(0 <= one["start"] <= one["end"] <= other["start"] for one, other in pairwise(found))
    assert all("score" in word for word in found)


def test_a_language_without_an_aligner_keeps_its_times(speech: Any, tmp_path: Path) -> None:
    french = tmp_path / "transcript.json"
    row = {"word": " Oui.", "start": 3.0, "end": 3.5, "probability": 0.9}
    segments = [{"start": 3.0, "end": 3.5, "text": "Oui.", "words": [row]}]
    french.write_text(json.dumps({"version": 1, "language": "fr", "segments": segments}))
    speech.inputs["transcript"] = str(french)
    result = speech.run("alignment_pocketsphinx")
    assert [warning.code for warning in result.warnings] == ["alignment_no_model"]
    after = speech.json("transcript")
    assert after["segments"] == [{**segments[0], "aligned": False}]
    assert after["alignment"]["share"] == 0.0
    assert "word_times" not in after
