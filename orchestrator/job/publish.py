"""Bring finished files to the user: intent, temporary file, rename without replacing, record.

The library's own files are never overwritten. The one exception is a file that we published
earlier and nobody has changed since, which is known by the hash recorded then.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from orchestrator.contract.atomic import (
    exchange,
    fsync_file,
    fsync_folder,
    make_folder,
    rename_new,
    temporary_name,
)
from orchestrator.contract.errors import ErrorClass, Failure, describe_os_error, fail
from orchestrator.contract.files import free_bytes, sha256_file
from orchestrator.contract.job import Published
from orchestrator.contract.records import Record
from orchestrator.job.manifest import Intent

NAME_TAKEN = "name_taken"
ARTEFACT_DAMAGED = "artefact_damaged"

_BLOCK_BYTES = 1 << 20


class Delivery(Record):
    """One file to publish: where it lies in the store, where it goes, its size and SHA-256."""

    made: Path
    target: Path
    size: int
    sha256: str

    def is_done(self) -> bool:
        """Whether the target is there with this content. Raises: OSError."""
        return _hash_or_none(self.target, self.size) == self.sha256


def intent_of(delivery: Delivery) -> Intent | None:
    """What to record durably before the file is published; None where it is there already.

    Raises:
        Failure: a storage error.
    """
    target = delivery.target
    try:
        if delivery.is_done():
            return None
    except OSError as error:
        raise _not_written(target, error) from error
    return Intent(str(target), delivery.sha256, str(target.with_name(temporary_name(target.name))))


def publish(
    delivery: Delivery,
    intent: Intent,
    ours: Collection[str],
    record_intent: Callable[[Intent], None],
    between: Callable[[], None] = lambda: None,
) -> None:
    """Publish one file, whose ``intent`` is recorded. The caller syncs the folder of the target.

    What is at the target is replaced if its SHA-256 is one of ``ours``. ``record_intent`` must
    return only when a further intent is durable. ``between`` is called between the pieces of a
    file, which may have gigabytes; it may raise.

    Raises:
        Failure: ``name_taken`` (somebody else's file is there), ``artefact_damaged`` (the store's
            file is not what the stage made), or a storage error.
    """
    target, temporary = delivery.target, Path(intent.temporary)
    recorded = [intent]

    def displace(further: Intent) -> None:
        record_intent(further)
        recorded.append(further)

    try:
        make_folder(target.parent)
        _check_space(delivery)
        try:
            if _copy(delivery.made, temporary, between) != delivery.sha256:
                raise fail(
                    ARTEFACT_DAMAGED,
                    f"{delivery.made} is not any more what was made",
                    "Check the disk of the work folder, then run again: it is made anew.",
                    error_class=ErrorClass.STORAGE,
                    retryable=True,
                )
            _forget_cached(temporary)
            if sha256_file(temporary) != delivery.sha256:
                raise fail(
                    "storage_error",
                    f"{target}: what was written reads back differently",
                    "Check that disk or network share, then run again.",
                    error_class=ErrorClass.STORAGE,
                    retryable=True,
                )
            _put_in_place(intent, ours, displace)
        finally:
            # What was displaced, and was a person's or is not replaced after all, is put back.
            remove_temporaries(recorded)
    except OSError as error:
        raise _not_written(target, error) from error


def confirm(deliveries: Iterable[Delivery]) -> tuple[Published, ...]:
    """Make the names of what was published last, and say what there is now.

    Raises:
        Failure: a storage error.
    """
    wanted = tuple(deliveries)
    for folder in {delivery.target.parent: None for delivery in wanted}:
        try:
            fsync_folder(folder)
        except OSError as error:
            raise _not_written(folder, error) from error
    return tuple(map(_published, wanted))


def remove_leftovers(intents: tuple[Intent, ...]) -> tuple[Intent, ...]:
    """Remove what a killed run left in the library on its way there; each is named in an intent.

    Returns those whose file is still there.
    """
    for intent in intents:
        if intent.takes_name:
            with contextlib.suppress(OSError):
                target = Path(intent.target)
                if target.is_file() and not target.is_symlink() and not target.stat().st_size:
                    target.unlink()
    return remove_temporaries(intents)  # last: it may put back what has a name that we had taken


def remove_temporaries(intents: Collection[Intent]) -> tuple[Intent, ...]:
    """Remove the temporary files of these; returns those whose file is still there.

    What a person edited in the last moment, and we had displaced, is put back; where they have
    saved once more at the target, both stay. Our own older file is put back where we had moved it
    aside and never got the new one there (see :func:`_has_lost_its_file`).
    """
    ours = {intent.sha256 for intent in intents}
    displacing = {intent.temporary for intent in intents if intent.displaces}
    for aside in intents:
        if aside.moves_aside and _has_lost_its_file(aside.target, intents):
            with contextlib.suppress(OSError):
                Path(aside.temporary).lstat()  # an earlier one of the same target may be gone
                rename_new(Path(aside.temporary), Path(aside.target))
    for intent in intents:
        leftover = Path(intent.temporary)
        with contextlib.suppress(OSError):
            displaced = intent.temporary in displacing and os.path.lexists(leftover)
            if displaced and _hash_or_none(leftover) not in ours:
                _put_back(leftover, Path(intent.target), ours)
            elif not _has_lost_its_file(intent.target, intents):
                leftover.unlink(missing_ok=True)
    return tuple(intent for intent in intents if os.path.lexists(intent.temporary))


def _has_lost_its_file(target: str, intents: Collection[Intent]) -> bool:
    """Whether what was at the target lies aside, and what was to come there is still on its way.

    Then nobody but us has left the name free. Without the new file, or where the two were swapped
    in one step, there has been a file at the target all the time: if there is none now, somebody
    has removed it on purpose.
    """
    there = {
        one.moves_aside
        for one in intents
        if one.target == target and os.path.lexists(one.temporary)
    }
    return there == {True, False} and not os.path.lexists(target)


def _check_space(delivery: Delivery) -> None:
    """A film that does not fit is not begun. Raises: OSError."""
    if free_bytes(delivery.target.parent) < delivery.size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _copy(source: Path, temporary: Path, between: Callable[[], None]) -> str:
    """Copy durably; the SHA-256 of what was read."""
    read = hashlib.sha256()
    with source.open("rb") as reader, temporary.open("xb") as writer:
        while block := reader.read(_BLOCK_BYTES):
            between()
            read.update(block)
            writer.write(block)
    fsync_file(temporary)
    return read.hexdigest()


def _forget_cached(path: Path) -> None:
    """Let the next read come from the disk and not from memory, where the system can do that."""
    if hasattr(os, "posix_fadvise"):
        with path.open("rb") as stream:
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _put_back(leftover: Path, target: Path, ours: Collection[str]) -> None:
    """Give a person's file its name again, unless they have saved something else there since."""
    try:
        rename_new(leftover, target)
    except FileExistsError:
        if _hash_or_none(target) not in ours or not exchange(leftover, target):
            return
        if _hash_or_none(leftover) in ours:
            leftover.unlink()
        else:  # saved between the check and the swap
            exchange(leftover, target)


