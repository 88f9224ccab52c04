"""Bring finished files to the user: intent, temporary file, rename without replacing, record.

The library's own files are never overwritten. The one exception is a file that we published
earlier and nobody has changed since, which is known by the hash recorded then.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestrator.contract.atomic import (
    exchange,
    fsync_file,
    fsync_folder,
    rename_new,
    temporary_name,
)
from orchestrator.contract.errors import ErrorClass, Failure, describe_os_error, fail
from orchestrator.contract.files import sha256_file
from orchestrator.contract.job import Published
from orchestrator.job.manifest import Intent


@dataclass(frozen=True, slots=True)
class Delivery:
    """One file to publish: where it lies in the store, where it goes, and its SHA-256."""

    made: Path
    target: Path
    sha256: str


def publish(
    delivery: Delivery, owned: Mapping[str, str], record_intent: Callable[[Intent], None]
) -> Published:
    """Publish one file. ``record_intent`` must return only when the intent is durable.

    Raises:
        Failure: ``name_taken`` (somebody else's file is there), or a storage error.
    """
    target = delivery.target
    try:
        make_folder(target.parent)
        if _hash_or_none(target) == delivery.sha256:
            return _published(target, delivery.sha256)
        temporary = target.with_name(temporary_name(target.name))
        record_intent(Intent(str(target), delivery.sha256, str(temporary)))
        try:
            _copy(delivery.made, temporary)
            if sha256_file(temporary) != delivery.sha256:
                raise fail(
                    "storage_error",
                    f"{target}: what was written reads back differently",
                    "Check that disk or network share, then run again.",
                    error_class=ErrorClass.STORAGE,
                    retryable=True,
                )
            _put_in_place(temporary, target, owned.get(target.name), record_intent)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
        fsync_folder(target.parent)
    except OSError as error:
        raise Failure(describe_os_error(error, f"{target} could not be written")) from error
    return _published(target, delivery.sha256)


def remove_leftovers(intents: tuple[Intent, ...]) -> None:
    """Remove temporary files that a killed run left in the library; each is named in an intent.

    What a person edited in the moment before the kill, and we had moved aside, is put back.
    """
    ours = {intent.sha256 for intent in intents}
    displacing = {intent.temporary for intent in intents if intent.displaces}
    for intent in intents:
        leftover = Path(intent.temporary)
        with contextlib.suppress(OSError):
            if intent.temporary in displacing and _hash_or_none(leftover) not in (None, *ours):
                _put_back(leftover, Path(intent.target))
            else:
                leftover.unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    """Create a folder and its missing parents durably. Raises: OSError."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir(exist_ok=True)
        fsync_folder(one.parent)


def _copy(source: Path, temporary: Path) -> None:
    with source.open("rb") as reader, temporary.open("xb") as writer:
        while block := reader.read(1 << 20):
            writer.write(block)
    fsync_file(temporary)


def _put_back(leftover: Path, target: Path) -> None:
    try:
        rename_new(leftover, target)
    except FileExistsError:
        if exchange(leftover, target):
            leftover.unlink()


def _put_in_place(
    temporary: Path,
    target: Path,
    owned_sha256: str | None,
    record_intent: Callable[[Intent], None],
) -> None:
    try:
        rename_new(temporary, target)
        return
    except FileExistsError:
        pass
    if owned_sha256 is None or _hash_or_none(target) != owned_sha256:
        raise _taken(target)
    record_intent(Intent(str(target), owned_sha256, str(temporary), displaces=True))
    if exchange(temporary, target):
        if sha256_file(temporary) != owned_sha256:
            # Somebody edited it between the check and the swap: give it back to them.
            exchange(temporary, target)
            raise _taken(target)
        return
    aside = target.with_name(temporary_name(target.name))
    record_intent(Intent(str(target), owned_sha256, str(aside), displaces=True))
    target.rename(aside)
    if sha256_file(aside) != owned_sha256:
        rename_new(aside, target)
        raise _taken(target)
    rename_new(temporary, target)
    aside.unlink()


def _taken(target: Path) -> Failure:
    return fail(
        "name_taken",
        f"{target} is there already and was not made (or was changed since) by us: left alone",
        "Move or rename that file, or choose an --output-dir, then run again.",
    )


def _hash_or_none(path: Path) -> str | None:
    """None for what is not there, and for what is no file (a FIFO would be waited on for ever)."""
    try:
        return sha256_file(path) if path.is_file() else None
    except FileNotFoundError:
        return None


def _published(target: Path, sha256: str) -> Published:
    status = target.stat()
    return Published(str(target), status.st_size, status.st_mtime_ns, sha256)
