"""What an unfinished job has put into the library, which the database does not know yet."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

from batch.file_record import FileRecord
from orchestrator.contract.files import sha256_file
from orchestrator.contract.job import Published
from orchestrator.contract.locks import LockHeld, ProcessLock
from orchestrator.contract.paths import JobFolder
from orchestrator.job.manifest import Intent, read_manifest
from orchestrator.job.publish import remove_leftovers


def with_published(record: FileRecord) -> FileRecord:
    """The record of a file that is not done, with what its job published before it was cut off.

    Otherwise our own half of the outputs would be taken for somebody else's subtitles, and the
    other half would never be made.
    """
    manifest = read_manifest(JobFolder(Path(os.fsdecode(record.job_dir))))
    if manifest is None:
        return record
    known = {one.path: one for one in manifest.published}
    for intent in manifest.intents:
        if intent.target not in known and (found := _arrived(intent)) is not None:
            known[intent.target] = found
    earlier = json.loads(record.outputs_json)
    rows = [[one.path, one.size, one.mtime_ns, one.sha256] for one in known.values()]
    new = [row for row in rows if row not in earlier]
    return record._replace(outputs_json=json.dumps(earlier + new)) if new else record


def clear_up(folder: JobFolder) -> None:
    """Remove what a job that nobody will go on with has left in the library on its way."""
    manifest = read_manifest(folder)
    if manifest is not None:
        with contextlib.suppress(LockHeld, OSError), ProcessLock(folder.lock):
            remove_leftovers(manifest.intents)


def _arrived(intent: Intent) -> Published | None:
    """The file that was about to be published, if it was."""
    target = Path(intent.target)
    try:
        status = target.lstat()
        if not target.is_file() or sha256_file(target) != intent.sha256:
            return None
    except OSError:
        return None
    return Published(intent.target, status.st_size, status.st_mtime_ns, intent.sha256)
