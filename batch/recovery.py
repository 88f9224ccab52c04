"""What an unfinished job has put into the library, which the database does not know yet."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

from batch.file_record import FileRecord
from orchestrator.contract.locks import LockHeld, ProcessLock
from orchestrator.contract.paths import JobFolder
from orchestrator.job import leftovers
from orchestrator.job.manifest import read_manifest


def with_published(record: FileRecord) -> FileRecord:
    """The record of a file that is not done, with what its job published before it was cut off.

    Otherwise our own half of the outputs would be taken for somebody else's subtitles, and the
    other half would never be made.
    """
    manifest = read_manifest(JobFolder(Path(os.fsdecode(record.job_dir))))
    if manifest is None:
        return record
    earlier = json.loads(record.outputs_json)
    published = leftovers.published_by(manifest)
    rows = [[one.path, one.size, one.mtime_ns, one.sha256] for one in published]
    new = [row for row in rows if row not in earlier]
    return record._replace(outputs_json=json.dumps(earlier + new)) if new else record


def clear_up(folder: JobFolder) -> None:
    """Remove what a job that nobody goes on with has left in the library on its way.

    What cannot be removed now, as its disk is away, is left for later.
    """
    manifest = read_manifest(folder)
    if manifest is None or not manifest.intents:  # a lock would make a folder that is gone anew
        return
    with contextlib.suppress(LockHeld, OSError), ProcessLock(folder.lock):
        leftovers.clear_up(folder)
