"""Takes a cue apart into bare sentences, and puts their translations into the same form again.

What is not speech (dashes of a dialogue, tags, note signs) would be mangled by a translator. It is
taken off first, and put back at the same place.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import pairwise

from orchestrator.stagekit.cue_layout import wrap
from orchestrator.stagekit.subtitle_text import (
    Word,
    clean,
    columns,
    ends_sentence,
    joined,
)

_TAG = re.compile(r"</?[A-Za-z][^<>]*>|\{\\[^{}]*\}|[♪♫♬]+")
_DASH = re.compile(r"^((?:</?[A-Za-z][^<>]*>|\{\\[^{}]*\})*)([-–—‐‑−](?!\d|[-–—]) ?)")
_BOUNDARY = re.compile(r"[.!?…]['\"’”»)\]]*\s+|[。！？｡]['\"’”」』）]*\s*|[।؟۔]\s*|[)\]]\s+")
_IN_BRACKETS = re.compile(r"[(\[][^()\[\]]*[)\]]")


@dataclass(frozen=True, slots=True)
class Tag:
    """Markup that stands at ``place`` of its text: 0 is before the first word, 1 after the last.

    ``spaced`` markup (a note sign) is set off by a space.
    """

    text: str
    place: float
    closes: bool
    spaced: bool


@dataclass(frozen=True, slots=True)
class Fragment:
    """A sentence, or the piece of one that stands in one part of a cue."""

    text: str
    tags: tuple[Tag, ...] = ()

    @property
    def goes_on(self) -> bool:
        """Whether it may be the beginning of a sentence that goes on elsewhere."""
        sung = any(tag.spaced and tag.closes for tag in self.tags)
        return has_letters(self.text) and not sung and not _complete(self.text)

    @property
    def begins(self) -> bool:
        """Whether a sentence cannot have begun before it."""
        sung = any(tag.spaced and not tag.closes for tag in self.tags)
        return sung or not has_letters(self.text)


@dataclass(frozen=True, slots=True)
class Part:
    """What one person says in a cue: of a dialogue one line with its ``dash``, else all lines."""

    dash: str
    lines: int
    fragments: tuple[Fragment, ...]


def has_letters(text: str) -> bool:
    """Whether there is anything to translate in it."""
    return any(character.isalpha() for character in text)


def parts_of(lines: Sequence[str]) -> list[Part]:
    """The parts of a cue, none where it has no text."""
    raw: list[tuple[str, list[str]]] = []
    for line in lines:
        if not line.strip():
            continue
        text = clean(line)
        dashed = _DASH.match(text)
        if dashed and _TAG.sub("", text[dashed.end() :]).strip():
            raw.append((dashed[2], [dashed[1] + text[dashed.end() :]]))
        elif raw:
            raw[-1][1].append(text)
        else:
            raw.append(("", [text]))
    return [Part(dash, len(texts), _fragments(reduce(joined, texts))) for dash, texts in raw]


def render(part: Part, translated: Sequence[Sequence[Word]], width: int, most: int) -> list[str]:
    """The lines of a part, with one list of words for each of its fragments.

    It gets at least as many lines as it had, as long as there are words for them, and not more than
    ``most`` or that many.
    """
    words: list[Word] = []
    for fragment, own in zip(part.fragments, translated, strict=True):
        words.extend(_tagged(own, fragment.tags))
    if not words:
        return []
    lines = wrap(words, width - columns(part.dash), part.lines, max(most, part.lines))
    return [part.dash + lines[0], *lines[1:]]


def _fragments(marked: str) -> tuple[Fragment, ...]:
    plain, found = _without_tags(marked)
    edges = _sentence_edges(plain)
    fragments = []
    for start, end in pairwise(edges):
        text = plain[start:end].strip()
        tags = []
        for at, tag in found:
            # What opens belongs to the words behind it, what closes to those before it.
            after_start = start < at or start == 0 if tag.closes else start <= at
            before_end = at <= end if tag.closes else at < end or end == len(plain)
            if after_start and before_end:
                tags.append(replace(tag, place=min(1.0, (at - start) / max(1, len(text)))))
        fragments.append(Fragment(text, tuple(tags)))
    return tuple(fragments)


def _without_tags(marked: str) -> tuple[str, list[tuple[int, Tag]]]:
    """The bare text, and each tag with its offset in it."""
    plain = ""
    found = []
    for piece in re.split(f"({_TAG.pattern})", marked):
        if not _TAG.fullmatch(piece):
            piece = re.sub(r"\s+", " ", piece)
            plain += piece.lstrip() if not plain or plain.endswith(" ") else piece
            continue
        note = piece[0] in "♪♫♬"
        closes = piece.startswith("</") or (note and bool(plain.strip()))
        found.append((len(plain.rstrip()) if closes else len(plain), Tag(piece, 0.0, closes, note)))
    plain = plain.rstrip()
    return plain, [(min(at, len(plain)), tag) for at, tag in found]


def _sentence_edges(plain: str) -> list[int]:
    edges = [0]
    for boundary in _BOUNDARY.finditer(plain):
        edge = boundary.end()
        if edge >= len(plain) or not plain[:edge].strip():
            continue
        if _complete(plain[edges[-1] : edge].strip()) and not plain[edge].islower():
            edges.append(edge)
    return [*edges, len(plain)]


def _complete(text: str) -> bool:
    """Whether it ends a sentence, or is a description of a sound: ``[door slams]``."""
    return ends_sentence(text) or bool(_IN_BRACKETS.fullmatch(text))


def _tagged(words: Sequence[Word], tags: Sequence[Tag]) -> list[Word]:
    """The words with each tag at about its old place, never inside a word."""
    marked = list(words)
    if not marked:
        return [Word(tag.text) for tag in tags if tag.spaced]
    opened = 0
    for tag in tags:
        text = tag.text
        if tag.closes:
            index = min(len(marked), max(opened + 1, round(tag.place * len(marked)))) - 1
            text = f" {text}" if tag.spaced else text
            marked[index] = replace(marked[index], after=marked[index].after + text)
        else:
            index = opened = min(len(marked) - 1, max(opened, round(tag.place * len(marked))))
            text = f"{text} " if tag.spaced else text
            marked[index] = replace(marked[index], before=marked[index].before + text)
    return marked
