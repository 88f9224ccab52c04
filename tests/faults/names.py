"""Nights over hundreds of hostile names: nothing crashes, and nothing is written but what should.

The coordinator, the prober, the jobs and the publishing are the real ones, and so is every output
that is looked at: what the three views print, the log, ``summary.json``, the timeline and its page,
the database, the jobs' records, and the subtitles themselves.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from batch.timeline_page.make import make_page
from batch.view.safe_text import safe_text
from orchestrator.contract.paths import WorkFolder
from tests.end_to_end.conftest import Batch
from tests.faults.harmless import harmful, harmful_bytes, read_page, without_drawing
from tests.faults.kill_points import selected
from tests.faults.name_lists import known, made
from tests.faults.terminals import run_in_terminal
from tests.faults.texts import FORGERIES, wrong_with
from tests.faults.worlds import Film, World, put, put_deep, world

VIEWS = ("json", "plain", "live")
MADE = 5000
IN_A_NIGHT = 300
DEPTHS = (1100, 1500, 2000, 3000, 4000, 4040, *range(4058, 4068), *range(4088, 4104), 5000, 9000)
"""Bytes of absolute paths. Linux takes 4095."""

_ON_A_PAGE = 50
_SCRIPT = (Path(__file__).parents[2] / "batch/timeline_page/page.js").read_text(encoding="utf-8")


@dataclass
class Names:
    """``names`` that went through ``nights``, and what went wrong with which.

    ``texts``: as many were recognised as speech.
    """

    names: int = 0
    nights: int = 0
    texts: int = 0
    wrong: list[str] = field(default_factory=list)

    def add(self, other: Names) -> None:
        self.names += other.names
        self.nights += other.nights
        self.wrong += other.wrong


def all_names(make: Callable[[], Batch], of: Callable[[int], int], number: int) -> Names:
    """The list, names that are made, and the deepest paths; then all of them as recognised text.

    ``of`` tells how many of so many; ``number`` which names are made.
    """
    listed = known()
    stems = [*selected(listed, of(len(listed))), *made(of(MADE), number)]
    tally = Names()
    for share in range(0, len(stems), IN_A_NIGHT):
        batch = make()
        films = put(batch.library, stems[share : share + IN_A_NIGHT])
        tally.add(night(batch, films, VIEWS[tally.nights % len(VIEWS)]))
    batch = make()
    tally.add(night(batch, put_deep(batch.library, DEPTHS), "plain"))
    said = [*FORGERIES, *(os.fsdecode(stem) for stem in stems)]
    tally.texts = len(said)
    tally.wrong += wrong_with(said, number)
    return tally


def night(batch: Batch, films: Sequence[Film], view: str) -> Names:
    """A dry run, a night and a second night over a library of these films."""
    tally = Names(len(films), 1)
    before = world(batch.folder)
    dry = batch.run("--dry-run")
    tally.wrong += differences(before, world(batch.folder), batch, {})
    tally.wrong += [f"the dry run shows {one}" for one in harmful(dry.out + dry.err)]
    if dry.code not in (0, 5):
        tally.wrong.append(f"the dry run ended with {dry.code}: {dry.err[-500:]}")

    before = world(batch.folder)
    if view == "live":
        code, out = run_in_terminal(batch)
        shown = without_drawing(out)
    else:
        ended = batch.json() if view == "json" else batch.run()
        code, out = ended.code, ended.out + ended.err
        shown = out
    expected = 5 if any(film.fails for film in films) else 0
    if code != expected:
        tally.wrong.append(f"the night ended with {code}: {out[-500:]}")
    tally.wrong += [f"{view} view shows {one}" for one in harmful(shown)]
    outputs = {output: film for film in films for output in film.outputs}
    tally.wrong += differences(before, world(batch.folder), batch, outputs)
    tally.wrong += _records(batch, films)
    if view == "json":
        tally.wrong += _told(films, [json.loads(line) for line in _lines(out)])
    elif view == "plain":
        missing = [film.path for film in films if film.end and safe_text(film.text) not in out]
        tally.wrong += [f"not told by the plain view: {path!r}" for path in missing]

    before = world(batch.folder)
    again = batch.json("--language", "en")
    tally.wrong += differences(before, world(batch.folder), batch, {})
    tally.wrong += _nothing_to_do(again.events, films)
    return tally


def _lines(out: str) -> list[str]:
    return [line for line in out.split("\n") if line.startswith("{")]


def differences(
    before: World, after: World, batch: Batch, outputs: Mapping[bytes, Film]
) -> list[str]:
    """What came in or changed but the ``outputs``, each with what was made of its own film."""
    own = (os.fsencode(batch.work.root.name), b"run-", b"gate", b"config.yaml")
    root = os.fsencode(batch.folder)
    named = {os.path.relpath(path, root): film for path, film in outputs.items()}
    wrong = []
    for path in before.keys() | after.keys() | named.keys():
        if path.startswith(own):
            continue
        if path not in named:
            if before.get(path) != after.get(path):
                wrong.append(f"{path!r} was made or changed")
        elif path not in after:
            wrong.append(f"{path!r} was not made")
        elif greeting(named[path]) not in after[path][2]:
            wrong.append(f"{path!r} has something else in it: {after[path][2]!r}")
    return wrong


def greeting(film: Film) -> bytes:
    """What the fake stage makes of the film's name."""
    name = os.path.basename(film.text).encode("utf-8", "replace")
    return f"Hello from {name!r}\n".encode()


