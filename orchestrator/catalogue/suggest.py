"""The nearest known word, for errors about a word that is not known."""

from __future__ import annotations

from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``"did you mean 'x'?"`` for the known word nearest to ``word``, else an empty string."""
    from difflib import get_close_matches  # wanted only for errors

    by_folded = {name.casefold().replace("-", "_"): name for name in known}
    matches = get_close_matches(word.casefold().replace("-", "_"), by_folded, n=1)
    return f"did you mean {by_folded[matches[0]]!r}?" if matches else ""


def unknown(word: str, known: Iterable[str], what: str) -> str:
    """``unknown <what> 'word'``, with the nearest known word, else all of them."""
    names = sorted(known)
    hint = did_you_mean(word, names)
    if not hint and names:
        hint = f"known: {', '.join(names)}"
    return f"unknown {what} {word!r}" + (f"; {hint}" if hint else "")
