from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from orchestrator.contract.atomic import read_json, write_json
from orchestrator.contract.errors import Failure
from orchestrator.contract.exchange import StageRequest
from orchestrator.stagekit.cue_files import CueJob
from orchestrator.stagekit.cue_translation import Translated
from orchestrator.stagekit.subtitle_formats import Cue, cues_to_json

CUES = [Cue(1.0, 2.0, ("Hello",), "S1"), Cue(3.0, 4.0, ("Good", "bye"))]


class Listener:
    """A report that keeps the codes of warnings."""

    def __init__(self) -> None:
        self.codes: list[str] = []

    def warning(self, code: str, message: str) -> None:
        self.codes.append(code)


@pytest.fixture
def request_for(tmp_path: Path) -> Any:
    def make(target: str, cues: Sequence[Cue] = CUES, **facts: Any) -> StageRequest:
        write_json(tmp_path / "cues.json", cues_to_json(cues, "en"))
        write_json(tmp_path / "audio_info.json", {"offset": -1.5})
        return StageRequest(
            *("run", "job", "translation", "1", "film.mkv"),
            inputs={
                "cues": str(tmp_path / "cues.json"),
                "audio_info": str(tmp_path / "audio_info.json"),
            },
            outputs={"cues": "out.json", "srt": "out.srt", "vtt": "out.vtt"},
            outputs_dir=str(tmp_path),
            scratch_dir=str(tmp_path),
            settings={"target": target, "max_line_length": 42, "max_lines": 2},
            facts=facts,
        )

    return make


def test_cues_keep_time_and_speaker_and_files_are_in_media_time(request_for: Any) -> None:
    request = request_for("pt-BR")
    job = CueJob(request)
    assert (job.source, job.target) == ("en", "pt")
    report: Any = Listener()
    outcome = job.write(Translated((("Olá",), ("Adeus",)), 2, 0, 0), "toy", report)
    assert outcome.metrics["cues"] == 2
    assert report.codes == []
    assert read_json(request.output("cues")) == cues_to_json(
        [Cue(1.0, 2.0, ("Olá",), "S1"), Cue(3.0, 4.0, ("Adeus",))], "pt"
    )
    assert "00:00:00,000 --> 00:00:00,500\nOlá" in request.output("srt").read_text("utf-8")
    vtt = request.output("vtt").read_text("utf-8")
    assert "00:00:01.500 --> 00:00:02.500\nAdeus" in vtt
    assert "translated from en to pt by a machine (model toy)" in vtt


def test_what_stayed_in_the_original_is_told(request_for: Any) -> None:
    report: Any = Listener()
    CueJob(request_for("de")).write(Translated((("Hello",), ("Tschüss",)), 2, 1, 1), "toy", report)
    assert report.codes == ["translation_incomplete"]


def test_the_language_heard_goes_before_the_one_written_down(request_for: Any) -> None:
    request = request_for("fr", language="fr")
    job = CueJob(request)
    report: Any = Listener()
    assert job.source == job.target
    assert job.without_model(report) is not None
    assert report.codes == ["translation_not_needed"]
    assert read_json(request.output("cues")) == cues_to_json(CUES, "fr")


def test_a_model_is_needed_for_cues_in_another_language(request_for: Any) -> None:
    report: Any = Listener()
    assert CueJob(request_for("fr")).without_model(report) is None
    assert report.codes == []


def test_a_file_without_speech_needs_no_model(request_for: Any) -> None:
    request = request_for("fr", cues=())
    report: Any = Listener()
    outcome = CueJob(request).without_model(report)
    assert outcome is not None
    assert outcome.metrics["cues"] == 0
    assert report.codes == []
    assert read_json(request.output("cues")) == cues_to_json([], "fr")
    assert request.output("srt").read_bytes() == b""
    assert request.output("vtt").read_text("utf-8").startswith("WEBVTT")


def test_an_unknown_language_is_refused(request_for: Any) -> None:
    with pytest.raises(Failure) as caught:
        CueJob(request_for("klingonese"))
    assert caught.value.info.code == "language_unknown"
