"""SubRip and WebVTT. Text that came from outside can end no cue and switch on no markup."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .cues import Cue

_SRT_LOOKALIKES = str.maketrans({"<": "‹", ">": "›", "{": "(", "}": ")"})
"""SubRip has no escapes, and players take these for markup."""
_VTT_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def srt(cues: Sequence[Cue]) -> str:
    """SubRip. With bare newlines, which every player reads, as it does CR LF; see the stage."""
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
