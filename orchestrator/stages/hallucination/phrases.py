"""Boilerplate: what Whisper learnt from subtitles and writes where nobody speaks.

There is a file for each language in ``boilerplate/``, and ``any.txt`` for all of them. A file has
two lists: ``[credits]`` name who made subtitles and are never spoken in what they are made for;
``[phrases]`` are spoken too, at the end of many a video. ``*`` at the end of a line of credits
stands for a name of up to :data:`NAME` letters; "Translated by my cousin" is a sentence as well, so
these need as much against them as phrases do.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from .text import plain

FOLDER = Path(__file__).parent / "boilerplate"
NAME = 40


class Kind(Enum):
    """What a text was found to be; the value is for people."""

    CREDITS = "credits"
    CREDITS_OF_SOMEBODY = "credits of somebody"
    PHRASE = "a common phrase"


class Boilerplate(NamedTuple):
    """Plain texts; ``credit_starts`` are those that a name follows."""

    credits: frozenset[str]
    credit_starts: tuple[str, ...]
    phrases: frozenset[str]

    def kind(self, text: str) -> Kind | None:
        """What a plain text is, if it is boilerplate."""
        if text in self.credits:
            return Kind.CREDITS
        if text in self.phrases:
            return Kind.PHRASE
        for start in self.credit_starts:
            if text.startswith(start) and len(text) - len(start) <= NAME:
                return Kind.CREDITS_OF_SOMEBODY
        return None


def read_boilerplate(language: str | None, folder: Path = FOLDER) -> Boilerplate:
    """The lists for a language (ISO 639-1); a language without a file has those for all."""
    lists: dict[str, list[str]] = {"credits": [], "phrases": []}
    for name in ("any", language):
        file = folder / f"{name}.txt"
        if file.is_file():
            _read(file.read_text(encoding="utf-8").splitlines(), lists)
    credits = lists["credits"]
    return Boilerplate(
        credits=frozenset(plain(line) for line in credits if not line.endswith("*")),
        credit_starts=tuple(plain(line) for line in credits if line.endswith("*")),
        phrases=frozenset(map(plain, lists["phrases"])),
    )


def _read(lines: Iterable[str], lists: dict[str, list[str]]) -> None:
    current: list[str] = []
    for line in map(str.strip, lines):
        if line.startswith("["):
            current = lists[line.strip("[]")]
        elif line and not line.startswith("#"):
            current.append(line)
