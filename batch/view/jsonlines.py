"""The view for machines (``--json``): each event as one line of ASCII JSON on standard output.

Every object has ``v`` (version of this format, now 1), ``event`` (its name: ``run_started``,
``discovered``, ``all_decided``, ``queued``, ``skipped``, ``file_started``, ``file_parked``,
``stages_planned``, ``stage_progress``, ``file_warning``, ``run_warning``, ``file_finished``,
``load_sampled``, ``throttled``, ``throttle_ended``, ``draining``, ``run_finished``) and ``time``
(UTC, ISO 8601), then the fields of that class in :mod:`batch.events` under their own names. Names
may be added within a version, never changed. While nobody reads, ``stage_progress`` and
``load_sampled`` may be left out.
Bytes of file names that are not UTF-8 are lone surrogates (``\\udcff`` is the byte 0xff). The
``error`` of ``file_finished`` and ``run_finished`` has ``code``, ``message``, ``hint``, ``class``
and ``retryable``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import fields
from datetime import datetime
from typing import Any

from batch import events
from batch.view.stream import PASSING, LineStream, LineView
from batch.view.words import utc_now, utc_stamp
from orchestrator.contract.errors import ErrorInfo
from orchestrator.contract.records import to_json

JSON_VERSION = 1


class JsonView(LineView):
    """``now`` tells the time for the stamps."""

    def __init__(self, lines: LineStream, *, now: Callable[[], datetime] = utc_now) -> None:
        self._lines = lines
        self._now = now

    def handle(self, event: events.Event) -> None:
        record = {"v": JSON_VERSION, "event": event_name(type(event)), "time": self._stamp()}
        for one in fields(event):
            record[one.name] = _plain(getattr(event, one.name))
        self._lines.line(json.dumps(record), passing=isinstance(event, PASSING))

    def _stamp(self) -> str:
        return utc_stamp(self._now())


def event_name(kind: type[events.Event]) -> str:
    """``FileFinished`` is ``file_finished``."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()


def _plain(value: Any) -> Any:
    if isinstance(value, ErrorInfo):
        return value.to_json()
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    if hasattr(value, "__dataclass_fields__"):
        return to_json(value)
    return value
