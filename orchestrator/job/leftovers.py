"""What a job that was cut off has put into the library, and what it left there on its way."""

from __future__ import annotations

from pathlib import Path

from orchestrator.contract.atomic import fsync_folder
from orchestrator.contract.files import sha256_file
from orchestrator.contract.job import Published
from orchestrator.contract.paths import JobFolder
from orchestrator.job.manifest import Intent, Manifest, read_manifest
from orchestrator.job.publish import remove_leftovers


def published_by(manifest: Manifest) -> tuple[Published, ...]:
    """What the job said that it published, and what it was about to publish and did."""
    known = {one.path: one for one in manifest.published}
    for intent in manifest.intents:
        if intent.target not in known and (found := _arrived(intent)) is not None:
            known[intent.target] = found
    return tuple(known.values())


def clear_up(folder: JobFolder) -> bool:
    """Remove what a job has left in the library on its way; the caller holds the job's lock.

    It is gone for good when this returns True: who forgets the job would not know it for ours when
    it is back after a power cut. False: something could not be removed, and is still known.

    Raises:
        OSError: a disk cannot be reached, so that nothing is known of what is on it.
    """
    manifest = read_manifest(folder)
    if manifest is None or not manifest.intents:
        return True
    left = remove_leftovers(manifest.intents)
    for place in dict.fromkeys(Path(one.temporary).parent for one in manifest.intents):
        fsync_folder(place)
    unsettled = {one.target for one in left}
    manifest.published = published_by(manifest)  # after what was put back in their place
    manifest.intents = tuple(one for one in manifest.intents if one.target in unsettled)
    manifest.save(folder)
    return not left


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
