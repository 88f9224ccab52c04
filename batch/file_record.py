"""What is remembered of a media file between runs, as it comes from ``batch.db``."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import NamedTuple

from batch.retry import Count
from batch.state_schema import damaged
from orchestrator.contract.errors import ErrorInfo
from orchestrator.contract.job import Published

DONE = "done"
FAILED = "failed"
STARTED = "started"
INTERRUPTED = "interrupted"

_UNREADABLE = (ValueError, TypeError, KeyError, AttributeError)

# Run for every finished file of every run: json.loads is a Python function.
_read_json = json.JSONDecoder().raw_decode


class Content(NamedTuple):
    """Which content a file had: size in bytes, mtime in ns, fingerprint ("" if never taken)."""

    size: int
    mtime_ns: int
    fingerprint: str = ""


class FileRecord(NamedTuple):
    """What is remembered of one file. JSON columns stay text until somebody asks.

    ``version`` is that of the program it failed with. Columns that cannot be read raise Failure
    ``state_damaged`` when asked for.
    """

    size: int
    mtime_ns: int
    fingerprint: str
    status: str
    settings_key: str
    job_dir: bytes
    outputs_json: str
    former_json: str
    error_json: str | None
    failures: int = 0
    retry_after: float = 0.0
    version: str = ""

    @property
    def output_paths(self) -> list[str]:
        """Outputs of the last success: a bare name is beside the media, else an absolute path."""
        try:
            rows, _ = _read_json(self.outputs_json)
            return [row[0] for row in rows]
        except _UNREADABLE as error:
            raise damaged(f"a record of outputs cannot be read: {error}") from error

    def published(self, folder: str) -> list[Published]:
        """Every file we made for the media in ``folder``, also under earlier settings."""
        return self.published_last(folder) + self.published_before(folder)

    def published_last(self, folder: str) -> list[Published]:
        """The outputs of the last success."""
        return self._published(folder, self.outputs_json)

    def published_before(self, folder: str) -> list[Published]:
        """What is still ours of earlier settings."""
        return self._published(folder, self.former_json)

    def _published(self, folder: str, text: str) -> list[Published]:
        try:
            return [
                Published(os.path.join(folder, path), size, mtime_ns, sha256)
                for path, size, mtime_ns, sha256 in json.loads(text)
            ]
        except _UNREADABLE as error:
            raise damaged(f"a record of outputs cannot be read: {error}") from error

    @property
    def error(self) -> ErrorInfo | None:
        return error_from(self.error_json)

    @property
    def past(self) -> Count:
        return Count(self.failures, self.retry_after)


class Restored(NamedTuple):
    """A file's record as it is put together from other sources. ``updated`` is seconds of epoch."""

    path: str
    content: Content
    status: str
    settings_key: str
    job_dir: str
    outputs: tuple[Published, ...]
    former: tuple[Published, ...]
    error: ErrorInfo | None
    failures: int
    version: str
    updated: float


class Failing(NamedTuple):
    """A file that failed the last time, and when that was (seconds since the epoch)."""

    path: str
    error: ErrorInfo | None
    past: Count
    when: float


def error_from(text: str | None) -> ErrorInfo | None:
    """The error in a column. Raises: Failure ``state_damaged``."""
    if text is None:
        return None
    try:
        return ErrorInfo.from_json(json.loads(text))
    except _UNREADABLE as error:
        raise damaged(f"a record of an error cannot be read: {error}") from error


def still_ours(earlier: Iterable[Published], outputs: Iterable[Published]) -> list[Published]:
    """What we published before, and is not replaced by ``outputs``."""
    current = {output.path for output in outputs}
    return [output for output in earlier if output.path not in current]


def outputs_json(outputs: Iterable[Published], folder: str) -> str:
    """Compact, because it is read for every finished file of every run."""
    rows = []
    for output in outputs:
        parent, name = os.path.split(output.path)
        where = name if parent == folder else output.path
        rows.append([where, output.size, output.mtime_ns, output.sha256])
    return json.dumps(rows, separators=(",", ":"))
