"""The words of a transcript, made ready to be laid out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from orchestrator.stagekit.subtitle_text import columns, may_part

from .text import clean, split_wide


@dataclass(frozen=True, slots=True)
class Word:
    """``text`` without spaces around it; ``spaced`` says that a space stands before it.

    Times are in seconds. They never run backwards: a word begins no earlier than the one before.
    ``speaker`` is None where nobody found out who speaks.
    """

    text: str
    start: float
    end: float
    spaced: bool = True
    speaker: str | None = None


def words_of(segments: Iterable[Mapping[str, Any]], width: int) -> list[Word]:
    """All words in order. A segment without word times shares its time out by length.

    Words wider than a line of ``width`` columns are cut into pieces; pieces that cannot stand apart
    are one word. Where there are no spaces, recognition gives pieces of the model's vocabulary.
    """
    words: list[Word] = []
    for segment in segments:
        raw = segment.get("words") or _share_out(segment)
        for index, one in enumerate(raw):
            text = clean(one["word"])
            spaced = text.startswith(" ") or index == 0
            speaker = one.get("speaker") or segment.get("speaker")
            pieces = _pieces(text.strip(), one["start"], one["end"], spaced, width)
            words.extend(replace(piece, speaker=speaker) for piece in pieces)
    return _forwards(_whole(words, width))


def with_speakers(words: Sequence[Word]) -> list[Word]:
    """The words with a speaker for each, where any has one: that of its neighbour."""
    known = next((word.speaker for word in words if word.speaker), None)
    filled = []
    for word in words:
        known = word.speaker or known
        filled.append(replace(word, speaker=known))
    return filled


def _share_out(segment: Mapping[str, Any]) -> list[dict[str, Any]]:
    parts = clean(segment["text"]).split()
    if not parts:
        return []
    total = sum(map(len, parts))
    start, length = segment["start"], segment["end"] - segment["start"]
    done = 0
    shared = []
    for part in parts:
        begin = start + length * done / total
        done += len(part)
        shared.append({"word": " " + part, "start": begin, "end": start + length * done / total})
    return shared


def _pieces(text: str, start: float, end: float, spaced: bool, width: int) -> list[Word]:
    if not text:
        return []
    inner = text.split(" ")
    if len(inner) == 1 and columns(text) <= width:
        return [Word(text, start, end, spaced)]
    pieces = []
    for part in inner:
        for index, piece in enumerate(split_wide(part, width)):
            pieces.append((piece, index == 0))
    step = (end - start) / len(pieces)
    return [
        Word(piece, start + step * n, start + step * (n + 1), first and (spaced or n > 0))
        for n, (piece, first) in enumerate(pieces)
    ]


def _whole(words: Iterable[Word], width: int) -> list[Word]:
    """The words, each with those behind it that no line may begin with, as far as a line holds."""
    whole: list[Word] = []
    for word in words:
        whole.append(word)
        while len(whole) > 1 and _are_one(whole[-2], whole[-1], width):
            last = whole.pop()
            whole[-1] = replace(whole[-1], text=whole[-1].text + last.text, end=last.end)
    return whole


def _are_one(before: Word, word: Word, width: int) -> bool:
    bound = not word.spaced and not may_part(before.text, word.text)
    return bound and columns(before.text + word.text) <= width


def _forwards(words: list[Word]) -> list[Word]:
    ordered: list[Word] = []
    before = 0.0
    for word in words:
        start = max(word.start, before)
        ordered.append(replace(word, start=start, end=max(word.end, start)))
        before = start
    return ordered


def join(words: Iterable[Word]) -> str:
    """The words as one line of text."""
    return "".join((" " if word.spaced else "") + word.text for word in words).lstrip(" ")
