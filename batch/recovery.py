"""What an unfinished job had already put into the library, which the database does not know yet."""

from __future__ import annotations

import json
import os
from pathlib import Path

from batch.state import FileRecord
from orchestrator.contract.files import sha256_file
from orchestrator.contract.job import Published
from orchestrator.contract.paths import JobFolder
from orchestrator.job.manifest import Intent, read_manifest


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
    rows = [[one.path, one.size, one.mtime_ns, one.sha256] for one in known.values()]
    if not rows:
        return record
    return record._replace(outputs_json=json.dumps(json.loads(record.outputs_json) + rows))


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
