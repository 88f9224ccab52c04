"""The timeline of a simulated run as a picture (SVG): what each device did, and what was loaded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from benchmarks._simulator import Bar

WIDTH, LEFT, ROW, GAP, TOP = 960, 96, 18, 10, 56
COLOURS = (
    *("#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#76b7b2"),
    *("#edc948", "#b07aa1", "#9c755f", "#ff9da7"),
)
LOADING = "#c9c9c9"


def picture(title: str, bars: Sequence[Bar], seconds: float) -> str:
    """All bars that begin in the first ``seconds``; overlapping ones of a lane share its rows."""
    shown = [bar for bar in bars if bar.begin < seconds]
    stages = list(dict.fromkeys(bar.stage for bar in shown))
    colour = {stage: COLOURS[n % len(COLOURS)] for n, stage in enumerate(stages)}
    parts: list[str] = []
    y = TOP
    for lane in sorted({bar.lane for bar in shown}, key=lambda name: (name == "cpu", name)):
        for kind, name in (("load", f"{lane} loads"), ("run", lane)):
            rows = _rows([bar for bar in shown if (bar.lane, bar.kind) == (lane, kind)])
            for number, row in enumerate(rows):
                if number == 0:
                    parts.append(_text(LEFT - 8, y + 13, name, anchor="end"))
                parts += [_bar(bar, y, seconds, colour) for bar in row]
                y += ROW
            y += GAP if rows else 0
    axis = [
        _text(LEFT + fifth * (WIDTH - LEFT - 48) / 5, y + 14, f"{seconds * fifth / 5:.0f} s")
        for fifth in range(6)
    ]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y + 28}" '
            f'viewBox="0 0 {WIDTH} {y + 28}" font-family="sans-serif" font-size="12">',
            f'<rect width="{WIDTH}" height="{y + 28}" fill="#ffffff"/>',
            _text(8, 18, title),
            *_legend(colour),
            *parts,
            *axis,
            "</svg>\n",
        ]
    )


def _rows(bars: Iterable[Bar]) -> list[list[Bar]]:
    """The bars in as few rows as it takes for none to overlap."""
    rows: list[list[Bar]] = []
    for bar in sorted(bars, key=lambda bar: bar.begin):
        row = next((row for row in rows if row[-1].end <= bar.begin), None)
        if row is None:
            rows.append([bar])
        else:
            row.append(bar)
    return rows


def _bar(bar: Bar, y: int, seconds: float, colour: dict[str, str]) -> str:
    scale = (WIDTH - LEFT - 48) / seconds
    x, end = LEFT + bar.begin * scale, LEFT + min(bar.end, seconds) * scale
    what = f"{'load ' if bar.kind == 'load' else ''}{bar.stage} {bar.file}".strip()
    edge = f' stroke="{colour[bar.stage]}"' if bar.kind == "load" else ""
    fill = LOADING if bar.kind == "load" else colour[bar.stage]
    return (
        f'<rect x="{x:.1f}" y="{y}" width="{max(0.3, end - x):.1f}" height="{ROW - 3}" '
        f'fill="{fill}"{edge}><title>{escape(what)}</title></rect>'
    )


def _legend(colour: dict[str, str]) -> list[str]:
    parts, x = [], 8
    for stage, fill in colour.items():
        parts.append(f'<rect x="{x}" y="28" width="12" height="12" fill="{fill}"/>')
        parts.append(_text(x + 16, 39, stage))
        x += 30 + 7 * len(stage)
    return parts


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}">{escape(text)}</text>'
