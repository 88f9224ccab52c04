"""Which media files the user's include and exclude patterns leave in (gitignore syntax)."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from pathspec import GitIgnoreSpec

from orchestrator.contract.errors import fail


class PatternFilter:
    """Matches paths relative to the input folder; built once, only when patterns are set."""

    def __init__(self, include: Sequence[str], exclude: Sequence[str]) -> None:
        """
        Raises:
            Failure: ``bad_pattern``, naming the pattern.
        """
        self._include = _compile(include) if include else None
        self._exclude = _compile(exclude) if exclude else None

    def drops_folder(self, relative: str) -> bool:
        """Whether a folder and everything below it is excluded."""
        return self._exclude is not None and self._exclude.match_file(_portable(relative) + "/")

    def drops_file(self, relative: str) -> bool:
        """Whether a file is excluded, or is not among what is to be included."""
        path = _portable(relative)
        if self._include is not None and not self._include.match_file(path):
            return True
        return self._exclude is not None and self._exclude.match_file(path)


def _portable(relative: str) -> str:
    return relative if os.sep == "/" else relative.replace(os.sep, "/")


def _compile(patterns: Sequence[str]) -> GitIgnoreSpec:
    for pattern in patterns:
        try:
            GitIgnoreSpec.from_lines([pattern], backend="simple")
        except (ValueError, re.error) as error:
            raise fail(
                "bad_pattern",
                f"The pattern {pattern!r} cannot be understood: {error}",
                "Patterns are written as in a .gitignore file, for example 'extras/' or '*.avi'.",
            ) from error
    # The other backends refuse names that are not UTF-8.
    return GitIgnoreSpec.from_lines(patterns, backend="simple")
