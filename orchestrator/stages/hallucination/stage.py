"""Take out of the transcript what nobody said, and write down all of it with the reason.

A transcript in which nothing is wrong is handed on as it is, byte for byte.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from orchestrator.contract.atomic import read_json
from orchestrator.contract.exchange import StageOutcome, StageRequest
from orchestrator.contract.report import Report

from .judge import Limits, judge
from .phrases import read_boilerplate
from .words import summary


def load(settings: Mapping[str, Any]) -> None:
    """There is nothing to keep."""


def run(request: StageRequest, model: None, report: Report) -> StageOutcome:
    source = request.input("transcript").read_bytes()
    transcript = json.loads(source)
    settings = {name: request.settings[name] for name in Limits._fields}
    judged = judge(
        transcript["segments"],
        speech_of(request, transcript),
        transcript["duration"],
        read_boilerplate(transcript["language"]),
        Limits(**{**settings, "rules": frozenset(settings["rules"])}),
    )
    removed = len(judged.removals)
    if removed:
        report.warning("invented_text_removed", summary(judged.removals))
        source = _json({**transcript, "segments": judged.segments, "removed": removed})
    request.output("transcript").write_bytes(source)
    rows = [removal.to_json() for removal in judged.removals]
    request.output("removals").write_bytes(_json({"version": 1, "removed": rows}))
    report.progress(len(judged.segments), len(judged.segments), "segments")
    reasons = Counter(removal.reason for removal in judged.removals)
    return StageOutcome(
        facts={"removed": removed},
        metrics={f"removed_{reason}": float(count) for reason, count in sorted(reasons.items())},
    )


def speech_of(request: StageRequest, transcript: Mapping[str, Any]) -> list[list[float]] | None:
    """The turns of speech: found by a stage of their own, else by the recogniser, if at all."""
    if "speech" in request.inputs:
        turns: list[list[float]] = read_json(request.input("speech"))["turns"]
        return turns
    return transcript.get("speech")


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode("ascii") + b"\n"