def _records(batch: Batch, films: Sequence[Film]) -> list[str]:
    """What is wrong in the files that the last run left."""
    work = batch.work
    run = max(work.runs.iterdir(), key=lambda one: one.name)
    wrong = _summary(json.loads((run / "summary.json").read_bytes()), films)
    log = (run / "batch.log").read_bytes()
    wrong += [f"the log holds {one}" for one in harmful_bytes(log)]
    stamps = {line[:4] for line in log.decode("utf-8", "replace").splitlines()}
    wrong += [f"the log has a line that begins with {one!r}" for one in stamps - {log[:4].decode()}]
    worked_on = [film for film in films if film.end == "done"]
    told = log.decode("utf-8", "replace")
    wrong += [f"not in the log: {f.path!r}" for f in worked_on if safe_text(f.text) not in told]
    for name in ("summary.json", "timeline.jsonl", "status.json"):
        if (run / name).exists():
            wrong += [f"{name} holds {one}" for one in harmful_bytes((run / name).read_bytes())]
    wrong += _pages(run, [film.text for film in worked_on])
    with closing(sqlite3.connect(work.database)) as database:
        rows = database.execute("SELECT folder, name FROM files WHERE status = 'done'").fetchall()
    known = {os.path.join(folder, name) for folder, name in rows}
    missing = {film.path for film in worked_on} - known
    wrong += [f"not in the database: {path!r}" for path in missing]
    wrong += _jobs(batch, {film.text for film in worked_on})
    return wrong


def _summary(summary: dict[str, Any], films: Sequence[Film]) -> list[str]:
    ends = {one["path"]: one for one in summary["files"]}
    skipped = {one["path"]: one["reason"] for one in summary["skipped"]}
    wrong = []
    for film in films:
        record = ends.get(film.text)
        end = skipped.get(film.text, "") if record is None else record["status"]
        if record is not None and record["error"] is not None:
            end = record["error"]["code"]
        if end != film.end:
            wrong.append(f"the summary says {end!r}, not {film.end!r}, of {film.path!r}")
        elif record is not None:
            made = {os.fsencode(path) for path in record["published"]}
            if made != set(film.outputs):
                wrong.append(f"the summary has other outputs of {film.path!r}: {made}")
    others = (ends.keys() | skipped.keys()) - {film.text for film in films}
    return wrong + [f"the summary has a file that is not there: {path!r}" for path in others]


def _pages(run: Path, names: Sequence[str]) -> list[str]:
    """The page of the run, and pages of parts of it that are small enough to show every name."""
    wrong, _ = read_page((run / "timeline.html").read_text(encoding="utf-8"), _SCRIPT)
    head, *lines = (run / "timeline.jsonl").read_text(encoding="ascii").splitlines()
    records = [json.loads(line) for line in lines]
    for start in range(0, len(names), _ON_A_PAGE):
        part = set(names[start : start + _ON_A_PAGE])
        folder = run / "pages" / "runs" / "20260131T220000Z-1a2b3c"
        folder.mkdir(parents=True, exist_ok=True)
        chosen = [line for line, one in zip(lines, records, strict=True) if one.get("file") in part]
        (folder / "timeline.jsonl").write_text("\n".join((head, *chosen, "")))
        page = make_page(WorkFolder(run / "pages")).read_text(encoding="utf-8")
        more, titles = read_page(page, _SCRIPT)
        shared = os.path.commonprefix(list(part))  # noqa: RUF071 - as the page does
        root = shared[: max(shared.rfind("/"), shared.rfind("\\")) + 1]
        wanted = sorted(safe_text(name.removeprefix(root)) for name in part)
        wrong += more
        if sorted(titles) != wanted:
            wrong.append(f"shows {sorted(set(wanted) ^ set(titles))[:3]} otherwise")
    return [f"the page: {one}" for one in wrong]


def _jobs(batch: Batch, names: set[str]) -> list[str]:
    """Each file has a job that knows its name, and records that are plain text."""
    wrong = []
    found = set()
    for job in batch.jobs():
        found.add(json.loads((job / "job.json").read_bytes())["source"]["path"])
        for path in job.rglob("*"):
            if path.suffix in (".json", ".jsonl", ".log"):
                wrong += [f"{path.name} holds {one}" for one in harmful_bytes(path.read_bytes())]
    return wrong + [f"no job for {name!r}" for name in names - found]


def _told(films: Sequence[Film], told: Sequence[dict[str, Any]]) -> list[str]:
    """The events name exactly the files that are there."""
    ended = {one["path"]: one["status"] for one in told if one["event"] == "file_finished"}
    wanted = {film.text: "failed" for film in films if film.fails}
    wanted |= {film.text: "done" for film in films if film.end == "done"}
    differing = {
        path for path in ended.keys() | wanted.keys() if ended.get(path) != wanted.get(path)
    }
    return [f"the events say {ended.get(path)!r} of {path!r}" for path in differing]


def _nothing_to_do(told: Sequence[dict[str, Any]], films: Sequence[Film]) -> list[str]:
    """A second night knows every name again."""
    skipped = {one["path"]: one["reason"] for one in told if one["event"] == "skipped"}
    wrong = [
        f"the second night says {skipped.get(film.text)!r} of {film.path!r}"
        for film in films
        if film.end == "done" and skipped.get(film.text) != "already_done"
    ]
    again = {one["path"] for one in told if one["event"] in ("queued", "file_started")}
    done = {film.text for film in films if film.end == "done"}
    return wrong + [f"the second night works on {path!r}" for path in again & done]
