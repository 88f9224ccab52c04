"""``--json``: a stable form that other programs may rely on."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from typing import Any

from batch import events
from batch.view import jsonlines
from batch.view.jsonlines import JsonView, event_name
from batch.view.stream import LineStream
from orchestrator.contract.errors import ErrorClass, ErrorInfo
from orchestrator.contract.exchange import StageWarning
from orchestrator.contract.job import Published, StageAccount

STAMP = "2026-01-31T05:40:12.345Z"


def emitted(event: events.Event) -> dict[str, Any]:
    raw = io.BytesIO()
    moment = datetime(2026, 1, 31, 5, 40, 12, 345_678, UTC)
    with (
        LineStream(io.TextIOWrapper(raw, encoding="utf-8")) as lines,
        JsonView(lines, now=lambda: moment) as view,
    ):
        view.handle(event)
    text = raw.getvalue().decode()
    assert text.isascii()
    assert text.endswith("}\n")
    assert text.count("\n") == 1
    record: dict[str, Any] = json.loads(text)
    return record


def test_a_simple_event() -> None:
    assert emitted(events.Skipped("/m/\udcff\n.mkv", "subtitle_exists", "é")) == {
        "v": 1,
        "event": "skipped",
        "time": STAMP,
        "path": "/m/\udcff\n.mkv",
        "reason": "subtitle_exists",
        "detail": "é",
    }


def test_a_finished_file() -> None:
    event = events.FileFinished(
        "/m/a.mkv",
        "failed",
        job_id="20260131-000001",
        stages=(StageAccount("asr", "failed", "no result", 1.5),),
        published=(Published("/m/a.en.srt", 1, 2, "abc"),),
        warnings=(StageWarning("odd", "something odd"),),
        error=ErrorInfo("crashed", "It crashed", "Again.", ErrorClass.RESOURCE, retryable=True),
    )
    record = emitted(event)
    (stage,) = record.pop("stages")
    assert (stage["name"], stage["status"], stage["seconds"]) == ("asr", "failed", 1.5)
    assert record == {
        "v": 1,
        "event": "file_finished",
        "time": STAMP,
        "path": "/m/a.mkv",
        "status": "failed",
        "held": "",
        "quarantined": False,
        "job_id": "20260131-000001",
        "job_folder": "",
        "seconds": 0.0,
        "audio_seconds": None,
        "language": None,
        "published": [{"path": "/m/a.en.srt", "size": 1, "mtime_ns": 2, "sha256": "abc"}],
        "warnings": [{"code": "odd", "message": "something odd"}],
        "error": {
            "code": "crashed",
            "message": "It crashed",
            "hint": "Again.",
            "class": "resource",
            "retryable": True,
        },
        "earlier": False,
        "length_verified": None,
        "lost_seconds": 0.0,
        "missing": [],
    }


def test_the_settings_chosen() -> None:
    record = emitted(events.RunStarted("r", "/m", "/w", 1, False, (("model", "base", "no GPU"),)))
    assert record["settings"] == [["model", "base", "no GPU"]]


def test_every_event_is_documented() -> None:
    documented = jsonlines.__doc__ or ""
    names = {event_name(kind) for kind in events.Event.__subclasses__()}
    assert names
    assert {name for name in names if f"``{name}``" not in documented} == set()
