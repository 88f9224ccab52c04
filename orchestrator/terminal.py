"""How every command tells its user about a failure."""

from __future__ import annotations

from typing import TextIO

from orchestrator.contract.errors import ErrorInfo


def printable(text: str) -> str:
    """``text`` with everything a terminal could obey or not encode shown as an escape.

    Line breaks stay: the messages that have them are ours.
    """
    return "".join(
        one if one.isprintable() or one == "\n" else one.encode("unicode_escape").decode("ascii")
        for one in text
    )


def print_failure(info: ErrorInfo, stream: TextIO) -> None:
    """``error: MESSAGE (CODE)``, then what to do about it."""
    lines = [f"error: {printable(info.message)} ({info.code})"]
    if info.hint:
        lines.append(f"  what to do: {printable(info.hint)}")
    text = "\n".join(lines)
    encoding = stream.encoding or "ascii"
    print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream)
