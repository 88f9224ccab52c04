"""Words as recognition writes them, made fit to be shown."""

from __future__ import annotations

import re

from orchestrator.stagekit.subtitle_text import columns, may_part, visible


def clean(text: str) -> str:
    """``text`` on one line without control characters; spaces are kept as single ones."""
    return re.sub(r"\s+", " ", visible(text))


def split_wide(text: str, width: int) -> list[str]:
    """Cut a word that is wider than a line into pieces that are not, where that does no harm."""
    pieces = []
    while columns(text) > width:
        room = next(n for n in range(len(text)) if columns(text[: n + 1]) > width)
        cut = next((n for n in range(room, 0, -1) if may_part(text[:n], text[n:])), room)
        pieces.append(text[:cut])
        text = text[cut:]
    return [*pieces, text]
