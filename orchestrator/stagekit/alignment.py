"""A transcript with the word times of a forced aligner, and how well they agree with the earlier.

An aligner finds out where given words are said. It may fail on a word or on a whole passage: those
words stay between the ones that were found, or keep their times, and the transcript says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from statistics import fmean, median
from typing import Any

from orchestrator.contract.exchange import ModelRef
from orchestrator.stagekit.speech import Turn
from orchestrator.stagekit.transcript import INTERPOLATED, Word, rounded, words_of

ALIGNED = "aligned"
"""``word_times`` of a transcript that an aligner has worked on."""
DOUBTFUL = 0.5
"""Seconds by which half of the words may move before the result is called doubtful.

Whisper's own word times are rarely off by more than 0.3 s.
"""


@dataclass(frozen=True, slots=True)
class Placed:
    """Where an aligner found a word, in audio time, and how sure it is (0 to 1) if it says so."""

    start: float
    end: float
    score: float | None = None


Passage = Sequence[Placed | None]
"""The words of one segment: None for those that were not found."""


def passages(segments: Sequence[Mapping[str, Any]], *, longest: float, apart: float) -> list[range]:
    """Numbers of segments that are aligned together: neighbours, up to ``longest`` seconds.

    Together, because where one segment ends and the next begins is what recognition knows least.
    A silence of ``apart`` seconds parts them.
    """
    found: list[range] = []
    for number, segment in enumerate(segments):
        if found:
            last = found[-1]
            near = segment["start"] - segments[last[-1]]["end"] < apart
            if near and segment["end"] - segments[last[0]]["start"] <= longest:
                found[-1] = range(last[0], number + 1)
                continue
        found.append(range(number, number + 1))
    return found


def sound_of(
    segments: Sequence[Mapping[str, Any]], numbers: range, *, pad: float, duration: float
) -> Turn:
    """Where to listen for these segments: up to ``pad`` seconds more, but not into others."""
    first, last = segments[numbers[0]]["start"], segments[numbers[-1]]["end"]
    before = segments[numbers[0] - 1]["end"] if numbers[0] else 0.0
    after = segments[numbers[-1] + 1]["start"] if numbers[-1] + 1 < len(segments) else duration
    return Turn(
        max(0.0, first - pad, min(first, before)), min(duration, last + pad, max(last, after))
    )


def find_words(
    segments: Sequence[Mapping[str, Any]],
    align: Callable[[Turn, list[str]], Passage | None],
    *,
    duration: float,
    longest: float,
    apart: float,
    pad: float,
) -> list[Passage | None]:
    """What ``align(sound, words)`` finds for each segment; None where it found nothing.

    It is asked for a passage at a time (see :func:`passages` and :func:`sound_of`), and where that
    fails for each of its segments by itself.
    """
    found: list[Passage | None] = [None] * len(segments)
    todo = passages(segments, longest=longest, apart=apart)[::-1]
    while todo:
        numbers = todo.pop()
        words = [word["word"] for number in numbers for word in segments[number]["words"]]
        placed = align(sound_of(segments, numbers, pad=pad, duration=duration), words)
        if placed is not None:
            rest = iter(placed)
            for number in numbers:
                found[number] = [next(rest) for _ in segments[number]["words"]]
        elif len(numbers) > 1:
            todo += [range(number, number + 1) for number in reversed(numbers)]
    return found


def model_for(models: Sequence[ModelRef], language: str) -> ModelRef | None:
    """The model made for that language (ISO 639-1), else the first that is made for any."""
    made = [model for model in models if language in model.languages]
    return next(iter([*made, *(model for model in models if not model.languages)]), None)


def aligned(
    transcript: Mapping[str, Any],
    found: Sequence[Passage | None],
    *,
    engine: str,
    model: ModelRef | None = None,
) -> dict[str, Any]:
    """The transcript with the words where they were found.

    ``found`` has one entry for each segment; None where its words keep their times. Segments of
    which no word was found are marked ``"aligned": false``.
    """
    times = transcript.get("word_times", "whisper")
    rows: list[dict[str, Any]] = []
    moved: list[float] = []
    total, floor = 0, 0.0
    for segment, passage in zip(transcript["segments"], found, strict=True):
        words = words_of(segment)
        total += len(words)
        known = [None] * len(words) if passage is None else list(passage)
        moved += [
            abs(now.start - word.start)
            for word, now in zip(words, known, strict=True)
            if now is not None
        ]
        row = {**segment}
        if any(known):
            words = _placed(words, known)
            row["words"] = [
                {**one, **_times(word), **_score(now)}
                for one, word, now in zip(
                    segment["words"], _in_order(words, floor), known, strict=True
                )
            ]
            row["start"], row["end"] = row["words"][0]["start"], row["words"][-1]["end"]
        elif words:
            row["aligned"] = False
        floor = max(floor, row["end"])
        rows.append(row)
    report = {
        "engine": engine,
        "model": model.name if model else None,
        "words": total,
        "aligned": len(moved),
        "share": round(len(moved) / total, 4) if total else 1.0,
        "compared_with": times,
        "mean_difference": rounded(fmean(moved)) if moved else None,
        "median_difference": rounded(median(moved)) if moved else None,
    }
    refined = {**transcript, "alignment": report, "segments": rows}
    if moved:
        refined["word_times"] = ALIGNED
    return refined


def agreement(report: Mapping[str, Any]) -> dict[str, float]:
    """The figures of a transcript's ``alignment`` for the manifest."""
    names = ("share", "mean_difference", "median_difference")
    return {f"alignment_{name}": report[name] for name in names if report[name] is not None}


def is_doubtful(report: Mapping[str, Any]) -> bool:
    """Whether half of the words moved further than an aligner that works would move them."""
    moved = report["median_difference"]
    return moved is not None and moved > DOUBTFUL and report["compared_with"] != INTERPOLATED


def _placed(words: Sequence[Word], known: Passage) -> list[Word]:
    """The words where they were found; those in between share the time between, by their length."""
    placed: list[Word] = []
    for missing, run in groupby(
        zip(words, known, range(len(words)), strict=True), key=lambda one: one[1] is None
    ):
        items = list(run)
        if not missing:
            placed += [replace(word, start=p.start, end=p.end) for word, p, _ in items if p]
            continue
        first, last = items[0][2], items[-1][2]
        before = known[first - 1] if first else None
        after = known[last + 1] if last + 1 < len(known) else None
        start = before.end if before else min(items[0][0].start, after.start if after else 1e9)
        end = after.start if after else max(items[-1][0].end, start)
        placed += _shared([word for word, _, _ in items], start, max(start, end))
    return placed


def _shared(words: Sequence[Word], start: float, end: float) -> Iterator[Word]:
    weights = [0]
    for word in words:
        weights.append(weights[-1] + len(word.word.strip()) + 1)
    scale = (end - start) / weights[-1]
    for word, (first, last) in zip(words, pairwise(weights), strict=True):
        yield replace(word, start=start + first * scale, end=start + last * scale)


def _in_order(words: Sequence[Word], floor: float) -> Iterator[Word]:
    for word in words:
        start = max(word.start, floor)
        floor = max(word.end, start)
        yield replace(word, start=start, end=floor)


def _times(word: Word) -> dict[str, float]:
    return {"start": round(word.start, 3), "end": round(word.end, 3)}


def _score(now: Placed | None) -> dict[str, float]:
    return {} if now is None or now.score is None else {"score": round(now.score, 3)}
