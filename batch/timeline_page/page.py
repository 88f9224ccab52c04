"""The page: one HTML file with everything in it, made piece by piece.

Nothing is fetched and no script runs but its own: the page says so to the browser, too.
"""

from __future__ import annotations

import base64
import hashlib
import os.path
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path

from batch.summary.model import Overview
from batch.timeline_page.axis import marks
from batch.timeline_page.collect import Collected
from batch.timeline_page.draw import Colours, Pictures
from batch.timeline_page.files import Row
from batch.timeline_page.lanes import Lane
from batch.timeline_page.totals import PARKED, StageTotals
from batch.view.safe_text import safe_text
from batch.view.words import byte_size, count, duration, hours, percent, times_real_time

_HERE = Path(__file__).parent
_STYLE = (_HERE / "page.css").read_text(encoding="utf-8")
_SCRIPT = (_HERE / "page.js").read_text(encoding="utf-8")

_NAME_CELLS = 30
_DENSITY_HEIGHT = 160
_SIGNS = {"done": "✓", "failed": "✗", "interrupted": "‖", "parked": "…", "": "…"}


def pieces(run: Collected, overview: Overview | None) -> Iterator[str]:
    """The page, to be written one after the other.

    ``overview``: what the run counted itself; None where it was ended before it could.
    """
    yield from _top(run)
    if run.totals.attempts == 0:
        yield '<p class="note">No stage of any file ran.</p></main></body></html>\n'
        return
    colours = Colours(run.totals.stages)
    pictures = Pictures(run.totals.wall, colours)
    yield _cards(run, overview)
    yield _legend(colours, bool(run.totals.files[PARKED]))
    yield '<div class="chart">'
    yield _axis(run.totals.wall, pictures)
    yield from _lanes(run, pictures)
    yield from _files(run, pictures)
    yield from _curves(run, pictures)
    yield "</div>"
    if run.files.rows is None:
        yield _longest(run.files.longest())
    yield _stages(run, colours)
    yield f"</main><script>{_SCRIPT}</script></body></html>\n"


def _top(run: Collected) -> Iterator[str]:
    script = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{script}'"
    yield '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield '<meta name="color-scheme" content="light dark">'
    yield f"<title>Timeline of {_text(run.head.run_id)}</title><style>{_STYLE}</style></head>"
    machine = f"{count(run.head.threads, 'CPU thread')}, {byte_size(run.head.ram_bytes)} of RAM"
    began = _began(run.head.run_id)
    yield "<body><main><header><h1>What ran when</h1>"
    yield f"<p>Run <b>{_text(run.head.run_id)}</b>{began}, on {machine}.</p></header>"


