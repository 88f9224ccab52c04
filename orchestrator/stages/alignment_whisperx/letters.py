"""The text that is handed to whisperx, and how many entries of its answer belong to each word."""

from __future__ import annotations

from collections.abc import Sequence


def joined(words: Sequence[str]) -> str:
    """The words with exactly one space between them, for whisperx splits its text at each."""
    return " ".join(filter(None, map(_tight, words)))


def entries(words: Sequence[str], *, by_letter: bool) -> list[int]:
    """How many entries each word gets: one, or one for each letter where whisperx goes by those.

    A word that is nothing but space gets none.
    """
    return [len(_tight(word)) if by_letter else int(bool(_tight(word))) for word in words]


def _tight(word: str) -> str:
    return "".join(word.split())
