"""Put the edges of words where speech begins and ends.

Whisper takes word times from its attention, which is blurred where speech borders on silence: the
first word of a turn may reach back into the silence or begin late, the last may ring on.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace

from orchestrator.stagekit.speech import Turn
from orchestrator.stagekit.transcript import Word

REACH = 0.6
"""Seconds by which an edge is moved outwards at most, to meet the start or end of a turn."""
MARGIN = 0.05
"""Seconds of a word left outside its turn: the detector answers in steps of 32 ms."""
TAIL = 0.35
"""Seconds before the end of a turn within which no sentence begins."""
SHORTEST = 0.04
"""Seconds a word keeps in any case: two of Whisper's time steps."""


def snap(words: Sequence[Word], turns: Sequence[Turn]) -> list[Word]:
    """The same words in the same order, with edges in speech and never running backwards."""
    around = [None, *words, None]
    placed = [
        _inside(_carried_over(around[n], word, around[n + 2], turns), turns)
        for n, word in enumerate(words)
    ]
    for turn in turns:
        _stretch(placed, turn)
    return _in_order(placed)


def _carried_over(
    before: Word | None, word: Word, after: Word | None, turns: Sequence[Turn]
) -> Word:
    """Move the first word of a sentence to the turn it belongs to.

    Where a sentence begins after a silence, Whisper likes to put its first word, or the beginning
    of it, right behind the last sentence: at the very end of the turn before.
    """
    if before is None or not _ends_sentence(before) or word.start - before.end > MARGIN:
        return word
    index = bisect_left(turns, word.start, key=lambda turn: turn.end)
    if index + 1 >= len(turns):
        return word
    turn, following = turns[index], turns[index + 1]
    if before.start < turn.start or word.start < turn.end - TAIL:
        return word
    start = following.start
    if word.end > start:
        return replace(word, start=start, end=max(word.end, start + SHORTEST))
    if _ends_sentence(word) or after is None or after.start < start - MARGIN:
        return word
    return replace(word, start=start, end=min(max(after.start, start + SHORTEST), start + TAIL))


def _ends_sentence(word: Word) -> bool:
    return word.word.rstrip("'\"”’»)").endswith((".", "?", "!", "…", "。", "？", "！"))


def _inside(word: Word, turns: Sequence[Turn]) -> Word:
    """Cut off what lies in silence; a word in silence altogether goes to speech that is near."""
    shared = [
        (min(word.end, turn.end) - max(word.start, turn.start), turn)
        for turn in _touching(word, turns)
    ]
    if not shared:
        return _nearest(word, turns)
    _, turn = max(shared, key=lambda item: item[0])
    start, end = max(word.start, turn.start - MARGIN), min(word.end, turn.end + MARGIN)
    return replace(word, start=start, end=end) if end - start >= SHORTEST else word


def _nearest(word: Word, turns: Sequence[Turn]) -> Word:
    """Put a word at the edge of the turn after or before it; where both are far it stays."""
    index = bisect_left(turns, word.end, key=lambda turn: turn.start)
    until = turns[index].start - word.end if index < len(turns) else REACH
    since = word.start - turns[index - 1].end if index else REACH
    if until < REACH and until <= since:
        start = turns[index].start
        return replace(word, start=start, end=start + SHORTEST)
    if since < REACH:
        end = turns[index - 1].end
        return replace(word, start=end - SHORTEST, end=end)
    return word


def _touching(word: Word, turns: Sequence[Turn]) -> Sequence[Turn]:
    first = bisect_left(turns, word.start, key=lambda turn: turn.end)
    last = bisect_left(turns, word.end, key=lambda turn: turn.start)
    return turns[first:last]


def _stretch(words: list[Word], turn: Turn) -> None:
    """Let the first and the last word in a turn reach its edges, if they nearly do."""
    first = bisect_left(words, turn.start, key=lambda word: word.end)
    last = bisect_left(words, turn.end, key=lambda word: word.start) - 1
    if first >= len(words) or last < first:
        return
    if 0 < words[first].start - turn.start <= REACH:
        words[first] = replace(words[first], start=turn.start)
    if 0 < turn.end - words[last].end <= REACH:
        words[last] = replace(words[last], end=turn.end)


def _in_order(words: Sequence[Word]) -> list[Word]:
    ordered: list[Word] = []
    before = 0.0
    for word in words:
        start = max(word.start, before)
        end = max(word.end, start)
        ordered.append(replace(word, start=start, end=end))
        before = end
    return ordered
