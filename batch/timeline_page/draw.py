"""Shapes: strings of SVG with times as the horizontal axis, 0 to :data:`WIDTH` for the whole run.

The pictures are stretched to the width of the screen, so there is no text in them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape

from batch.timeline_page.axis import mark
from batch.timeline_page.buckets import Buckets
from batch.timeline_page.curves import HELD, Curve
from batch.timeline_page.files import Row
from batch.timeline_page.lanes import Bar, Lane
from batch.timeline_page.record import Attempt
from batch.view.safe_text import safe_text
from batch.view.words import count, duration

WIDTH = 10_000
HUES = 8
"""Colours that are told apart by everybody; a stage beyond them gets one of them paler."""

LANE_HEIGHT = 20
ROW_HEIGHT = 14
CURVE_HEIGHT = 60
_THIN = 30
"""Bars narrower than this (0.3 % of the width) get no gap to their neighbour."""


class Colours:
    """CSS classes of the stages, in the order in which they first ran.

    The instances of one stage (``translation.pt``, ``translation.fr``) share its colour.
    """

    def __init__(self, stages: Iterable[str]) -> None:
        self._numbers: dict[str, int] = {}
        for stage in stages:
            self._numbers.setdefault(_family(stage), len(self._numbers))

    def of(self, stage: str) -> str:
        number = self._numbers.setdefault(_family(stage), len(self._numbers))
        pale = " pale" if number % (2 * HUES) >= HUES else ""
        return f"s{number % HUES}{pale}"

    @property
    def families(self) -> list[str]:
        return list(self._numbers)


class Pictures:
    """The parts of a picture of a run of ``end`` seconds."""

    def __init__(self, end: float, colours: Colours) -> None:
        self._end = end
        self._scale = WIDTH / end if end > 0 else 0.0
        self._colours = colours

    def lane(self, lane: Lane, root: str) -> str:
        """The bars of a lane, each with what it was."""
        lives = [bar for bar in lane.bars if bar.phase == "alive"]
        work = [bar for bar in lane.bars if bar.phase != "alive"]
        shapes = [self._rect("alive", bar.start, bar.end, 9, 2, "") for bar in lives]
        shapes += [self._bar(bar, root) for bar in work]
        return _svg(LANE_HEIGHT, shapes)

    def busy_lane(self, lane: Lane, buckets: Buckets) -> str:
        """How much of the time a lane was busy, one stage on top of the other."""
        key = ("lane", lane.number)
        alive = buckets.means((*key, "alive", lane.stage), self._end)
        shapes = [self._area("alive", [min(1.0, 0.1 * one) for one in alive], buckets, 20, None)]
        ground = [0.0] * len(alive)
        for stage in lane.stages:
            for phase in ("run", "load"):
                if (*key, phase, stage) in buckets:
                    values = buckets.means((*key, phase, stage), self._end)
                    style = f"{self._colours.of(stage)} {phase}"
                    top = [low + one for low, one in zip(ground, values, strict=True)]
                    shapes.append(self._area(style, top, buckets, LANE_HEIGHT, ground))
                    ground = top
        return _svg(LANE_HEIGHT, shapes)

    def file(self, row: Row) -> str:
        """What became of one file; it lies flat while nothing of it ran."""
        end = row.end if row.status else self._end
        shapes = [self._rect("open", row.start, end, 6, 2, "")]
        for span in row.spans:
            label = "" if span.attempt is None else _words(span.attempt)
            if span.state in ("waiting", "parked"):
                words = "waited for its turn" if span.state == "waiting" else "parked"
                label = f"{words}: {duration(span.end - span.start)}"
                shapes.append(self._rect(span.state, span.start, span.end, 4, 6, label))
            else:
                style = f"{self._colours.of(span.stage)} {span.state}"
                shapes.append(self._rect(style, span.start, span.end, 0, ROW_HEIGHT, label))
        return _svg(ROW_HEIGHT, shapes)

    def density(self, buckets: Buckets, stages: Sequence[str], height: int) -> tuple[str, float]:
        """How many files were in which stage, or waiting; and the number at the top."""
        layers = [
            *((f"{self._colours.of(one)} run", ("files", "run", one)) for one in stages),
            ("loading", ("files", "load", "")),
            ("waiting", ("files", "waiting", "")),
            ("parked", ("files", "parked", "")),
        ]
        tops: list[tuple[str, list[float], list[float]]] = []
        ground = [0.0] * len(buckets.sums("", self._end))
        for style, key in layers:
            if key in buckets:
                values = buckets.means(key, self._end)
                top = [low + one for low, one in zip(ground, values, strict=True)]
                tops.append((style, top, ground))
                ground = top
        most = max(ground, default=0.0) or 1.0
        shapes = [
            self._area(style, [one / most for one in top], buckets, height, [x / most for x in low])
            for style, top, low in tops
        ]
        return _svg(height, shapes), most

    def curve(self, curve: Curve, buckets: Buckets) -> str:
        """One measure of the machine; the top is 100 %."""
        shapes = [self._percent("all", curve.everything, buckets)]
        if curve.own is not None:
            shapes.append(self._percent("own", curve.own, buckets))
        return _svg(CURVE_HEIGHT, shapes)

    def held(self, buckets: Buckets) -> str:
        """When nothing new was started."""
        means = buckets.means(HELD, self._end)
        return _svg(ROW_HEIGHT, [self._area(HELD, means, buckets, ROW_HEIGHT, None)])

    def position(self, moment: float) -> float:
        """Percent of the width."""
        return 100 * moment * self._scale / WIDTH

    def _percent(self, style: str, values: Sequence[float | None], buckets: Buckets) -> str:
        shares = [0.0 if one is None else min(1.0, one / 100) for one in values]
        return self._area(style, shares, buckets, CURVE_HEIGHT, None)

    def _bar(self, bar: Bar, root: str) -> str:
        style = f"{self._colours.of(bar.stage)} {bar.phase}"
        if bar.attempt is None:
            label = f"{safe_text(bar.stage)}: starts and loads\n{_times(bar.start, bar.end)}"
        else:
            style += " bad" if bar.attempt.ok is False else ""
            name = safe_text(bar.attempt.file.removeprefix(root), 60)
            label = f"{name}\n{_words(bar.attempt)}"
        return self._rect(style, bar.start, bar.end, 1, LANE_HEIGHT - 2, label)

    def _rect(self, style: str, start: float, end: float, top: int, height: int, label: str) -> str:
        left, width = start * self._scale, max(1.0, (end - start) * self._scale)
        thin = " thin" if width < _THIN else ""
        place = f'x="{_number(left)}" y="{top}" width="{_number(width)}" height="{height}"'
        if not label:
            return f'<rect class="{style}{thin}" {place}/>'
        return f'<rect class="{style}{thin}" {place}><title>{escape(label)}</title></rect>'

    def _area(
        self,
        style: str,
        tops: Sequence[float],
        buckets: Buckets,
        height: int,
        ground: Sequence[float] | None,
    ) -> str:
        """Steps from ``ground`` (the bottom where None) up to ``tops``: shares of the height."""
        if not any(tops):
            return ""
        width = buckets.width * self._scale
        low = [0.0] * len(tops) if ground is None else ground
        path = "".join(_steps(tops, low, width, height))
        return f'<path class="{style}" d="{path}"/>'


def _steps(tops: Sequence[float], low: Sequence[float], width: float, height: int) -> Iterator[str]:
    """A path for each stretch in which the area is not empty: there along the top, back below."""
    heights = [
        (round(height * (1 - min(1.0, top)), 1), round(height * (1 - min(1.0, base)), 1))
        for top, base in zip(tops, low, strict=True)
    ]
    first = 0
    while first < len(heights):
        if heights[first][0] >= heights[first][1]:
            first += 1
            continue
        last = first
        while last < len(heights) and heights[last][0] < heights[last][1]:
            last += 1
        edges = [min(WIDTH, round(number * width)) for number in range(first, last + 1)]
        stretch = heights[first:last]
        yield f"M{edges[0]} {_number(stretch[0][1])}"
        yield from _along([top for top, _ in stretch], edges)
        yield from _along([base for _, base in reversed(stretch)], edges[::-1])
        yield "Z"
        first = last


def _along(levels: Sequence[float], edges: Sequence[int]) -> Iterator[str]:
    """Go along the levels from edge to edge; equal neighbours are one step."""
    for number, level in enumerate(levels):
        if number == 0 or level != levels[number - 1]:
            yield f"V{_number(level)}"
        if number + 1 == len(levels) or level != levels[number + 1]:
            yield f"H{edges[number + 1]}"


def _svg(height: int, shapes: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" preserveAspectRatio="none" '
        f'style="height:{height}px" aria-hidden="true">{"".join(shapes)}</svg>'
    )


def _words(attempt: Attempt) -> str:
    how = "in a process of its own" if attempt.worker is None else f"warm in {attempt.worker}"
    where = f"{how}, on {attempt.device}, {count(attempt.threads, 'thread')}"
    parts = [f"waited {duration(attempt.start - attempt.asked)}"]
    if attempt.runs_from > attempt.start:
        parts.append(f"loaded for {duration(attempt.runs_from - attempt.start)}")
    parts.append(f"ran for {duration(attempt.end - attempt.runs_from)}")
    bad = " FAILED" if attempt.ok is False else ""
    times = _times(attempt.start, attempt.end)
    lines = (f"{attempt.stage}{bad}: {', '.join(parts)}", times, where)
    return "\n".join(safe_text(line) for line in lines)


def _times(start: float, end: float) -> str:
    return f"{mark(round(start, 1))} – {mark(round(end, 1))}"


def _family(stage: str) -> str:
    return stage.partition(".")[0]


def _number(value: float) -> str:
    """As short as can be."""
    return f"{value:.1f}".removesuffix(".0")
