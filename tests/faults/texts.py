"""Recognised text that tries to be more than text: each of it through the real subtitle rules."""

from __future__ import annotations

import html
import random
import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from orchestrator.stagekit.subtitle_formats import Cue, srt, vtt
from orchestrator.stages.subtitles.cues import Rules, make_cues
from orchestrator.stages.subtitles.words import words_of
from orchestrator.stages.transcript.prose import paragraphs
from tests.faults.harmless import cues_of, harmful

_MARKS_OF_DIRECTION = "\u200e\u200f"
_SRT_STANDS_FOR = str.maketrans({"‹": "<", "›": ">", "(": "{", ")": "}"})

FORGERIES = (
    "\n\n2\n00:00:00,000 --> 00:00:09,000\nforged",
    "\r\n\r\n1\r\n00:00:00.000 --> 00:00:09.000\r\nforged",
    "\u2028\u20282\u202800:00:00,000 --> 00:00:09,000\u2028forged",
    "\x0b\x0c\x85 00:00 --> 00:09 forged",
    "00:00:00,000 --> 00:00:09,000",
    "-->",
    "--\u200b>",
    "-\n->",
    "<b>bold</b> <i>never closed",
    "<script>alert(1)</script>",
    "<c.red><00:00:05.000><v Fred>x</v>",
    "{\\an8}{\\pos(1,1)}{\\p1}m 0 0 l 9 9",
    "NOTE x\n\nSTYLE\n::cue{color:red}",
    "&lt;b&gt; &amp;#60;b>",
    "WEBVTT",
    "\x1b[2J\x1b]0;x\x07 \x9b31m",
    "\u202eright to left\u202c \ufeff \u2066x\u2069",
    "\ud800 \udcff",
    "=cmd|'!A0",
    "7",
    "",
    " \n \t ",
)


def transcript_of(texts: Sequence[str], number: int) -> list[dict[str, Any]]:
    """A segment for each text; every second one has times for words, cut anywhere."""
    dice = random.Random(number)
    segments: list[dict[str, Any]] = []
    for index, text in enumerate(texts):
        start = 4.0 * index
        segment: dict[str, Any] = {"start": start, "end": start + 3.0, "text": text}
        if index % 2 and text:
            at = sorted(dice.sample(range(len(text) + 1), min(4, len(text) + 1)))
            edges = [0, *at, len(text)]
            segment["words"] = [
                {"start": start + 0.3 * n, "end": start + 0.3 * n + 0.3, "word": text[a:b]}
                for n, (a, b) in enumerate(pairwise(edges))
            ]
        segments.append(segment)
    return segments


def wrong_with(texts: Sequence[str], number: int = 0) -> list[str]:
    """What of these texts is more than text in a subtitle, or is lost; a transcript for each 50."""
    wrong = []
    for start in range(0, len(texts), 50):
        segments = transcript_of(texts[start : start + 50], number)
        cues = make_cues(words_of(segments, Rules().max_line_length), Rules())
        wrong += _wrong_files(cues, segments)
        prose = "\n\n".join(paragraphs(segments, 2.0, 500))
        wrong += [f"a transcript shows {one}" for one in harmful(prose, "\n" + _MARKS_OF_DIRECTION)]
    return wrong


def _wrong_files(cues: Sequence[Cue], segments: Sequence[dict[str, Any]]) -> list[str]:
    wrong = []
    said = "".join(
        word["word"] for one in segments for word in one.get("words") or [{"word": one["text"]}]
    )
    times = [(_milliseconds(cue.start), _milliseconds(cue.end)) for cue in cues]
    for kind, text in (("srt", srt(cues)), ("vtt", vtt(cues, "a note"))):
        text = text.encode("utf-8", "replace").decode()
        wrong += [f"{kind} shows {one}" for one in harmful(text, "\n" + _MARKS_OF_DIRECTION)]
        seen = list(cues_of(text))
        if [(_milliseconds(start), _milliseconds(end)) for start, end, _ in seen] != times:
            wrong.append(f"{kind} has {len(seen)} cues, and {len(times)} were made: {said[:80]!r}")
            continue
        bodies = [body if kind == "vtt" else _without_number(body) for _, _, body in seen]
        markup = re.findall(r"<[^>]*>|\{[^}]*\}" if kind == "srt" else r"<", "\n".join(bodies))
        wrong += [f"{kind} has the markup {one!r}" for one in markup]
        whole = "".join(bodies)
        kept = html.unescape(whole) if kind == "vtt" else whole.translate(_SRT_STANDS_FOR)
        if _bare(kept) != _bare(
            said.replace("(", "{").replace(")", "}") if kind == "srt" else said
        ):
            wrong.append(f"{kind} has lost or added text: {said[:80]!r}")
    return wrong


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _without_number(body: str) -> str:
    """The text of a SubRip cue: the number of the next one stands after it."""
    return re.sub(r"\n\n\d+\Z", "", body)


def _bare(text: str) -> str:
    """What of it is heard: no spaces, no controls, and no brackets that stand for others."""
    return "".join(one for one in text if not one.isspace() and not harmful(one, ""))
