from __future__ import annotations

import hashlib
import json
import re
from base64 import b64encode
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from batch.events import Discovered, FileFinished, RunFinished, RunStarted
from batch.summary import SummaryBuilder
from batch.timeline_page import make as module
from batch.timeline_page.make import NAME, make_page, page_at_end
from orchestrator.contract.errors import Failure
from orchestrator.contract.paths import WorkFolder
from tests.batch.timeline_page.building import (
    attempt_line,
    file_line,
    record,
    sample_line,
)

RUN = "20260131T220000Z-1a2b3c"


def page(folder: Path) -> str:
    where = page_at_end(folder)
    assert where == str(folder / NAME)
    return (folder / NAME).read_text(encoding="utf-8")


def worker_line(at: float, what: str) -> dict[str, Any]:
    about = {"id": "worker-1", "stage": "asr", "key": "k", "device": "cuda:0"}
    return {"kind": "worker", **about, "at": at, "what": what}


def small() -> Iterator[dict[str, Any]]:
    yield worker_line(0.0, "launched")
    yield sample_line(1.0, gpu=50.0, vram=30.0)
    yield worker_line(2.0, "ready")
    yield attempt_line(stage="demux", end=2.0, run=0.5)
    yield attempt_line(start=2.0, end=6.0, worker="worker-1", device="cuda:0", load=1.0, ok=False)
    yield file_line("/m/a.mkv", 0.0, 6.5, "failed")
    yield attempt_line(file="/m/b.mkv", end=4.0)
    yield file_line("/m/b.mkv", 0.0, 4.0, "parked")
    yield attempt_line(file="/m/b.mkv", asked=6.0, start=6.5, end=8.0)
    yield sample_line(9.0)
    yield file_line("/m/b.mkv", 5.0, 9.0)


def hold_line(at: float, reason: str) -> dict[str, Any]:
    return {"kind": "hold", "at": at, "reason": reason}


def test_the_page_shows_when_new_files_were_held_back(tmp_path: Path) -> None:
    holds = [hold_line(2.0, "busy"), hold_line(4.0, "memory is full"), hold_line(5.0, "")]
    lines = [attempt_line(), sample_line(5.0), *holds, hold_line(6.0, "busy"), sample_line(10.0)]

    text = page(record(tmp_path, lines))

    row = re.search(r"<span>held back</span><small>([^<]*)</small>.*?</svg>", text)
    assert row is not None
    assert row[1] == "7.0 s", "the last one had not ended"
    assert 'class="held" d="M2000 14' in row[0]
    assert "held back</span>" not in page(record(tmp_path / "calm", small()))


def test_a_length_that_could_not_be_verified_is_shown(tmp_path: Path) -> None:
    unknown = {**file_line("/m/b.mkv", 0.0, 5.0), "length_verified": False}
    known = {**file_line("/m/a.mkv", 0.0, 5.0), "length_verified": True}
    attempts = [attempt_line(), attempt_line(file="/m/b.mkv")]

    text = page(record(tmp_path, [*attempts, unknown, known]))

    assert text.count('<b class="done" title="done; length unverifiable">✓?</b>') == 1
    assert text.count('<b class="done" title="done">✓</b>') == 1


def without_script(text: str) -> str:
    return re.sub(r"<script>.*</script>|<style>.*</style>", "", text, flags=re.S)


