"""Write the transcript as subtitles in media time, and as cues in audio time for other stages.

Files are UTF-8 without a byte order mark and with bare newlines: every current player reads that,
while some tools take a mark for a part of the first line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from orchestrator.contract.atomic import put_json, read_json
from orchestrator.contract.exchange import StageOutcome, StageRequest
from orchestrator.contract.report import Report
from orchestrator.stagekit.subtitle_formats import cues_to_json, srt, vtt

from .cues import Rules, make_cues
from .words import words_of


def load(settings: Mapping[str, Any]) -> None:
    """There is nothing to keep."""


def run(request: StageRequest, model: None, report: Report) -> StageOutcome:
    transcript = read_json(request.input("transcript"))
    offset = read_json(request.input("audio_info"))["offset"]
    rules = Rules(**{field.name: request.settings[field.name] for field in fields(Rules)})
    words = words_of(transcript["segments"], rules.max_line_length)
    spoken = make_cues(words, rules)
    put_json(request.output("cues"), cues_to_json(spoken, transcript["language"]))
    cues = [cue.shifted(offset) for cue in spoken]
    note = (
        "Made by batch-subtitles from speech recognition"
        f" (model {transcript['model']}, language {transcript['language']})."
    )
    request.output("srt").write_bytes(srt(cues).encode("utf-8", "replace"))
    request.output("vtt").write_bytes(vtt(cues, note).encode("utf-8", "replace"))
    report.progress(len(cues), len(cues), "cues")
    return StageOutcome(facts={"cues": len(cues), "words": len(words)})
