"""Cues, and the files that hold them: ``cues.json`` between stages, SubRip and WebVTT for people.

Text that came from outside can end no cue and switch on no markup.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

CUES_VERSION = 1

_SRT_LOOKALIKES = str.maketrans({"<": "‹", ">": "›", "{": "(", "}": ")"})
"""SubRip has no escapes, and players take these for markup."""
_VTT_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


@dataclass(frozen=True, slots=True)
class Cue:
    """Seconds, one or more lines of text, and the one who speaks where only one does."""

    start: float
    end: float
    lines: tuple[str, ...]
    speaker: str | None = None

    def shifted(self, seconds: float) -> Cue:
        """The same cue later; no part of it lies before 0."""
        return replace(self, start=max(0.0, self.start + seconds), end=self.end + seconds)

    def to_json(self) -> dict[str, Any]:
        times = {"start": round(self.start, 3), "end": round(self.end, 3)}
        speaker = {} if self.speaker is None else {"speaker": self.speaker}
        return {**times, "lines": list(self.lines), **speaker}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Cue:
        """Raises: KeyError, TypeError."""
        return cls(data["start"], data["end"], tuple(data["lines"]), data.get("speaker"))


def cues_to_json(cues: Iterable[Cue], language: str | None) -> dict[str, Any]:
    """The content of ``cues.json``; its times are seconds since the first sample of the audio."""
    rows = [cue.to_json() for cue in cues]
    return {"version": CUES_VERSION, "language": language, "cues": rows}


def cues_from_json(data: Mapping[str, Any]) -> list[Cue]:
    """The cues of ``cues.json``. Raises: KeyError, TypeError."""
    return [Cue.from_json(cue) for cue in data["cues"]]


def srt(cues: Sequence[Cue]) -> str:
    """SubRip. With bare newlines, which every player reads, as it does CR LF."""
    blocks = []
    for number, cue in enumerate(cues, 1):
        text = "\n".join(line.translate(_SRT_LOOKALIKES) for line in cue.lines)
        blocks.append(f"{number}\n{_span(cue, ',')}\n{text}\n")
    return "\n".join(blocks)


def vtt(cues: Iterable[Cue], note: str) -> str:
    """WebVTT; ``note`` tells where it comes from, in a comment that players do not show."""
    blocks = ["WEBVTT\n", f"NOTE\n{_one_line(note)}\n"]
    for cue in cues:
        text = "\n".join(line.translate(_VTT_ESCAPES) for line in cue.lines)
        blocks.append(f"{_span(cue, '.')}\n{text}\n")
    return "\n".join(blocks)


def _one_line(note: str) -> str:
    return " ".join(note.replace("-->", "→").split())


def _span(cue: Cue, point: str) -> str:
    start, end = round(cue.start * 1000), round(cue.end * 1000)
    return f"{_clock(start, point)} --> {_clock(max(end, start + 1), point)}"


def _clock(milliseconds: int, point: str) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}{point}{rest:03d}"
