"""What is compared of a text: its letters and digits, without case, spaces and punctuation."""

from __future__ import annotations


def plain(text: str) -> str:
    """The letters and digits of ``text`` in lower case, and nothing else."""
    return "".join(character for character in text.casefold() if character.isalnum())


def ends_sentence(word: str) -> bool:
    """Whether a sentence ends with this word, closing quotes and brackets aside."""
    return word.rstrip(" '\"”’»)]」』").endswith((".", "!", "?", "…", "。", "！", "？", "।", "؟"))
