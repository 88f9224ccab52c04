"""Which pieces of sound are recognised, and where in them the words are taken to be."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from itertools import accumulate, pairwise

from orchestrator.stagekit.packing import Packed, within
from orchestrator.stagekit.speech import Turn, spans
from orchestrator.stagekit.transcript import Word

WITHOUT_SPACES = frozenset({"ja", "lo", "my", "th", "yue", "zh"})
"""Whisper's codes of the languages that put no space between words."""

_WORD = re.compile(r"\s*\S+")
_CHARACTER = re.compile(r"\s*\w\W*|\W+")


def pieces(turns: Sequence[Turn], longest: float, pad: float) -> list[Turn]:
    """Pieces of at most ``longest`` seconds that hold all speech, cut where nobody speaks.

    Each reaches ``pad`` seconds beyond its speech, or to the middle of a shorter silence.
    """
    found: list[Turn] = []
    for span in spans(turns, turns[-1].end if turns else 0.0, longest - 2 * pad):
        spoken = within(turns, span)
        found.append(Turn(spoken[0].start, spoken[-1].end))
    edges = [-pad, *(edge for piece in found for edge in piece), float("inf")]
    gaps = [(after - before) / 2 for before, after in list(pairwise(edges))[::2]]
    return [
        Turn(max(0.0, piece.start - min(pad, before)), piece.end + min(pad, after))
        for piece, before, after in zip(found, gaps, gaps[1:], strict=False)
    ]


def end_to_end(lengths: Sequence[int], rate: int) -> list[Turn]:
    """From when to when each of the pieces is heard, where they are laid one behind the other.

    ``lengths`` are in samples, ``rate`` of them to the second. All times are half a sample late:
    whisperx rounds down.
    """
    edges = [(edge + 0.5) / rate for edge in accumulate(lengths, initial=0)]
    return [Turn(*piece) for piece in pairwise(edges)]


def spread(
    text: str, piece: Turn, turns: Sequence[Turn], language: str, probability: float
) -> list[Word]:
    """The words of ``text``, each as long as its letters make it, over the speech in ``piece``."""
    cut = _CHARACTER if language in WITHOUT_SPACES else _WORD
    words = [match[0] for match in cut.finditer(text.rstrip())]
    packed = Packed(tuple(within(turns, piece)) or (piece,))
    weights = list(accumulate((len(word.strip()) + 1 for word in words), initial=0))
    placed = []
    for word, (first, last) in zip(words, pairwise(weights), strict=True):
        start, end = (packed.duration * weight / weights[-1] for weight in (first, last))
        spoken = packed.pieces[packed.piece_at((start + end) / 2)]
        start, end = packed.restore(start, end)
        placed.append(Word(max(start, spoken.start), min(end, spoken.end), word, probability))
    return placed


def compression_ratio(text: str) -> float:
    """How much shorter the text becomes when packed: much, where it repeats itself."""
    data = text.encode("utf-8")
    return len(data) / len(zlib.compress(data))
