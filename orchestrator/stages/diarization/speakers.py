"""Who says each word, from who speaks when."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

REACH = 1.0
"""Seconds from the nearest turn within which a word that lies in none still gets its speaker."""
BREATH = 0.3
"""Seconds of silence before or after a word that set it apart from its neighbours."""
_SENTENCE_ENDS = (".", "!", "?", "…", "。", "！", "？")


class SpeakerTurn(NamedTuple):
    """Somebody speaks, in seconds of audio time. Turns of different speakers may overlap."""

    start: float
    end: float
    speaker: str


Words = Sequence[Mapping[str, Any]]
"""Words of a transcript: ``start``, ``end``, ``word``."""


def with_speakers(
    segments: Sequence[Mapping[str, Any]], turns: Sequence[SpeakerTurn]
) -> list[dict[str, Any]]:
    """The same segments, with ``speaker`` in each of them and in their words.

    A segment gets the speaker who says most of it. Where nobody is near, it is None.
    """
    words = [word for segment in segments for word in segment["words"]]
    named = iter(speakers_of(words, turns))
    rows = []
    for segment in segments:
        own = [{**word, "speaker": next(named)} for word in segment["words"]]
        said: Counter[str | None] = Counter()
        for word in own:
            said[word["speaker"]] += word["end"] - word["start"]
        if not own:  # no times of words: the segment as a whole is asked for
            (said_by,) = speakers_of([{**segment, "word": ""}], turns)
            said[said_by] += 1
        rows.append({**segment, "speaker": said.most_common(1)[0][0], "words": own})
    return rows


def speakers_of(words: Words, turns: Sequence[SpeakerTurn]) -> list[str | None]:
    """The speaker of each word: who speaks longest during it, else who speaks next to it.

    Where two speak equally long it is the one of the word before. A single word between words of
    one other speaker is taken for theirs, unless it is a sentence of its own or set apart by
    silence: a boundary between speakers is seldom exact to a word.
    """
    finder = _Finder(turns)
    found: list[str | None] = []
    for word in words:
        found.append(finder.speaker(word["start"], word["end"], found[-1] if found else None))
    for index in range(1, len(words) - 1):
        around = found[index - 1]
        if found[index] != around == found[index + 1] and not _alone(words, index):
            found[index] = around
    return found


def _alone(words: Words, index: int) -> bool:
    """Whether a word is a sentence of its own, or has a pause on both sides."""
    before, word, after = words[index - 1 : index + 2]
    sentence = _ends_sentence(before) and _ends_sentence(word)
    apart = word["start"] - before["end"] >= BREATH and after["start"] - word["end"] >= BREATH
    return sentence or apart


def _ends_sentence(word: Mapping[str, Any]) -> bool:
    text: str = word["word"]
    return text.rstrip(" '\"”’»)").endswith(_SENTENCE_ENDS)


class _Finder:
    def __init__(self, turns: Sequence[SpeakerTurn]) -> None:
        self._turns = sorted(turns)
        self._starts = [turn.start for turn in self._turns]
        # The latest end so far never falls, so it can be searched although turns overlap.
        self._ends = list(accumulate((turn.end for turn in self._turns), max))

    def speaker(self, start: float, end: float, before: str | None) -> str | None:
        shared: Counter[str] = Counter()
        nearest: tuple[float, str] | None = None
        for turn in self._near(start - REACH, end + REACH):
            overlap = min(end, turn.end) - max(start, turn.start)
            if overlap > 0:
                shared[turn.speaker] += round(overlap * 1000)
            elif nearest is None or -overlap < nearest[0]:
                nearest = (-overlap, turn.speaker)
        if shared:
            most = max(shared.values())
            longest = [speaker for speaker, length in shared.items() if length == most]
            return before if before in longest else longest[0]
        return nearest[1] if nearest and nearest[0] <= REACH else None

    def _near(self, start: float, end: float) -> Iterator[SpeakerTurn]:
        first = bisect_left(self._ends, start)
        last = bisect_left(self._starts, end)
        return (turn for turn in self._turns[first:last] if turn.end >= start)
