"""Write the transcript for people (text in paragraphs) and for programs (JSON in media time)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from orchestrator.contract.atomic import read_json
from orchestrator.contract.exchange import StageOutcome, StageRequest
from orchestrator.contract.report import Report

from .prose import in_media_time, paragraphs


def load(settings: Mapping[str, Any]) -> None:
    """There is nothing to keep."""


def run(request: StageRequest, model: None, report: Report) -> StageOutcome:
    transcript = read_json(request.input("transcript"))
    offset = read_json(request.input("audio_info"))["offset"]
    settings = request.settings
    text = paragraphs(
        transcript["segments"], settings["paragraph_pause"], settings["paragraph_length"]
    )
    prose = "\n\n".join(text) + "\n" if text else ""
    request.output("txt").write_bytes(prose.encode("utf-8", "replace"))
    shifted = json.dumps(in_media_time(transcript, offset), ensure_ascii=False, indent=1)
    request.output("json").write_bytes(shifted.encode("utf-8", "replace") + b"\n")
    return StageOutcome(facts={"paragraphs": len(text)})
