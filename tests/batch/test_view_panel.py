"""One frame of the live view, line by line, at the sizes terminals have."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest
from rich.cells import cell_len

from batch.events import LoadSampled
from batch.view.board import FileLine, Snapshot
from batch.view.panel import Frame, draw
from batch.view.words import glyphs_for

FRAME = Frame(
    width=80,
    height=24,
    glyphs=glyphs_for("utf-8"),
    encoding="utf-8",
    folder="/media",
    now=datetime(2026, 1, 31, 23, 0),
)
RUNNING = Snapshot(
    elapsed=3723.0,
    media=400,
    checked=400,
    queued=100,
    done=20,
    failed=2,
    interrupted=1,
    skipped=300,
    audio_done=36000.0,
    audio_total=144000.0,
    audio_estimated=True,
    speed=9.7,
    eta=7200.0,
    files=(
        FileLine("/media/Films/One.mkv", "asr", 0.5, 61.0),
        FileLine("/media/第二.mkv", "", None, 1.0),
    ),
    load=LoadSampled(97.2, 41.0, 88.0, 61.0),
)


def lines(snapshot: Snapshot, frame: Frame = FRAME) -> list[str]:
    return draw(snapshot, frame).plain.split("\n")


def test_a_whole_frame() -> None:
    assert lines(RUNNING) == [
        "━━━━━━━━━━━━━" + "─" * 39 + " 23/100 files  25 % 1:02:03",
        "10.0 h of ~40.0 h audio · 9.7 x real time · 2 h 0 min left, done 01:00",
        "✓ 20 done · ✗ 2 failed · 1 interrupted · 300 skipped · 75 waiting",
        "  Films/One.mkv                            asr        ━━━━━━──────  50 %    1:01",
        "  第二.mkv                                 starting   ────────────          0:01",
        "CPU 97 % · memory 41 % · GPU 88 % · VRAM 61 %",
    ]


def test_sixty_columns_drop_the_file_bars_and_the_long_words() -> None:
    shown = lines(RUNNING, replace(FRAME, width=60))
    assert shown[1] == "10.0 h of ~40.0 h · 9.7 x · 2 h 0 min left, done 01:00"
    assert shown[3] == "  Films/One.mkv                    asr          50 %    1:01"


def test_ascii_where_the_encoding_has_no_bars() -> None:
    frame = replace(FRAME, glyphs=glyphs_for("ascii"), encoding="ascii")
    text = "\n".join(lines(RUNNING, frame))
    assert text.isascii()
    assert "#####" in text
    assert "\\u7b2c" in text


def test_before_discovery_has_ended() -> None:
    shown = lines(Snapshot(elapsed=1.0))
    assert shown[1] == "looking for media files"
    assert shown[2] == "✓ 0 done · 0 waiting"
    assert "0/0 files   0 %" in shown[0]


def test_while_files_are_being_checked_the_time_is_a_lower_bound() -> None:
    shown = lines(replace(RUNNING, checked=350, eta=90_000.0))
    assert shown[1].endswith("at least 25 h 0 min left, done Mon 00:00")
    assert "50 to check" in shown[2]


def test_the_time_left_is_not_made_up() -> None:
    assert lines(replace(RUNNING, eta=None))[1].endswith("time left not known yet")


def test_when_all_is_done_there_is_no_time_left() -> None:
    assert lines(replace(RUNNING, eta=0.0))[1].endswith("nothing left to do")
    assert "0.0 s left" in lines(replace(RUNNING, eta=0.0, checked=399))[1]


def test_counters_give_way_from_the_end() -> None:
    shown = lines(replace(RUNNING, media=900), replace(FRAME, width=60))
    assert shown[2] == "✓ 20 done · ✗ 2 failed · 1 interrupted · 300 skipped"


def test_the_bar_is_full_only_when_everything_has_ended() -> None:
    almost = replace(RUNNING, audio_done=144000.0)
    assert "99 %" in lines(almost)[0]
    assert "100 %" in lines(replace(RUNNING, done=97))[0]
    assert "23 %" in lines(replace(RUNNING, audio_total=None))[0]


def test_throttling_is_named() -> None:
    shown = lines(replace(RUNNING, throttled=("CPU 97 % >= 85 %", 12.0)))
    assert "waiting: CPU 97 % >= 85 %, no new files for 0:12" in shown


def test_draining_comes_before_throttling() -> None:
    stopping = replace(RUNNING, throttled=("busy", 1.0), draining=("SIGINT", 29.0))
    words = "stopping (SIGINT), 0:29 left for files in progress"
    assert f"{words}; once more: at once" in lines(stopping)
    assert words in lines(stopping, replace(FRAME, width=60))


def test_no_gpu_no_gpu_numbers() -> None:
    assert lines(replace(RUNNING, load=LoadSampled(5.0, 6.0)))[-1] == "CPU 5 % · memory 6 %"
    assert "CPU" not in "".join(lines(replace(RUNNING, load=None)))


@pytest.mark.parametrize("width", [20, 40, 60, 80, 200])
@pytest.mark.parametrize("height", [2, 5, 8, 15, 24])
def test_sixteen_workers_fit_any_terminal(width: int, height: int) -> None:
    files = tuple(FileLine(f"/media/第{n}話 {'x' * n}.mkv", "asr", n / 16, n) for n in range(16))
    crowded = replace(RUNNING, files=files, throttled=("CPU 97 % >= 85 %", 1.0))
    shown = lines(crowded, replace(FRAME, width=width, height=height))
    assert len(shown) <= max(1, height - 1)
    assert all(cell_len(line) <= width for line in shown)
    if height == 15:
        assert "  … and 8 more in progress"[:width] in shown


def test_hostile_names_and_stages_stay_text() -> None:
    hostile = FileLine("/media/[/foo]\x1b[2J\u202e.mkv", "evil\x1b", 0.1, 1.0)
    text = "\n".join(lines(replace(RUNNING, files=(hostile,))))
    assert "\x1b" not in text
    assert "[/foo]\\x1b[2J\\u202e.mkv" in text
