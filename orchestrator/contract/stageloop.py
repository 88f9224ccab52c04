"""A stage process: requests come in a reader thread and are served in the main one.

While it serves, the process beats, hears a cancel, and ends at once when its pipe does.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.contract.bootstrap import EXIT_FAILED, EXIT_OK, EXIT_PIPE_CLOSED
from orchestrator.contract.channel import Sender, start_reader
from orchestrator.contract.exchange import StageRequest
from orchestrator.contract.messages import Cancel, Finished, Message, Run, Started
from orchestrator.contract.processes import end_family
from orchestrator.contract.records import from_json
from orchestrator.contract.report import HEARTBEAT_SECONDS, Report
from orchestrator.contract.serving import (
    StageServer,
    error_of,
    serve_attempt,
    serve_inline,
    serve_load,
)


class StageLoop:
    """Serves the stage in ``folder``; says what it has to say through ``sender``."""

    def __init__(self, folder: Path, sender: Sender) -> None:
        self._folder = folder
        self._server = StageServer(folder)
        self._sender = sender
        self._requests: queue.SimpleQueue[Mapping[str, Any] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._unanswered = 0
        self._cancelled = False
        self._report: Report | None = None

    def serve_one(self, attempt: Path, incoming: int) -> int:
        """Serve one attempt; returns the exit status."""
        facts = {"pid": os.getpid(), "python": sys.version.split()[0]}
        self._sender.send(Started(self._folder.name, facts))
        self._unanswered = 1
        self._listen(incoming)
        return EXIT_OK if self._serve({"attempt": str(attempt)}) else EXIT_FAILED

    def serve_all(self, incoming: int) -> int:
        """Serve requests until the pipe ends; returns the exit status."""
        self._listen(incoming)
        while (request := self._requests.get()) is not None:
            self._serve(request)
        return EXIT_OK

    def _listen(self, incoming: int) -> None:
        start_reader(incoming, self._heard, self._ended)
        threading.Thread(target=self._beat, name="heartbeat", daemon=True).start()

    def _serve(self, request: Mapping[str, Any]) -> bool:
        try:
            answer = self._answer(request)
        except Exception as error:  # what was asked is no request
            answer = Finished("", False, error_of(error))
        with self._lock:
            self._unanswered -= 1
            self._report, self._cancelled = None, False
        self._sender.send(answer)
        return answer.ok

    def _answer(self, asked: Mapping[str, Any]) -> Finished:
        if asked.keys() == {"load"}:
            settings = dict(asked["load"])
            threads = settings.pop("threads", None) or int(os.environ.get("OMP_NUM_THREADS", "1"))
            return serve_load(self._server, settings, threads)
        if asked.keys() == {"attempt"}:
            return serve_attempt(self._server, Path(asked["attempt"]), self._new_report)
        request = from_json(StageRequest, asked)
        return serve_inline(self._server, request, self._new_report(request.stage))

    def _new_report(self, stage: str) -> Report:
        report = Report(self._sender, stage)
        with self._lock:
            self._report = report
            if self._cancelled:
                report.cancel()
        return report

    def _heard(self, message: Message) -> None:
        with self._lock:
            if isinstance(message, Run):
                self._unanswered += 1
                self._requests.put(message.request)
            elif isinstance(message, Cancel) and self._unanswered:
                self._cancelled = True
                if self._report is not None:
                    self._report.cancel()

    def _ended(self) -> None:
        with self._lock:
            if self._unanswered:
                end_family(EXIT_PIPE_CLOSED)
        self._requests.put(None)

    def _beat(self) -> None:
        pause = threading.Event()
        while not pause.wait(HEARTBEAT_SECONDS):
            report = self._report
            if report is not None:
                report.beat()