class Tags(HTMLParser):
    """Which elements a page has, and where it would fetch from. Refuses what is not closed."""

    void = frozenset({"meta", "rect", "path"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.addresses: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in self.void:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.void:
            assert self.open.pop() == tag


def test_a_small_run_is_drawn_piece_by_piece(tmp_path: Path) -> None:
    text = page(record(tmp_path, small()))
    assert "parked: 2.0 s" in text
    assert "asr FAILED: waited 2.0 s, loaded for 1.0 s, ran for 3.0 s" in text
    assert "warm in worker-1, on cuda:0, 1 thread" in text
    assert "in a process of its own, on cpu" in text
    assert "asr: starts and loads" in text
    assert "begun on 2026-01-31 at 22:00 UTC" in text
    for name in ("GPU", "VRAM", "own process 2", "a.mkv", "b.mkv"):
        assert f">{name}<" in text
    assert "cannot be drawn" not in text
    assert "The files that took longest" not in text


def test_it_is_whole_and_fetches_nothing(tmp_path: Path) -> None:
    text = page(record(tmp_path, small()))
    tags = Tags(without_script(text))
    assert not tags.addresses
    assert not re.search(r"https?:|@import|url\(", text)
    script = re.search(r"<script>(.*)</script>", text, re.S)
    assert script is not None
    digest = b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'" in text


def test_names_of_files_do_no_harm(tmp_path: Path) -> None:
    names = [
        "</title><script>alert(1)</script>.mkv",
        '" onload="x.mkv',
        "\u202e\x1b[31m\n\udcff.mkv",
    ]
    lines = [attempt_line(file=f"/m/{name}", stage=f"st<em>&{at}") for at, name in enumerate(names)]
    lines.append(worker_line(0.0, "launched") | {"stage": "<u>", "device": "<b>"})
    text = page(record(tmp_path, lines))
    assert "<script>alert" not in text
    assert text.count("<script>") == 1
    assert '" onload="' not in text
    assert "\\u202e\\x1b[31m\\n\\xff.mkv" in text
    assert not set("\u202e\x1b") & set(text)
    assert not {"em", "u"} & set(Tags(without_script(text)).seen)


def test_a_killed_run_has_a_torn_line_and_no_summary(tmp_path: Path) -> None:
    folder = record(tmp_path, [attempt_line(), sample_line(7.0)], torn='{"kind":"attempt","fi')
    text = page(folder)
    assert "killed, or still running" in text
    assert "1 not finished" in text
    assert ">7.0 s<" in text


def test_what_the_run_counted_itself_is_shown(tmp_path: Path) -> None:
    seconds = iter((0.0, 0.0, 100.0, 100.0))
    summary = SummaryBuilder(clock=lambda: next(seconds))
    summary.handle(RunStarted("r", "/m", "/w", 2, False))
    summary.handle(Discovered(5, 1, 5))
    summary.handle(FileFinished("/m/a\udcff.mkv", "done", audio_seconds=3000.0))
    summary.handle(FileFinished("/m/b.mkv", "failed"))
    summary.handle(RunFinished(5))
    folder = record(tmp_path, [attempt_line()])
    summary.write(folder / "summary.json")
    text = page(folder)
    assert "30.0 x real time" in text
    assert "1 failed" in text
    assert "killed" not in text


@pytest.mark.parametrize("text", ["", "{}\n", '{\n "version": 99\n}\n', '{\n "version": 1\n}\n'])
def test_a_summary_that_cannot_be_read_is_none(tmp_path: Path, text: str) -> None:
    folder = record(tmp_path, [attempt_line()])
    (folder / "summary.json").write_text(text)
    assert "killed, or still running" in page(folder)


def many(number: int) -> Iterator[dict[str, Any]]:
    yield worker_line(0.0, "launched")
    yield worker_line(1.0, "ready")
    for at in range(number):
        asked, start, end = at + 1.0, at + 1.25, at + 2.0
        about = {"file": f"/m/{at}.mkv", "asked": asked, "end": end}
        if at % 2:
            about |= {"worker": "worker-1", "device": "cuda:0"}
        yield attempt_line(**about, start=start, run=0.5)
        yield file_line(f"/m/{at}.mkv", asked, end)
        yield sample_line(end)


def test_a_large_run_is_summed_up_and_says_so(tmp_path: Path) -> None:
    text = page(record(tmp_path, many(4000)))
    assert "More happened than can be drawn piece by piece" in text
    assert "How many files were in which stage" in text
    assert "The files that took longest" in text
    assert "<title>" in text
    assert text.count("<rect") < 20
    assert len(text) < 200_000


def test_the_page_of_a_larger_run_is_no_larger(tmp_path: Path) -> None:
    sizes = [len(page(record(tmp_path / str(number), many(number)))) for number in (4000, 16_000)]
    assert sizes[1] < 1.2 * sizes[0]


def test_rows_that_found_no_room_are_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batch.timeline_page.lanes.Lanes.__init__.__defaults__", (1, 3000))
    text = page(record(tmp_path, small()))
    assert "found no room in these rows" in text


def test_a_run_in_which_nothing_ran_has_no_page(tmp_path: Path) -> None:
    folder = record(tmp_path, [sample_line(1.0)])
    assert page_at_end(folder) is None
    assert not (folder / NAME).exists()
    assert page_at_end(tmp_path / "no such run") is None


def test_the_page_of_a_huge_run_is_made_when_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LARGE_BYTES", 10)
    folder = record(tmp_path / RUN, [attempt_line()])
    assert page_at_end(folder) == f"batch-subtitles --timeline {RUN} makes it"
    assert not (folder / NAME).exists()


def test_the_latest_run_or_the_one_named(tmp_path: Path) -> None:
    work = WorkFolder(tmp_path)
    first = record(work.runs / "20260101T000000Z-a", [attempt_line()])
    last = record(work.runs / "20260102T000000Z-b", [])
    assert make_page(work) == last / NAME
    assert "No stage of any file ran" in (last / NAME).read_text()
    assert make_page(work, first.name) == first / NAME
    assert sorted(path.name for path in first.iterdir()) == [NAME, "timeline.jsonl"]


@pytest.mark.parametrize("run_id", ["latest", "nosuch", "../../etc", ".."])
def test_no_such_run(tmp_path: Path, run_id: str) -> None:
    record(tmp_path, [])
    with pytest.raises(Failure) as failure:
        make_page(WorkFolder(tmp_path / "work"), run_id)
    assert failure.value.info.code == "timeline_not_found"


def test_a_page_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = record(tmp_path / "runs" / RUN, [attempt_line()])

    def full(*_: object) -> Iterator[str]:
        yield "half of it"
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "pieces", full)
    with pytest.raises(Failure) as failure:
        make_page(WorkFolder(tmp_path))
    assert failure.value.info.code == "disk_full"
    assert page_at_end(folder) is None
    assert [path.name for path in folder.iterdir()] == ["timeline.jsonl"]


def test_a_head_of_another_kind_is_no_reason_to_fail(tmp_path: Path) -> None:
    (tmp_path / "timeline.jsonl").write_text(json.dumps(attempt_line()) + "\n")
    assert "begun on" not in page(tmp_path)
