"""Words as recognition writes them, made fit to be shown."""

from __future__ import annotations

import re

from orchestrator.stagekit.subtitle_text import columns, visible


def clean(text: str) -> str:
    """``text`` on one line without control characters; spaces are kept as single ones."""
    return re.sub(r"\s+", " ", visible(text))


def split_wide(text: str, width: int) -> list[str]:
    """Cut a word that is wider than a line into pieces that are not."""
    pieces = [""]
    for character in text:
        if columns(pieces[-1] + character) > width:
            pieces.append("")
        pieces[-1] += character
    return pieces
