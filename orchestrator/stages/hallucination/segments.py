"""Segments of a transcript as they stand in ``transcript.json``, and words taken out of them.

They stay mappings, so that whatever an earlier stage added to them is there for the next one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from .loops import word_loops
from .text import ends_sentence, plain

Segment = Mapping[str, Any]


def without_words(segment: Segment, dropped: Collection[int]) -> Segment:
    """The segment without the words at these places; at least one must be left."""
    words = [word for index, word in enumerate(segment["words"]) if index not in dropped]
    return {
        **segment,
        "start": words[0]["start"],
        "end": words[-1]["end"],
        "text": text_of(segment, [n for n in range(len(segment["words"])) if n not in dropped]),
        "words": words,
    }


def text_of(segment: Segment, places: Collection[int]) -> str:
    """The text of the words at these places, with the spaces that the segment's text has."""
    words = [word["word"].strip() for word in segment["words"]]
    text, position = segment["text"], 0
    starts: list[int] = []
    for word in words:
        found = text.find(word, position)
        if found < 0:  # an aligner spelt it in another way
            return " ".join(words[place] for place in places)
        starts.append(found)
        position = found + len(word)
    ends = [*starts[1:], len(text)]
    return "".join(text[starts[place] : ends[place]] for place in places).strip()


def stretches(segment: Segment) -> Iterator[list[int]]:
    """The words of the whole segment, then those of each of its sentences, as places."""
    words = segment["words"]
    yield list(range(len(words)))
    first = 0
    for place, word in enumerate(words):
        if ends_sentence(word["word"]) or place == len(words) - 1:
            if place + 1 - first < len(words):
                yield list(range(first, place + 1))
            first = place + 1


def looped_words(segments: Sequence[Segment], allowed: int) -> dict[int, dict[int, int]]:
    """Segment to its superfluous words: place to how often in a row they were said."""
    places = [
        (number, place, plain(word["word"]))
        for number, segment in enumerate(segments)
        for place, word in enumerate(segment["words"])
    ]
    stream = [one for one in places if one[2]]
    found: dict[int, dict[int, int]] = {}
    for loop in word_loops([text for _, _, text in stream], allowed):
        # A round that is cut off belongs to the loop where the output ended with it.
        over = loop.stop == len(stream) or stream[loop.stop][0] != stream[loop.stop - 1][0]
        for number, place, _ in stream[loop.start : loop.stop if over else loop.whole]:
            found.setdefault(number, {})[place] = loop.times
    for number, gone in found.items():
        _take_marks_along(segments[number], gone)
    return found


def _take_marks_along(segment: Segment, gone: dict[int, int]) -> None:
    """Punctuation that stands alone goes with the word before it."""
    for place, word in enumerate(segment["words"]):
        if place - 1 in gone and not plain(word["word"]):
            gone[place] = gone[place - 1]


def runs(places: Iterable[int]) -> list[list[int]]:
    """Places that follow one another, put together."""
    found: list[list[int]] = []
    for place in places:
        if found and place == found[-1][-1] + 1:
            found[-1].append(place)
        else:
            found.append([place])
    return found
