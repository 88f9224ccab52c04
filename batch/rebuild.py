"""What the folders of the jobs tell of the library, for a database that was lost or lags behind.

A job knows the file it was made for, the settings, what it published and how it ended. So what is
done can be told without the database, and what is in the library is still known as ours, or as
changed by somebody since. Jobs that were run by hand are left out: the batch never heard of them,
and what they made stays as it is.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from batch.file_record import (
    DONE,
    FAILED,
    INTERRUPTED,
    STARTED,
    Content,
    FileRecord,
    Restored,
    still_ours,
)
from batch.retry import Count, after_failure
from batch.state import State
from orchestrator.contract.errors import ErrorInfo, Failure
from orchestrator.contract.job import Job, Published, read_job
from orchestrator.contract.paths import JobFolder, WorkFolder
from orchestrator.job.manifest import Manifest, read_manifest
from orchestrator.jobs import BY_HAND_RUN, all_jobs

_MARGIN_SECONDS = 60.0
"""A job says to the second when it ended."""

_RUN_ID = re.compile(r"(\d{8}T\d{6}Z)-[0-9a-f]+")
_STATUS = {"done": DONE, "failed": FAILED, "interrupted": INTERRUPTED}


class Story(NamedTuple):
    """What a job's folder says of its file; ``when`` it was last written (epoch)."""

    path: str
    content: Content
    status: str
    settings_key: str
    job_dir: str
    published: tuple[Published, ...]
    error: ErrorInfo | None
    version: str
    when: float


def catch_up(state: State, work: WorkFolder) -> int | None:
    """Bring the database up to the folders of the jobs, where it does not know all that was done.

    Each run leaves a folder and a row of the database. A folder without its row means that what was
    written last is lost: a file beside the database was removed, or an old copy put in its place.

    Returns:
        How many files were recorded; None where nothing was missing.

    Raises:
        Failure: the database cannot be read or written.
    """
    known = state.runs()
    unknown = {name: when for name, when in _runs_in(work) if name not in known}
    if known and not unknown:
        return None
    since = min(unknown.values()) - _MARGIN_SECONDS if known else 0.0
    files = replay((one for one in stories(work) if one.when >= since), state.record)
    state.restore(files, unknown.items())
    return len(files)


def stories(work: WorkFolder) -> Iterator[Story]:
    """What all the jobs say that the batch has ever run, and that can still be read."""
    for folder in all_jobs(work):
        story = story_of(folder)
        if story is not None:
            yield story


def story_of(folder: JobFolder) -> Story | None:
    """None: it was never run, was run by hand, or cannot be read."""
    manifest = read_manifest(folder)
    if manifest is None or manifest.run_id.startswith(BY_HAND_RUN):
        return None
    try:
        job = read_job(folder)
        return None if job.clip is not None else _story(folder, job, manifest)
    except (Failure, ValueError, KeyError):
        return None


def _story(folder: JobFolder, job: Job, manifest: Manifest) -> Story:
    """Raises: ValueError, KeyError (what it says of the time or the error is unreadable)."""
    source = job.source
    return Story(
        source.path,
        Content(source.size, source.mtime_ns, source.fingerprint),
        _STATUS.get(manifest.status, STARTED),
        job.settings_key,
        str(folder.root),
        manifest.published,
        None if manifest.error is None else ErrorInfo.from_json(manifest.error),
        job.versions.get("batch-subtitles", ""),
        datetime.fromisoformat(manifest.updated).timestamp(),
    )


def replay(
    told: Iterable[Story], record_of: Callable[[str], FileRecord | None]
) -> tuple[Restored, ...]:
    """The records of the files that the stories change, as if they happened now, one by one.

    ``record_of`` gives what is known of a file. Of a job that it knows as well only the end can be
    news.
    """
    files: dict[str, Restored] = {}
    for story in sorted(told, key=lambda one: (one.when, one.job_dir)):
        before = files.get(story.path)
        outputs: tuple[Published, ...]
        former: tuple[Published, ...]
        if before is not None:
            outputs, former = before.outputs, before.former
        else:
            record = record_of(story.path)
            if record is not None and _is_known(record, story):
                continue
            folder = os.path.dirname(story.path)
            outputs = tuple(record.published_last(folder)) if record else ()
            former = tuple(record.published_before(folder)) if record else ()
        if story.status == DONE:
            former = tuple(still_ours((*outputs, *former), story.published))
            outputs = story.published
        files[story.path] = _restored(story, outputs, former)
    return tuple(files.values())


def _is_known(record: FileRecord, story: Story) -> bool:
    same_job = os.fsdecode(record.job_dir) == story.job_dir
    return same_job and (record.status == DONE or story.status != DONE)


def _restored(
    story: Story, outputs: tuple[Published, ...], former: tuple[Published, ...]
) -> Restored:
    failed = story.error is not None and story.status == FAILED
    count = Count()
    if failed:
        assert story.error is not None
        count = after_failure(count, story.error, story.when, lambda: 0.0)
    return Restored(
        story.path,
        story.content,
        story.status,
        story.settings_key,
        story.job_dir,
        outputs,
        former,
        story.error if failed else None,
        count.failures,
        story.version if failed else "",
        story.when,
    )


def _runs_in(work: WorkFolder) -> Iterator[tuple[str, float]]:
    """Runs that left a folder, and when they began (seconds since the epoch)."""
    if not work.runs.is_dir():
        return
    for name in os.listdir(work.runs):
        match = _RUN_ID.fullmatch(name)
        if match is not None:
            yield name, _moment(match[1])


def _moment(stamp: str) -> float:
    return datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
