"""Errors as values, and the exit codes every command of this project uses.

An expected failure travels between processes and into reports as an :class:`ErrorInfo`. Inside one
process it may be raised wrapped in a :class:`Failure`; anything else that is raised is a bug.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from enum import IntEnum, StrEnum

from orchestrator.contract.records import Record

TYPE_CHECKING = False  # as typing's, whose import would cost a job 3 ms
if TYPE_CHECKING:
    from typing import Any


class ExitCode(IntEnum):
    """Process exit codes. 75 is ``EX_TEMPFAIL`` of sysexits.h; those above 128 are 128 + signal."""

    OK = 0
    INTERNAL = 1
    USAGE = 2
    NO_INPUT = 3
    PREFLIGHT = 4
    SOME_FAILED = 5
    ALREADY_RUNNING = 10
    RESUMABLE = 75
    INTERRUPTED = 130
    READER_GONE = 141
    TERMINATED = 143


class ErrorClass(StrEnum):
    """What kind of thing went wrong, which decides whether and how work is tried again."""

    INPUT = "input"
    ENVIRONMENT = "environment"
    RESOURCE = "resource"
    OUT_OF_MEMORY = "out_of_memory"
    STORAGE = "storage"
    INTERNAL = "internal"


class ErrorInfo(Record):
    """One failure: a stable snake_case ``code``, what happened, and what the user can do next."""

    code: str
    message: str
    hint: str = ""
    error_class: ErrorClass = ErrorClass.INTERNAL
    retryable: bool = False

    @property
    def is_of_storage(self) -> bool:
        """Whether it is no fault of the file: a disk is lost or full."""
        return self.error_class is ErrorClass.STORAGE

    def to_json(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            "class": self.error_class.value,
            "retryable": self.retryable,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ErrorInfo:
        """Read what :meth:`to_json` wrote.

        Raises:
            KeyError, ValueError: the mapping is not an error record.
        """
        return cls(
            code=str(data["code"]),
            message=str(data["message"]),
            hint=str(data.get("hint", "")),
            error_class=ErrorClass(data["class"]),
            retryable=bool(data.get("retryable", False)),
        )


class Failure(Exception):
    """Carries an expected :class:`ErrorInfo` up to the place that reports it."""

    def __init__(self, info: ErrorInfo) -> None:
        super().__init__(info.message)
        self.info = info


def fail(
    code: str,
    message: str,
    hint: str = "",
    *,
    error_class: ErrorClass = ErrorClass.INPUT,
    retryable: bool = False,
) -> Failure:
    """Build the :class:`Failure` to raise: ``raise fail("no_audio_track", ...)``."""
    return Failure(ErrorInfo(code, message, hint, error_class, retryable))


_STORAGE_ERRNOS = {
    errno.ENOSPC: ("disk_full", "Free some space on that disk, then run the same command again."),
    errno.EDQUOT: ("disk_full", "Free some of your quota, then run the same command again."),
    errno.EROFS: (
        "read_only",
        "The folder is read-only: choose another one with --output-dir or work_dir.",
    ),
    errno.EACCES: ("permission_denied", "Give this user access to the file or folder."),
    errno.EPERM: ("permission_denied", "Give this user access to the file or folder."),
    errno.ENAMETOOLONG: ("name_too_long", "Shorten the file's name, then run again."),
    errno.EIO: ("storage_error", "Check the disk or the network share, then run again."),
    errno.ESTALE: ("storage_error", "Mount the network share again, then run again."),
    errno.ENOTCONN: ("storage_error", "Mount the network share again, then run again."),
    errno.EHOSTDOWN: ("storage_error", "Mount the network share again, then run again."),
    errno.ETIMEDOUT: ("storage_error", "Check the disk or the network share, then run again."),
    errno.EEXIST: ("storage_error", "Something else has that name: move it, or use another one."),
    errno.ENOTDIR: ("storage_error", "A file is where a folder has to be: name another folder."),
    errno.ENOLCK: (
        "storage_error",
        "No file can be locked there: use a work folder on a local disk.",
    ),
}
_NOT_RETRYABLE = frozenset({"permission_denied", "name_too_long", "read_only"})


def describe_os_error(error: OSError, doing: str) -> ErrorInfo:
    """Turn an ``OSError`` met while ``doing`` something into a storage error with a fix."""
    code, hint = _STORAGE_ERRNOS.get(
        error.errno or 0, ("storage_error", "Check the disk, then run the same command again.")
    )
    reason = error.strerror or str(error)
    return ErrorInfo(
        code, f"{doing}: {reason}", hint, ErrorClass.STORAGE, retryable=code not in _NOT_RETRYABLE
    )


def storage_error_in(error: BaseException, doing: str) -> ErrorInfo | None:
    """What a bare error, or a group of them, says of a disk; None where it is none of that kind.

    An ``OSError`` is of that kind where the system names a file with it, or by its number.
    """
    if isinstance(error, BaseExceptionGroup):
        found = [storage_error_in(one, doing) for one in error.exceptions]
        return found[0] if all(found) else None
    if isinstance(error, Failure):
        return error.info if error.info.error_class is ErrorClass.STORAGE else None
    if isinstance(error, OSError) and error.errno is not None:
        if isinstance(error.filename, str | bytes):  # a number is that of a descriptor
            return describe_os_error(error, f"{doing} ({os.fsdecode(error.filename)})")
        if error.errno in _STORAGE_ERRNOS:
            return describe_os_error(error, doing)
    return None


_CODES_OF_USAGE = frozenset(
    {
        "usage",
        "invalid_settings",
        "invalid_catalogue",
        "no_such_gpu",
        "unknown_model",
        "bad_pattern",
        "no_stages",
        "unknown_stage",
        "stage_twice",
        "missing_input",
        "artefact_made_twice",
        "stage_cycle",
        "unknown_engine",
        "invalid_instance",
        "no_targets",
        "no_model_named",
        "no_model_for_language",
    }
)


def exit_code_of(info: ErrorInfo) -> ExitCode:
    """The exit code of a command that this error ended before any file was worked on."""
    if info.code in _CODES_OF_USAGE:
        return ExitCode.USAGE
    if info.code == "already_running":
        return ExitCode.ALREADY_RUNNING
    return {
        ErrorClass.INPUT: ExitCode.NO_INPUT,
        ErrorClass.ENVIRONMENT: ExitCode.PREFLIGHT,
        ErrorClass.STORAGE: ExitCode.RESUMABLE,
    }.get(info.error_class, ExitCode.INTERNAL)
