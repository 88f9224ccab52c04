"""``events.jsonl``: what happened in a job and when, for people and for later analysis."""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path

from orchestrator.contract.messages import Message
from orchestrator.contract.records import to_json


class EventLog:
    """Appends a line per event. It is no truth: a full disk here must not fail the job."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1

    def append(self, message: Message) -> None:
        line = {"at": round(time.time(), 3), "type": message.type, **to_json(message)}
        with contextlib.suppress(OSError):
            if self._descriptor < 0:
                flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
                self._descriptor = os.open(self._path, flags, 0o600)
            os.write(self._descriptor, json.dumps(line).encode("ascii") + b"\n")

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
