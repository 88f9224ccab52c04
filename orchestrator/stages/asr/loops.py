"""Keep out what a recogniser invents: text where nobody speaks, and a phrase said over and over."""

from __future__ import annotations

from collections.abc import Sequence

from .speech import Turn

REPEATS = 3
"""A segment said this often in a row may be true; from then on it is a loop."""
NEAR = 0.5
"""Seconds from speech within which a segment may lie: turns and words are cut a little apart."""


class LoopGuard:
    """Asked about every segment in order. ``dropped`` counts what it refused."""

    def __init__(self, turns: Sequence[Turn]) -> None:
        self._turns = turns
        self._last = ""
        self._count = 0
        self.dropped = 0

    def keeps(self, text: str, start: float, end: float) -> bool:
        plain = "".join(c for c in text.casefold() if c.isalnum())
        self._count = self._count + 1 if plain == self._last else 1
        self._last = plain
        spoken = any(t.start < end + NEAR and t.end > start - NEAR for t in self._turns)
        kept = bool(plain) and spoken and self._count <= REPEATS
        self.dropped += not kept
        return kept
