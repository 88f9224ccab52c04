"""Decide what of a transcript nobody said. Pure: segments in, segments and removals out.

Nothing is removed on one weak sign. Boilerplate goes only where something else speaks against it
as well, since people do thank for watching; a loop goes from the round on that is too many.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from .loops import segment_loops
from .phrases import Boilerplate, Kind
from .segments import Segment, looped_words, runs, stretches, text_of, without_words
from .signs import (
    DOUBTFUL_LOGPROB,
    DOUBTFUL_SILENCE,
    EDGE,
    HARDLY_SPOKEN,
    MOSTLY_SILENT,
    Signs,
    Turns,
    compression_ratio,
    is_near,
    spoken_share,
)
from .text import plain


class Limits(NamedTuple):
    """What to look for, and from where on it counts; the names are those of the settings."""

    rules: frozenset[str]
    max_repeats: int = 3
    no_speech_threshold: float = 0.6
    logprob_threshold: float = -1.0
    compression_ratio_threshold: float = 2.4


class Removal(NamedTuple):
    """A stretch of text that was left out, in audio time, and why.

    ``reason`` is a rule, or ``no_words``; ``detail`` has the figures for a person.
    """

    start: float
    end: float
    text: str
    reason: str
    detail: str

    def to_json(self) -> dict[str, Any]:
        return self._asdict()


class Why(NamedTuple):
    reason: str
    detail: str


class Judged(NamedTuple):
    segments: list[Segment]
    removals: list[Removal]


def judge(
    segments: Sequence[Segment],
    turns: Turns | None,
    duration: float,
    boilerplate: Boilerplate,
    limits: Limits,
) -> Judged:
    """What stays and what goes. ``turns`` None: nobody listened for speech, which is no sign."""
    rules = _Rules(turns, duration, boilerplate, limits)
    removals: list[Removal] = []
    kept: list[Segment] = []
    looped = rules.loops_of_segments(segments)
    for index, segment in enumerate(segments):
        why = looped.get(index) or rules.against_all_of(segment)
        if why:
            removals.append(_removal(segment, *why))
            continue
        rest, gone = rules.without_boilerplate(segment)
        removals += gone
        if rest is not None:
            kept.append(rest)
    kept, gone = rules.without_loops_of_words(kept)
    return Judged(kept, sorted(removals + gone, key=lambda removal: removal.start))


class _Rules(NamedTuple):
    """The rules, with everything that they look at."""

    turns: Turns | None
    duration: float
    boilerplate: Boilerplate
    limits: Limits

    def loops_of_segments(self, segments: Sequence[Segment]) -> dict[int, Why]:
        found: dict[int, Why] = {}
        if "repetition" in self.limits.rules:
            texts = [plain(segment["text"]) for segment in segments]
            for loop in segment_loops(texts, self.limits.max_repeats):
                why = Why("repetition", f"said {loop.times} times in a row")
                for index in range(loop.start, loop.stop):
                    found.setdefault(index, why)
        return found

    def against_all_of(self, segment: Segment) -> Why | None:
        """What speaks against a segment whatever its words are."""
        rules, limits = self.limits.rules, self.limits
        start, end = segment["start"], segment["end"]
        if not plain(segment["text"]):
            return Why("no_words", "no letter and no digit")
        heard = "outside_speech" not in rules or self.turns is None
        if not heard and not is_near(self.turns or (), start, end):
            return Why("outside_speech", "nobody speaks there")
        if "no_speech" in rules:
            signs = self._signs(segment, start, end, segment["text"])
            silent = signs.doubted(limits.no_speech_threshold)
            guessed = signs.guessed(limits.logprob_threshold)
            if (silent and guessed) or (signs.silent(HARDLY_SPOKEN) and (silent or guessed)):
                return Why("no_speech", signs.describe())
        return None

    def without_boilerplate(self, segment: Segment) -> tuple[Segment | None, list[Removal]]:
        """The segment without the sentences that are boilerplate; None where nothing is left."""
        if "boilerplate" not in self.limits.rules:
            return segment, []
        if not segment["words"]:
            why = self._boilerplate(segment, segment["start"], segment["end"], segment["text"])
            return (None, [_removal(segment, *why)]) if why else (segment, [])
        dropped: set[int] = set()
        removals = []
        for places in stretches(segment):
            text = text_of(segment, places)
            start = segment["words"][places[0]]["start"]
            end = segment["words"][places[-1]]["end"]
            why = self._boilerplate(segment, start, end, text)
            if why and dropped.isdisjoint(places):
                dropped.update(places)
                removals.append(Removal(start, end, text, *why))
        if len(dropped) == len(segment["words"]):
            return None, removals
        return (without_words(segment, dropped) if dropped else segment), removals

    def without_loops_of_words(
        self, segments: Sequence[Segment]
    ) -> tuple[list[Segment], list[Removal]]:
        """Cut the words of loops out, and judge what repeats itself less plainly."""
        dropped: dict[int, dict[int, int]] = {}
        if "repetition" in self.limits.rules:
            dropped = looped_words(segments, self.limits.max_repeats)
        kept: list[Segment] = []
        removals: list[Removal] = []
        for index, segment in enumerate(segments):
            gone = dropped.get(index)
            if gone is None:
                why = self._garbled(segment)
                if why:
                    removals.append(_removal(segment, *why))
                else:
                    kept.append(segment)
                continue
            for places in runs(sorted(gone)):
                start = segment["words"][places[0]]["start"]
                end = segment["words"][places[-1]]["end"]
                why = Why("repetition", f"said {gone[places[0]]} times in a row")
                removals.append(Removal(start, end, text_of(segment, places), *why))
            if len(gone) < len(segment["words"]):
                kept.append(without_words(segment, gone))
        return kept, removals

    def _boilerplate(self, segment: Segment, start: float, end: float, text: str) -> Why | None:
        known = plain(text)
        listed = self.boilerplate.kind(known)
        if listed is None:
            return None
        signs = self._signs(segment, start, end, text)
        against = (
            signs.dragged()
            or signs.silent(MOSTLY_SILENT)
            or signs.doubted(self.limits.no_speech_threshold)
            or signs.guessed(self.limits.logprob_threshold)
        )
        if listed is Kind.CREDITS:
            doubted = signs.doubted(DOUBTFUL_SILENCE) or signs.guessed(DOUBTFUL_LOGPROB)
            against = against or doubted or signs.at_edge
        return Why("boilerplate", f"{listed.value}; {signs.describe()}") if against else None

    def _garbled(self, segment: Segment) -> Why | None:
        """Whisper itself found no better text than one that repeats itself, and this is where."""
        if "compression" not in self.limits.rules:
            return None
        most = self.limits.compression_ratio_threshold
        of_window, own = segment.get("compression_ratio"), compression_ratio(segment["text"])
        if of_window is None or of_window <= most or own <= most:
            return None
        return Why("compression", f"compression ratio {own:.2f}, {of_window:.2f} around it")

    def _signs(self, segment: Segment, start: float, end: float, text: str) -> Signs:
        seconds = end - start
        return Signs(
            spoken=None if self.turns is None else spoken_share(self.turns, start, end),
            no_speech_prob=segment.get("no_speech_prob"),
            avg_logprob=segment.get("avg_logprob"),
            seconds=seconds,
            pace=len(plain(text)) / seconds if seconds > 0 else 0.0,
            at_edge=start < EDGE or end > self.duration - EDGE,
        )


def _removal(segment: Segment, reason: str, detail: str) -> Removal:
    return Removal(segment["start"], segment["end"], segment["text"], reason, detail)
