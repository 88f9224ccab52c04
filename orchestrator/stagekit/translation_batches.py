"""Feeds texts to a translation model: each text once, none cut short, those of a size together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce

from orchestrator.stagekit.cue_layout import split_to_fit
from orchestrator.stagekit.subtitle_text import joined


def translate_in_batches(
    texts: Sequence[str],
    translate: Callable[[list[str]], list[str]],
    *,
    tokens: Callable[[str], int],
    longest: int,
    batch_size: int,
    progress: Callable[[int, int], None],
) -> list[str]:
    """The translations of ``texts``, in their order.

    Equal texts are translated once. A text of more than ``longest`` tokens is translated in pieces.
    Texts of about the same length share a batch, the longest ones first: if memory does not
    suffice, that shows at once.

    Args:
        translate: translates at most ``batch_size`` texts; "" where it has no translation.
        tokens: the length of a text as the model counts it.
        progress: is called with the pieces done and all of them; it may raise to stop the work.
    """
    lengths: dict[str, int] = {}

    def measured(text: str) -> int:
        if text not in lengths:
            lengths[text] = tokens(text)
        return lengths[text]

    pieces_of = {
        text: split_to_fit(text, lambda piece: measured(piece) <= longest)
        for text in dict.fromkeys(texts)
    }
    pieces = list(dict.fromkeys(piece for one in pieces_of.values() for piece in one))
    pieces.sort(key=measured, reverse=True)
    translated: dict[str, str] = {}
    for start in range(0, len(pieces), batch_size):
        progress(start, len(pieces))
        batch = pieces[start : start + batch_size]
        translated.update(zip(batch, translate(batch), strict=True))
    progress(len(pieces), len(pieces))
    return [_whole([translated[piece] for piece in pieces_of[text]]) for text in texts]


def _whole(pieces: Sequence[str]) -> str:
    """The pieces as one text; nothing where one is missing, rather than a text with a hole."""
    return reduce(joined, pieces) if all(pieces) else ""
