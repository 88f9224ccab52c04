"""What an unfinished job has put into the library, which the database does not know yet."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

from batch.file_record import FileRecord
from orchestrator.contract.atomic import fsync_folder
from orchestrator.contract.files import sha256_file
from orchestrator.contract.job import Published
from orchestrator.contract.locks import LockHeld, ProcessLock
from orchestrator.contract.paths import JobFolder
from orchestrator.job.manifest import Intent, Manifest, read_manifest
from orchestrator.job.publish import remove_leftovers


def with_published(record: FileRecord) -> FileRecord:
    """The record of a file that is not done, with what its job published before it was cut off.

    Otherwise our own half of the outputs would be taken for somebody else's subtitles, and the
    other half would never be made.
    """
    manifest = read_manifest(JobFolder(Path(os.fsdecode(record.job_dir))))
    if manifest is None:
        return record
    earlier = json.loads(record.outputs_json)
    rows = [[one.path, one.size, one.mtime_ns, one.sha256] for one in _published(manifest)]
    new = [row for row in rows if row not in earlier]
    return record._replace(outputs_json=json.dumps(earlier + new)) if new else record


def clear_up(folder: JobFolder) -> None:
    """Remove what a job that nobody goes on with has left in the library on its way.

    It is gone for good when this returns: who forgets the job would not know it for ours when it
    is back after a power cut. What cannot be removed now, as its disk is away, is left for later.
    """
    manifest = read_manifest(folder)
    if manifest is None or not manifest.intents:
        return
    with contextlib.suppress(LockHeld, OSError), ProcessLock(folder.lock):
        published = _published(manifest)
        remove_leftovers(manifest.intents)
        for place in dict.fromkeys(Path(one.temporary).parent for one in manifest.intents):
            fsync_folder(place)
        manifest.published, manifest.intents = published, ()
        manifest.save(folder)


def _published(manifest: Manifest) -> tuple[Published, ...]:
    """What the job said that it published, and what it was about to publish and did."""
    known = {one.path: one for one in manifest.published}
    for intent in manifest.intents:
        if intent.target not in known and (found := _arrived(intent)) is not None:
            known[intent.target] = found
    return tuple(known.values())


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
