"""Errors as values, and what they mean for a command's exit status."""

import errno
import os

import pytest

from orchestrator.contract.errors import (
    ErrorClass,
    ErrorInfo,
    ExitCode,
    Failure,
    describe_os_error,
    exit_code_of,
    fail,
    storage_error_in,
)


@pytest.mark.parametrize(
    ("number", "code", "retryable"),
    [
        (errno.ENOSPC, "disk_full", True),
        (errno.EDQUOT, "disk_full", True),
        (errno.EROFS, "read_only", False),
        (errno.EACCES, "permission_denied", False),
        (errno.EPERM, "permission_denied", False),
        (errno.ENAMETOOLONG, "name_too_long", False),
        (errno.EIO, "storage_error", True),
        (errno.ESTALE, "storage_error", True),
        (errno.ENOTCONN, "storage_error", True),
        (errno.EHOSTDOWN, "storage_error", True),
        (errno.ETIMEDOUT, "storage_error", True),
        (errno.EEXIST, "storage_error", True),
        (errno.ENOTDIR, "storage_error", True),
        (errno.ENOENT, "storage_error", True),
    ],
)
def test_each_storage_error_has_a_code_and_a_way_out(
    number: int, code: str, retryable: bool
) -> None:
    info = describe_os_error(OSError(number, os.strerror(number)), "film.srt could not be written")
    assert (info.code, info.retryable, info.error_class) == (code, retryable, ErrorClass.STORAGE)
    assert info.message == f"film.srt could not be written: {os.strerror(number)}"
    assert info.hint.endswith(".")


def test_only_errors_of_a_disk_are_told_as_such() -> None:
    broken = OSError(errno.EIO, "Input/output error", "/batch/batch.db")
    disks: list[Exception] = [broken, OSError(errno.ESTALE, "stale")]
    for told in (broken, ExceptionGroup("", disks)):
        info = storage_error_in(told, "it stopped")
        assert info is not None
        assert info.message == "it stopped (/batch/batch.db): Input/output error"
    full = fail("disk_full", "no space", error_class=ErrorClass.STORAGE)
    assert storage_error_in(ExceptionGroup("", [full]), "it stopped") == full.info
    for error in (
        KeyError("x"),
        fail("no_audio_track", "silence"),
        OSError(errno.ECHILD, "no child"),
        OSError(errno.EBADF, "bad file descriptor", 7),
        OSError("no number"),
        ExceptionGroup("", [broken, KeyError("x")]),
    ):
        assert storage_error_in(error, "it stopped") is None


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EEXIST, errno.EISDIR, errno.ENXIO])
def test_an_error_with_a_file_s_name_is_of_a_disk_whatever_its_number(number: int) -> None:
    """A file in the place of the work folder was told as a bug."""
    for name in ("/films/é", "/films/é".encode()):
        info = storage_error_in(OSError(number, os.strerror(number), name), "it stopped")
        assert info is not None
        assert info.message == f"it stopped (/films/é): {os.strerror(number)}"
        assert exit_code_of(info) is ExitCode.RESUMABLE


def test_an_os_error_without_number_is_told_by_its_text() -> None:
    info = describe_os_error(OSError("the share is gone"), "film.mkv")
    assert (info.code, info.message) == ("storage_error", "film.mkv: the share is gone")


@pytest.mark.parametrize("error_class", ErrorClass)
def test_an_error_survives_as_json(error_class: ErrorClass) -> None:
    info = ErrorInfo("code", "what", "do this", error_class, retryable=True)
    assert ErrorInfo.from_json(info.to_json()) == info
    assert ErrorInfo.from_json({"code": "a", "message": "b", "class": error_class.value}) == (
        ErrorInfo("a", "b", "", error_class)
    )


def test_what_is_no_error_record_is_refused() -> None:
    with pytest.raises(KeyError):
        ErrorInfo.from_json({"message": "b", "class": "input"})
    with pytest.raises(ValueError, match="weather"):
        ErrorInfo.from_json({"code": "a", "message": "b", "class": "weather"})


def test_a_failure_carries_its_error() -> None:
    failure = fail("no_audio_track", "film.mkv has no audio", "Skip it.")
    assert isinstance(failure, Failure)
    assert str(failure) == "film.mkv has no audio"
    assert failure.info == ErrorInfo(
        "no_audio_track", "film.mkv has no audio", "Skip it.", ErrorClass.INPUT
    )


@pytest.mark.parametrize(
    ("code", "error_class", "expected"),
    [
        ("invalid_settings", ErrorClass.INPUT, ExitCode.USAGE),
        ("invalid_catalogue", ErrorClass.INPUT, ExitCode.USAGE),
        ("unknown_stage", ErrorClass.INPUT, ExitCode.USAGE),
        ("no_such_gpu", ErrorClass.ENVIRONMENT, ExitCode.USAGE),
        ("already_running", ErrorClass.RESOURCE, ExitCode.ALREADY_RUNNING),
        ("no_media", ErrorClass.INPUT, ExitCode.NO_INPUT),
        ("model_unavailable", ErrorClass.ENVIRONMENT, ExitCode.PREFLIGHT),
        ("disk_full", ErrorClass.STORAGE, ExitCode.RESUMABLE),
        ("stage_raised", ErrorClass.INTERNAL, ExitCode.INTERNAL),
        ("out_of_memory", ErrorClass.OUT_OF_MEMORY, ExitCode.INTERNAL),
        ("busy", ErrorClass.RESOURCE, ExitCode.INTERNAL),
    ],
)
def test_the_exit_code_of_an_error(code: str, error_class: ErrorClass, expected: ExitCode) -> None:
    assert exit_code_of(ErrorInfo(code, "", "", error_class)) is expected


def test_the_exit_codes_are_those_promised() -> None:
    assert {code.name: int(code) for code in ExitCode} == {
        "OK": 0,
        "INTERNAL": 1,
        "USAGE": 2,
        "NO_INPUT": 3,
        "PREFLIGHT": 4,
        "SOME_FAILED": 5,
        "ALREADY_RUNNING": 10,
        "RESUMABLE": 75,
        "INTERRUPTED": 130,
        "READER_GONE": 141,
        "TERMINATED": 143,
    }