def _put_in_place(
    intent: Intent, ours: Collection[str], record_intent: Callable[[Intent], None]
) -> None:
    temporary, target = Path(intent.temporary), Path(intent.target)

    def before_taking() -> None:
        record_intent(Intent(intent.target, intent.sha256, intent.temporary, takes_name=True))

    try:
        rename_new(temporary, target, before_taking)
        return
    except FileExistsError:
        pass
    except FileNotFoundError as error:
        if temporary.exists():  # so it is the name: exFAT and Windows shares say it in this way
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL)) from error
        raise
    owned_sha256 = _hash_or_none(target)
    if owned_sha256 is None or owned_sha256 not in ours:
        raise _taken(target)
    record_intent(Intent(str(target), owned_sha256, str(temporary), displaces=True))
    if exchange(temporary, target):
        displaced = temporary
    else:
        displaced = target.with_name(temporary_name(target.name))
        record_intent(
            Intent(str(target), owned_sha256, str(displaced), displaces=True, takes_name=True)
        )
        target.rename(displaced)
    if _hash_or_none(displaced) != owned_sha256:  # edited between the check and the swap
        _put_back(displaced, target, {intent.sha256})
        raise _taken(target)
    if displaced != temporary:
        try:
            rename_new(temporary, target)
        except FileExistsError:  # somebody saved under the name while nothing had it
            raise _taken(target) from None
    with contextlib.suppress(OSError):
        displaced.unlink()


def _taken(target: Path) -> Failure:
    return fail(
        NAME_TAKEN,
        f"{target} is there already and was not made (or was changed since) by us: left alone",
        "Move or rename that file, or choose an --output-dir, then run again.",
        retryable=True,
    )


def _hash_or_none(path: Path, size: int | None = None) -> str | None:
    """None for what is not there or has another size, and for what is no file (a FIFO would be
    waited on for ever)."""
    try:
        if not path.is_file() or size not in (None, path.stat().st_size):
            return None
        return sha256_file(path)
    except (FileNotFoundError, IsADirectoryError):
        return None
    except OSError as error:
        if error.errno != errno.EINVAL:  # it has become something else than a file just now
            raise
        return None


def _published(delivery: Delivery) -> Published:
    target = delivery.target
    try:
        status = target.stat()
    except OSError as error:
        raise _not_written(target, error) from error
    return Published(str(target), status.st_size, status.st_mtime_ns, delivery.sha256)


def _not_written(path: Path, error: OSError) -> Failure:
    if error.errno in (errno.EINVAL, errno.EILSEQ):
        return fail(
            "name_not_allowed",
            f"{path}: the disk does not allow this name",
            'Rename the media file without " * : < > ? | \\ or bytes that are no UTF-8, and '
            "without a dot or space at its end, or choose an --output-dir on another disk.",
        )
    return Failure(describe_os_error(error, f"{path} could not be written"))
