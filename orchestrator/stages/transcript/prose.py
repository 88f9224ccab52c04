"""A transcript as text to read, and as data in media time."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

_SENTENCE_ENDS = ".!?…。！？｡।؟۔"
_CLOSERS = "'\"’”»)]」』"


def plain(text: str) -> str:
    """``text`` on one line without control characters."""
    kept = "".join(" " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in text)
    return " ".join(kept.split())


def paragraphs(segments: Sequence[Mapping[str, Any]], pause: float, length: int) -> list[str]:
    """Join segments; a silence of ``pause`` seconds, or ``length`` characters and the end of a
    sentence, ends a paragraph."""
    found: list[str] = []
    last_end = float("-inf")
    for segment in segments:
        text = plain(segment["text"])
        if not text:
            continue
        full = bool(found) and len(found[-1]) >= length and _ends_sentence(found[-1])
        if not found or full or segment["start"] - last_end >= pause:
            found.append(text)
        else:
            found[-1] += _glue(found[-1], text) + text
        last_end = segment["end"]
    return found


def _ends_sentence(text: str) -> bool:
    return text.rstrip(_CLOSERS)[-1:] in tuple(_SENTENCE_ENDS)


def _glue(left: str, right: str) -> str:
    """Scripts written without spaces are joined without one."""
    wide = all(unicodedata.east_asian_width(c) in "WF" for c in (left[-1], right[0]))
    korean = any("HANGUL" in unicodedata.name(c, "") for c in (left[-1], right[0]))
    return "" if wide and not korean else " "


def in_media_time(transcript: Mapping[str, Any], offset: float) -> dict[str, Any]:
    """The transcript with all times later by ``offset`` seconds, which it states as well."""
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
