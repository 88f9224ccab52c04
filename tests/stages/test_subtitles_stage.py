"""The subtitles stage as a whole: what it writes, and in which time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

from orchestrator.contract.exchange import StageRequest
from orchestrator.contract.report import Report
from orchestrator.stagekit.subtitle_formats import cues_from_json
from orchestrator.stages.subtitles.stage import load, run

SETTINGS = json.loads(
    Path(__file__).parents[2].joinpath("orchestrator/stages/subtitles/stage.json").read_bytes()
)["settings"]


class Quiet:
    def progress(self, *_figures: object) -> None:
        """Nobody listens."""


def test_cues_are_in_audio_time_and_files_in_media_time(tmp_path: Path) -> None:
    words = [
        {"start": 0.0, "end": 0.4, "word": " Ready?", "speaker": "S1"},
        {"start": 0.5, "end": 0.9, "word": " Yes.", "speaker": "S2"},
        {"start": 9.0, "end": 9.5, "word": " Go.", "speaker": "S1"},
    ]
    transcript: dict[str, Any] = {
        "language": "en",
        "model": "base",
        "segments": [{"start": 0.0, "end": 9.5, "text": "Ready? Yes. Go.", "words": words}],
    }
    inputs = {"transcript": transcript, "audio_info": {"offset": 3.5}}
    for name, data in inputs.items():
        (tmp_path / name).write_text(json.dumps(data))
    request = StageRequest(
        run_id="run",
        job_id="job",
        stage="subtitles",
        attempt="subtitles-001",
        media="",
        inputs={name: str(tmp_path / name) for name in inputs},
        outputs={"cues": "cues.json", "srt": "out.srt", "vtt": "out.vtt"},
        outputs_dir=str(tmp_path),
        scratch_dir=str(tmp_path),
        settings={name: setting["default"] for name, setting in SETTINGS.items()},
    )

    load({})
    outcome = run(request, None, cast(Report, Quiet()))

    assert outcome.facts == {"cues": 2, "words": 3}
    data = json.loads((tmp_path / "cues.json").read_bytes())
    assert data["language"] == "en"
    assert [(cue.start, cue.lines, cue.speaker) for cue in cues_from_json(data)] == [
        (0.0, ("- Ready?", "- Yes."), None),
        (9.0, ("Go.",), "S1"),
    ]
    assert (tmp_path / "out.srt").read_text().startswith("1\n00:00:03,500 --> ")
    assert "(model base, language en)" in (tmp_path / "out.vtt").read_text()
