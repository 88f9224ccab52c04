"""Runs FFmpeg's program, which works only as long as somebody waits for it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from . import guard

_LOG_BYTES = 4096
_ADDRESS = re.compile(r"^\[[^\]]* @ 0x[0-9a-f]+\] ")


class ProgramFailed(Exception):
    """It ended with an error; the text is what it says about that."""


def run(command: Sequence[str], log: Path, progress: Callable[[int], None]) -> None:
    """Run a command of FFmpeg; ``progress`` is called with the bytes written, and may raise.

    Raises:
        ProgramFailed: the exit status is not 0. That it is 0 says nothing.
    """
    argv = [sys.executable, "-X", "utf8", "-I", "-S", guard.__file__, *command]
    with log.open("wb") as errors:
        process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            before = 0
            for line in process.stdout:
                name, _, value = line.partition(b"=")
                # It goes on to report while it waits for a disk that does not answer.
                if name == b"total_size" and value.strip().isdigit() and int(value) > before:
                    before = int(value)
                    progress(before)
        except BaseException:
            process.stdin.close()  # the guard kills it
            process.stdout.read()
            raise
        finally:
            status = process.wait()
            process.stdin.close()
            process.stdout.close()
    if status != 0:
        raise ProgramFailed(first_words(log))


def first_words(log: Path) -> str:
    """The first line of its log: what follows an error is the noise of its end."""
    with log.open("rb") as stream:
        text = stream.read(_LOG_BYTES).decode("utf-8", "replace")
    lines = [_ADDRESS.sub("", line).strip() for line in text.splitlines()]
    return next((line[:300] for line in lines if line), "it gave no reason")
