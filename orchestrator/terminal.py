"""What every command takes care of when it tells its user something."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Callable
from typing import TextIO

from orchestrator.contract.errors import (
    ErrorInfo,
    ExitCode,
    Failure,
    exit_code_of,
    storage_error_in,
)
from orchestrator.contract.secrets import masked


def printable(text: str) -> str:
    """``text`` with everything a terminal could obey or not encode shown as an escape.

    Line breaks stay: the messages that have them are ours.
    """
    return "".join(
        one if one.isprintable() or one == "\n" else one.encode("unicode_escape").decode("ascii")
        for one in text
    )


def printable_line(text: str) -> str:
    """As :func:`printable`, for what is not ours, such as a name: a line break is an escape too."""
    return printable(text).replace("\n", "\\n")


def accept_any_text() -> None:
    """Let standard output and error show as an escape what their encoding lacks.

    A command must not end in an error because of a name that the terminal cannot show.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def print_failure(info: ErrorInfo, stream: TextIO) -> None:
    """``error: MESSAGE (CODE)``, then what to do about it.

    Further lines of a message are indented: a name with line breaks forges no message. The login in
    an address is hidden.
    """
    text = f"error: {printable(masked(info.message))} ({info.code})"
    if info.hint:
        text += f"\nwhat to do: {printable(info.hint)}"
    text = text.replace("\n", "\n  ")
    encoding = stream.encoding or "ascii"
    print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream)


def run_command(act: Callable[[], int]) -> int:
    """Do what a command is for, and return its exit code; what ended it early is told.

    A reader of its output that went away (``| head``) ends a command without a word; where all was
    done already, that counts. Output that was closed before we started (``>&-``) is not missed.
    """
    _stand_in_for_closed_streams()
    code: int = ExitCode.READER_GONE
    try:
        code = act()
        sys.stdout.flush()  # it may be a file, on a disk that is full
        return code
    except BrokenPipeError:  # what else has a pipe takes care of it
        _throw_output_away()
        return code
    except (Failure, OSError, BaseExceptionGroup) as error:
        told = _tell(error)
        if told is None:
            raise
        return told
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED


def _stand_in_for_closed_streams() -> None:
    """Open nothing in their place, in the order of their numbers.

    Each takes its own again. Else a file that is opened later gets it, and what a child prints ends
    in there.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, errors="backslashreplace"))  # noqa: SIM115


def _throw_output_away() -> None:
    """What is left in the buffer of standard output: else Python complains of it at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _tell(error: BaseException) -> int | None:
    """Tell what ended a command, and return its exit code; None: it is a bug, and not told."""
    if isinstance(error, Failure):
        info: ErrorInfo | None = error.info
    else:
        info = storage_error_in(error, "the command could not go on")
    if info is None:
        return None
    with contextlib.suppress(OSError):  # the terminal is gone, or its file is on a full disk
        print_failure(info, sys.stderr)
    return exit_code_of(info)
