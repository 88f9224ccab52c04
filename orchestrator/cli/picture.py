"""Draws a chain of boxes as text, as wide as the terminal; plain ASCII where nothing else can."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

NARROWEST = 40
WIDEST = 100


@dataclass(frozen=True, slots=True)
class Box:
    """One stage: its heading, what there is to say about it, and what it hands on to others."""

    heading: str
    lines: Sequence[tuple[str, str]]
    hands_on: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Pen:
    """The characters of corners, edges and the line that joins two boxes."""

    top_left: str = "┌"
    top_right: str = "┐"
    bottom_left: str = "└"
    bottom_right: str = "┘"
    across: str = "─"
    down: str = "│"
    leaves: str = "┬"
    enters: str = "▼"


ASCII = Pen(*"++++-|+v")


def pen_for(encoding: str | None, *, dumb: bool = False) -> Pen:
    """The finest characters that a stream of this encoding can carry."""
    pen = Pen()
    text = pen.top_left + pen.across + pen.down + pen.enters
    try:
        text.encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return ASCII if dumb else pen


def draw(start: str, boxes: Sequence[Box], width: int, pen: Pen) -> str:
    """The boxes below each other, what one hands on beside the line to the next."""
    inner = max(NARROWEST, min(width, WIDEST)) - 4
    lines = [f"  {start}", f"   {pen.down}"]
    for number, box in enumerate(boxes):
        last = number == len(boxes) - 1
        lines.append(
            f"{pen.top_left}{pen.across * 2}{pen.enters}{pen.across * (inner - 1)}{pen.top_right}"
        )
        lines.extend(f"{pen.down} {line:<{inner}} {pen.down}" for line in _inside(box, inner))
        out = pen.across if last else pen.leaves
        lines.append(
            f"{pen.bottom_left}{pen.across * 2}{out}{pen.across * (inner - 1)}{pen.bottom_right}"
        )
        if not last:
            lines.extend(
                f"   {pen.down} {line}"
                for line in textwrap.wrap(", ".join(box.hands_on), inner - 2) or [""]
            )
    return "\n".join(line.rstrip() for line in lines)


def _inside(box: Box, width: int) -> Iterator[str]:
    yield from textwrap.wrap(box.heading, width)
    column = max((len(label) for label, _ in box.lines), default=0) + 2
    for label, text in box.lines:
        yield from textwrap.wrap(
            text,
            width,
            initial_indent=f"{label:<{column}}",
            subsequent_indent=" " * column,
            break_on_hyphens=False,
        )