def _began(run_id: str) -> str:
    """The identifier of a run begins with the time."""
    try:
        moment = datetime.strptime(run_id.partition("-")[0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return ""
    return f", begun on {moment:%Y-%m-%d at %H:%M} UTC"


def _cards(run: Collected, overview: Overview | None) -> str:
    totals = run.totals
    cards = [("Time", duration(totals.wall), "")]
    if overview is None:
        done, failed = totals.files["done"], totals.files["failed"]
        cards[0] = ("Time", duration(totals.wall), "killed, or still running")
    else:
        done, failed = overview.totals.done, overview.totals.failed
        if overview.throttled_seconds:
            held = f"held back for {duration(overview.throttled_seconds)}"
            cards[0] = ("Time", duration(totals.wall), held)
    begun = run.files.unfinished
    rest = f"{failed:,} failed" + (f", {begun:,} not finished" if begun else "")
    cards.append(("Files done", f"{done:,}", rest))
    if overview is not None and overview.audio_seconds:
        pace = f"{times_real_time(overview.speed)} real time"
        cards.append(("Audio", hours(overview.audio_seconds), pace))
    if totals.busy is not None:
        cpu, own = totals.busy
        cards.append(("CPU busy", percent(cpu / 100), f"{percent(own / 100)} by this run"))
    if totals.gpu_busy is not None:
        vram = totals.peak_vram
        more = "" if vram is None else f"VRAM at most {percent(vram / 100)}"
        cards.append(("GPU busy", percent(totals.gpu_busy / 100), more))
    ram = totals.peak_memory / 100 * run.head.ram_bytes
    if ram:
        cards.append(("RAM of this run", byte_size(round(ram)), "at its peak"))
    spent = f"{duration(totals.load_seconds)} in all" if totals.loads else ""
    cards.append(("Workers loaded", f"{totals.loads:,}", spent))
    if totals.warm_share is not None:
        cards.append(
            ("Warm attempts", percent(totals.warm_share), f"of {totals.attempts:,} attempts")
        )
    return '<dl class="cards">' + "".join(_card(*card) for card in cards) + "</dl>"


def _card(name: str, value: str, more: str) -> str:
    return f"<div><dt>{name}</dt><dd>{escape(value)}</dd><dd>{escape(more)}</dd></div>"


def _legend(colours: Colours, parked: bool) -> str:
    items = [_key(f"{colours.of(one)} run", _text(one)) for one in colours.families]
    items += [
        _key("load", "pale: starts and loads"),
        _key("waiting", "waits for its turn"),
    ]
    if parked:
        items.append(_key("parked", "parked: others go first"))
    return f'<ul class="legend">{"".join(items)}</ul>'


def _key(style: str, words: str) -> str:
    swatch = f'<rect class="{style}" x="1" y="1" width="10" height="10"/>'
    return f'<li><svg viewBox="0 0 12 12">{swatch}</svg>{words}</li>'


def _axis(end: float, pictures: Pictures) -> str:
    at = [(pictures.position(moment), name) for moment, name in marks(end)]
    names = "".join(f'<span style="left:{left:.2f}%">{name}</span>' for left, name in at)
    lines = "".join(f'<i style="left:{left:.2f}%"></i>' for left, _ in at)
    return (
        f'<div class="row axis" data-end="{end:.3f}"><div class="label"><span class="zoom"></span>'
        f'</div><div class="plot">{names}</div></div>'
        f'<div class="row grid"><div class="label"></div><div class="plot">{lines}</div></div>'
    )


def _lanes(run: Collected, pictures: Pictures) -> Iterator[str]:
    yield "<section><h2>Workers and processes</h2>"
    if not run.exact:
        yield (
            '<p class="note">More happened than can be drawn piece by piece: a bar is as high as '
            f"its row was busy, as a mean over {duration(run.buckets.width)}.</p>"
        )
    if run.hidden:
        yield f'<p class="note">{count(run.hidden, "attempt")} found no room in these rows.</p>'
    root = _root([bar.attempt.file for lane in run.lanes for bar in lane.bars if bar.attempt])
    for lane, name in zip(run.lanes, _names(run.lanes), strict=True):
        picture = pictures.lane(lane, root) if run.exact else pictures.busy_lane(lane, run.buckets)
        yield _row(_text(name), _text(lane.device), picture)
    yield "</section>"


def _names(lanes: Sequence[Lane]) -> list[str]:
    """Names of lanes, numbered where several have the same."""
    names = [lane.stage or "own process" for lane in lanes]
    keys = [(name, lane.device) for name, lane in zip(names, lanes, strict=True)]
    return [
        f"{name} {keys[: at + 1].count(keys[at])}" if keys.count(keys[at]) > 1 else name
        for at, name in enumerate(names)
    ]


def _files(run: Collected, pictures: Pictures) -> Iterator[str]:
    rows = run.files.rows
    yield "<section><h2>Files</h2>"
    if rows is None:
        picture, most = pictures.density(run.buckets, list(run.totals.stages), _DENSITY_HEIGHT)
        yield (
            '<p class="note">How many files were in which stage, on top of them those that loaded '
            f"and those that waited, as a mean over {duration(run.buckets.width)}.</p>"
        )
        yield _row("open files", f"up to {most:.0f}", picture)
    else:
        root = _root(list(rows))
        for row in sorted(rows.values(), key=lambda row: (row.start, row.file)):
            yield _row(_name(row, root), _sign(row), pictures.file(row))
    yield "</section>"


def _curves(run: Collected, pictures: Pictures) -> Iterator[str]:
    if not run.curves:
        return
    yield '<section><h2>The machine</h2><p class="note">The top is 100 %. '
    yield '<span class="swatch own"></span> this run <span class="swatch all"></span> all programs'
    width = run.buckets.width
    yield f"; means over {duration(width)}.</p>" if width > 1.0 else ".</p>"
    for curve in run.curves:
        yield _row(curve.name, "", pictures.curve(curve, run.buckets))
    if run.held:
        yield _row("held back", duration(run.held), pictures.held(run.buckets))
        yield '<p class="note">Held back: nothing new was started, as others needed the machine'
        yield " or a disk was away; batch.log says why.</p>"
    yield "</section>"


def _row(name: str, more: str, picture: str) -> str:
    """``name`` and ``more`` are HTML."""
    return (
        f'<div class="row"><div class="label"><span>{name}</span><small>{more}</small></div>'
        f'<div class="plot">{picture}</div></div>'
    )


def _longest(rows: Sequence[Row]) -> str:
    root = _root([row.file for row in rows])
    body = "".join(
        f"<tr><th>{_name(row, root)}</th><td>{_sign(row)} {_text(row.status)}</td>"
        f"<td>{duration(row.end - row.start)}</td><td>{duration(row.ran)}</td>"
        f"<td>{duration(row.waited)}</td></tr>"
        for row in rows
    )
    head = "<th>file</th><th>end</th><th>took</th><th>of that ran</th><th>waited</th>"
    return _table("The files that took longest", head, body)


def _stages(run: Collected, colours: Colours) -> str:
    body = "".join(
        f"<tr><th>{_key(f'{colours.of(name)} run', _text(name))}</th><td>{stage.attempts:,}</td>"
        f"<td>{stage.failed:,}</td><td>{duration(stage.ran)}</td>"
        f"<td>{_each(stage)}</td>"
        f"<td>{duration(stage.loaded)}</td><td>{duration(stage.waited)}</td></tr>"
        for name, stage in run.totals.stages.items()
    )
    head = (
        "<th>stage</th><th>attempts</th><th>failed</th><th>ran</th><th>each</th>"
        "<th>loaded</th><th>waited</th>"
    )
    return _table("Stages", head, body)


def _each(stage: StageTotals) -> str:
    if not stage.attempts:
        return ""
    seconds = stage.ran / stage.attempts
    return f"{seconds * 1000:.0f} ms" if seconds < 0.1 else duration(seconds)


def _table(title: str, head: str, body: str) -> str:
    return (
        f'<section><h2>{title}</h2><div class="wide"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div></section>"
    )


def _sign(row: Row) -> str:
    status = row.status or "not finished"
    style, sign = status.partition(" ")[0], _SIGNS.get(row.status, "")
    if row.verified is False:
        sign, status = f"{sign}?", f"{status}; length unverifiable"
    return f'<b class="{_text(style)}" title="{_text(status)}">{sign}</b>'


def _name(row: Row, root: str) -> str:
    name = row.file.removeprefix(root)
    return f'<bdi title="{_text(name)}">{escape(safe_text(name, _NAME_CELLS))}</bdi>'


def _root(files: Sequence[str]) -> str:
    """The folder that all paths share, with its separator."""
    shared = os.path.commonprefix(list(files))  # noqa: RUF071 - cut at a separator below
    return shared[: max(shared.rfind("/"), shared.rfind("\\")) + 1]


def _text(text: str) -> str:
    return escape(safe_text(text))
