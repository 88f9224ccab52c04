"""The log of a run, ``runs/<run-id>/batch.log``: every event in words, times in UTC.

A skip because a file is done already is logged at ``debug`` only: a library of 100,000 finished
files is decided in under a second, and writing that many lines would take longer.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from batch import events
from batch.background import BackgroundFile
from batch.view.safe_text import safe_text
from batch.view.sentences import describe
from batch.view.words import utc_stamp
from orchestrator.contract.atomic import make_folder

LEVELS = ("debug", "info", "warning", "error")

_LEVEL_OF: dict[type[events.Event], int] = {
    events.Queued: logging.DEBUG,
    events.StagesPlanned: logging.DEBUG,
    events.StageProgress: logging.DEBUG,
    events.LoadSampled: logging.DEBUG,
    events.FileWarning: logging.WARNING,
    events.RunWarning: logging.WARNING,
    events.Draining: logging.WARNING,
}


class LogObserver:
    """Logs every event in words to the logger ``batch.run``."""

    def __init__(self) -> None:
        self._logger = logging.getLogger("batch.run")

    def handle(self, event: events.Event) -> None:
        level = _LEVEL_OF.get(type(event), logging.INFO)
        if isinstance(event, events.Skipped) and event.reason == "already_done":
            level = logging.DEBUG
        elif isinstance(event, events.FileFinished | events.RunFinished) and event.error:
            level = logging.ERROR
        if self._logger.isEnabledFor(level):
            # ``log`` would look for the line of code that called it: half the cost of an event.
            words = (describe(event),)
            record = self._logger.makeRecord(self._logger.name, level, "", 0, "%s", words, None)
            self._logger.handle(record)


@contextmanager
def log_to(path: Path, level: str) -> Iterator[None]:
    """Within the block, everything logged at ``level`` (one of LEVELS) or above goes to ``path``.

    The folder is made (0700) if need be; a file that is there is continued.

    Raises:
        OSError: the file cannot be opened.
    """
    make_folder(path.parent, mode=0o700)
    handler = _BackgroundHandler(path)
    root = logging.getLogger()
    before = root.level
    root.setLevel(level.upper())
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(before)
        handler.close()


class _BackgroundHandler(logging.Handler):
    """Logs to a file; the disk is left to a thread."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._file = BackgroundFile(path)
        self.setFormatter(_SafeFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        self._file.write(self.format(record))

    def close(self) -> None:
        self._file.close()
        super().close()


class _SafeFormatter(logging.Formatter):
    """``2026-01-31T05:40:12.345Z INFO batch.run: …``; lines of a traceback are indented."""

    def format(self, record: logging.LogRecord) -> str:
        moment = utc_stamp(datetime.fromtimestamp(record.created, UTC))
        text = f"{moment} {record.levelname} {record.name}: {safe_text(record.getMessage())}"
        if record.exc_info:
            trace = self.formatException(record.exc_info)
            text += "".join(f"\n  {safe_text(line)}" for line in trace.splitlines())
        return text
