"""What every command takes care of when it tells its user something."""

from __future__ import annotations

import io
import sys
from typing import TextIO

from orchestrator.contract.errors import (
    ErrorInfo,
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


def tell_error(error: BaseException) -> int | None:
    """Tell what ended a command, and return its exit code; None: it is a bug, and not told."""
    if isinstance(error, Failure):
        info: ErrorInfo | None = error.info
    else:
        info = storage_error_in(error, "a disk or network share cannot be used any more")
    if info is None:
        return None
    print_failure(info, sys.stderr)
    return exit_code_of(info)
