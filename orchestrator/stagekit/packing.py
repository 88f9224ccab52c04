"""Sound with its long silences taken out, and the way back to the times of the whole.

Whisper hears windows of 30 seconds and may invent text where nobody speaks: it is given speech
only, put together so that few windows hold it all.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from orchestrator.stagekit.speech import Turn, spans


def islands(
    turns: Sequence[Turn], duration: float, *, min_silence: float, pad: float
) -> list[Turn]:
    """What is kept of ``duration`` seconds: the turns, with the short silences between them.

    A silence of ``min_silence`` seconds or more is taken out but for ``pad`` seconds at its ends.
    """
    kept: list[Turn] = []
    for turn in turns:
        if kept and turn.start - kept[-1].end < min_silence:
            kept[-1] = Turn(kept[-1].start, turn.end)
        else:
            kept.append(turn)
    if kept and duration - kept[-1].end < min_silence:
        kept[-1] = Turn(kept[-1].start, duration)
    padded: list[Turn] = []
    for index, turn in enumerate(kept):
        before = kept[index - 1].end if index else -pad
        after = kept[index + 1].start if index + 1 < len(kept) else duration + pad
        padded.append(
            Turn(
                max(0.0, turn.start - min(pad, (turn.start - before) / 2)),
                min(duration, turn.end + min(pad, (after - turn.end) / 2)),
            )
        )
    return padded


def within(pieces: Sequence[Turn], span: Turn) -> list[Turn]:
    """The parts of ``pieces`` that lie in ``span``."""
    cut = [Turn(max(one.start, span.start), min(one.end, span.end)) for one in pieces]
    return [one for one in cut if one.end > one.start]


@dataclass(frozen=True, slots=True)
class Packed:
    """Pieces of sound, in order, laid end to end."""

    pieces: tuple[Turn, ...]

    @property
    def duration(self) -> float:
        return sum(piece.end - piece.start for piece in self.pieces)

    def piece_at(self, time: float) -> int:
        """The number of the piece that is heard at ``time`` of the packed sound."""
        ends = list(accumulate(piece.end - piece.start for piece in self.pieces))
        return min(bisect_right(ends, time), len(ends) - 1)

    def restore(self, start: float, end: float) -> tuple[float, float]:
        """The times in the whole of what is heard from ``start`` to ``end`` of the packed sound.

        Both are taken from the piece that holds the middle: a word does not span a silence.
        """
        number = self.piece_at((start + end) / 2)
        passed = sum(piece.end - piece.start for piece in self.pieces[:number])
        shift = self.pieces[number].start - passed
        return start + shift, end + shift

    def windows(self, turns: Sequence[Turn], longest: float) -> list[Turn]:
        """Cut the packed sound where nobody speaks, into windows of at most ``longest`` seconds.

        ``turns`` are those of the whole. Windows are in time of the packed sound.
        """
        heard: list[Turn] = []
        passed = 0.0
        for piece in self.pieces:
            shift = passed - piece.start
            heard += [Turn(t.start + shift, t.end + shift) for t in within(turns, piece)]
            passed += piece.end - piece.start
        return spans(heard, passed, longest)
