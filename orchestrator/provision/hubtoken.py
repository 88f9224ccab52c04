"""The user's hub token: in the environment, or in a file that nobody else may read.

It is handed to the process that fetches by that process's environment, and to nothing else: never
on a command line, which every user of the machine can read, and never into a log.
"""

from __future__ import annotations

import stat
import sys
from pathlib import Path

from orchestrator.contract.errors import ErrorClass, Failure, describe_os_error, fail

TOKEN_VARIABLE = "HF_TOKEN"


def read_token(file: Path) -> str:
    """The token in ``file``.

    Raises:
        Failure: ``hub_token_unreadable``, ``hub_token_exposed`` where others may read the file
            (class environment), or why the file cannot be opened.
    """
    try:
        mode = file.stat().st_mode
        text = file.read_text(encoding="ascii").strip()
    except UnicodeDecodeError as error:
        raise _unreadable(file) from error
    except OSError as error:
        raise Failure(describe_os_error(error, f"hub_token_file {file}")) from error
    if sys.platform != "win32" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise fail(
            "hub_token_exposed",
            f"other users of this machine may read the hub token in {file}",
            f"Make it yours alone: chmod 600 {file}",
            error_class=ErrorClass.ENVIRONMENT,
        )
    if not text or len(text.split()) > 1:
        raise _unreadable(file)
    return text


def _unreadable(file: Path) -> Failure:
    return fail(
        "hub_token_unreadable",
        f"{file} does not hold a hub token",
        "Write the token into it, and nothing else; it begins with hf_.",
        error_class=ErrorClass.ENVIRONMENT,
    )
