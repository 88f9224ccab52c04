"""A transcript as text to read, with speakers where they are known, and as data in media time."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from orchestrator.stagekit.subtitle_text import clean

_SENTENCE_ENDS = ".!?…。！？｡।؟۔"
_CLOSERS = "'\"’”»)]」』"


@dataclass(frozen=True, slots=True)
class Passage:
    """What is said in one go by one speaker (None: not known), from ``start`` to ``end``."""

    speaker: str | None
    start: float
    end: float
    text: str


def passages(segments: Iterable[Mapping[str, Any]]) -> list[Passage]:
    """The segments, divided where another speaker begins in the middle of one."""
    found: list[Passage] = []
    for segment in segments:
        speaker = segment.get("speaker")
        words = segment.get("words") or ()
        voices = {word.get("speaker") or speaker for word in words}
        if len(voices) < 2:
            speaker = next(iter(voices), speaker)
            found.append(Passage(speaker, segment["start"], segment["end"], segment["text"]))
            continue
        for voice, run in groupby(words, key=lambda word: word.get("speaker") or speaker):
            said = list(run)
            text = "".join(word["word"] for word in said)
            found.append(Passage(voice, said[0]["start"], said[-1]["end"], text))
    return found


def paragraphs(segments: Iterable[Mapping[str, Any]], pause: float, length: int) -> list[str]:
    """Join segments; a silence of ``pause`` seconds, another speaker, or ``length`` characters and
    the end of a sentence, ends a paragraph. One that another speaker begins names him."""
    found: list[str] = []
    last_end = float("-inf")
    last_speaker = None
    for passage in passages(segments):
        text = clean(passage.text)
        if not text:
            continue
        full = bool(found) and len(found[-1]) >= length and _ends_sentence(found[-1])
        other = passage.speaker is not None and passage.speaker != last_speaker
        if other:
            found.append(f"{clean(str(passage.speaker))}: {text}")
            last_speaker = passage.speaker
        elif not found or full or passage.start - last_end >= pause:
            found.append(text)
        else:
            found[-1] += _glue(found[-1], text) + text
        last_end = passage.end
    return found


def _ends_sentence(text: str) -> bool:
    return text.rstrip(_CLOSERS)[-1:] in tuple(_SENTENCE_ENDS)


def _glue(left: str, right: str) -> str:
    """Scripts written without spaces are joined without one."""
    wide = all(unicodedata.east_asian_width(c) in "WF" for c in (left[-1], right[0]))
    korean = any("HANGUL" in unicodedata.name(c, "") for c in (left[-1], right[0]))
    return "" if wide and not korean else " "


def in_media_time(transcript: Mapping[str, Any], offset: float) -> dict[str, Any]:
    """The transcript with all times later by ``offset`` seconds, which it states as well.

    What later stages added to it, speakers for one, stays as it is.
    """
    return {
        **transcript,
        "offset": offset,
        "speech": [[_later(a, offset), _later(b, offset)] for a, b in transcript["speech"]],
        "segments": [_shifted(segment, offset) for segment in transcript["segments"]],
    }


def _shifted(part: Mapping[str, Any], offset: float) -> dict[str, Any]:
    moved = {**part, "start": _later(part["start"], offset), "end": _later(part["end"], offset)}
    if "words" in part:
        moved["words"] = [_shifted(word, offset) for word in part["words"]]
    return moved


def _later(seconds: float, offset: float) -> float:
    return round(max(0.0, seconds + offset), 3)
