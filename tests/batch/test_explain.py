from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from batch.explain import about_all, about_file, from_running_batch
from batch.options import Options
from batch.status import NAME, VERSION, read_status
from orchestrator.contract.locks import ProcessLock
from orchestrator.settings import load_settings

STATUS: dict[str, Any] = {
    "version": VERSION,
    "holding": "other programs use the CPU: 95 % (threshold 85 %)",
    "queued": 9,
    "files": [
        {
            "file": "/m/a.mkv",
            "state": "running",
            "stage": "asr",
            "seconds": 72.0,
            "worker": "worker-1",
            "device": "cpu",
            "threads": 1,
        },
        {
            "file": "/m/cold.mkv",
            "state": "running",
            "stage": "demux",
            "seconds": 2.0,
            "worker": None,
            "device": "cpu",
            "threads": 2,
        },
        {
            "file": "/m/\x1bb.mkv",
            "state": "waiting",
            "stage": "asr",
            "seconds": 5.0,
            "code": "turn",
            "words": "waits for its turn: 2 of 2 files are being worked on",
        },
        {"file": "/m/c.mkv", "state": "prepared", "stage": "", "seconds": 0.1},
        {"file": "/m/d.mkv", "state": "queued", "code": "look_ahead", "words": "not started yet"},
        {"file": "/m/e.mkv", "state": "queued", "code": "", "words": "others come before it"},
    ],
    "workers": [
        {
            "id": "worker-1",
            "stage": "asr",
            "state": "busy",
            "device": "cuda:0",
            "threads": 1,
            "ram_bytes": 400_000_000,
            "vram_bytes": 3_000_000_000,
            "seconds": 1.0,
        },
        {
            "id": "worker-2",
            "stage": "demux",
            "state": "idle",
            "device": "cpu",
            "threads": 1,
            "ram_bytes": 50_000_000,
            "vram_bytes": 0,
            "seconds": 30.0,
        },
    ],
}


def test_all_that_runs_and_waits_is_told() -> None:
    assert list(about_all(STATUS, "/m")) == [
        "Nothing new starts: other programs use the CPU: 95 % (threshold 85 %)",
        "a.mkv: asr runs on cpu (worker-1, 1 thread) for 1 min 12 s",
        "cold.mkv: demux runs on cpu (a process of its own, 2 threads) for 2.0 s",
        "\\x1bb.mkv: waits for its turn: 2 of 2 files are being worked on (turn), for 5.0 s",
        "c.mkv: its job is being prepared, or is ending",
        "d.mkv: not started yet (look_ahead)",
        "e.mkv: others come before it",
        "and 7 more files in the queue",
        "worker-1 (asr on cuda:0): busy, 400 MB, 3000 MB of the GPU's",
        "worker-2 (demux on cpu): idle for 30 s, 50 MB",
    ]


def test_names_of_other_files_in_the_reasons_are_harmless() -> None:
    words = "waits for the GPU: /m/\x1b]0;x\x07.mkv on cuda:0"
    file = {"file": "/m/a.mkv", "state": "queued", "code": "gpu", "words": words}
    told = about_all({**STATUS, "holding": "a\x1b[2J", "files": [file]}, "/m")
    assert all(line.isprintable() for line in told)


def test_one_file_is_told_by_its_path() -> None:
    assert about_file(STATUS, "/m/d.mkv", "/m") == "d.mkv: not started yet (look_ahead)"
    assert about_file(STATUS, "/m/far-back.mkv", "/m") is None


@pytest.fixture
def options(tmp_path: Path) -> Options:
    loaded = load_settings(
        cli={"work_dir": str(tmp_path), "input_dir": "/m"}, environ={}, user_config=tmp_path / "no"
    )
    return Options(
        loaded,
        dry_run=False,
        json=False,
        limit=None,
        stages=(),
        resume=True,
        retry_failed=False,
    )


def write(tmp_path: Path, run_id: str, status: object) -> None:
    folder = tmp_path / "runs" / run_id
    folder.mkdir(parents=True)
    (folder / NAME).write_text(json.dumps(status))


def test_it_is_the_latest_run_that_is_asked_and_only_while_it_runs(
    tmp_path: Path, options: Options
) -> None:
    write(tmp_path, "20260131T220000Z-1", {**STATUS, "files": []})
    write(tmp_path, "20260201T220000Z-0", STATUS)
    assert from_running_batch(options, "") is None, "nothing runs"
    with ProcessLock(tmp_path / "coordinator.lock"):
        lines = from_running_batch(options, "")
        assert lines is not None
        assert len(lines) == 10
        assert from_running_batch(options, "/m/e.mkv") == ["e.mkv: others come before it"]
        assert from_running_batch(options, "/m/far-back.mkv") is None


def test_without_a_status_there_is_nothing_to_tell(tmp_path: Path, options: Options) -> None:
    assert from_running_batch(options, "") is None
    write(tmp_path, "1", {**STATUS, "version": 99})
    assert read_status(tmp_path / "runs") is None
    (tmp_path / "runs" / "1" / NAME).write_text("{")
    assert read_status(tmp_path / "runs") is None


def test_a_lock_that_cannot_be_looked_at_is_none(tmp_path: Path, options: Options) -> None:
    write(tmp_path, "1", STATUS)
    (tmp_path / "coordinator.lock").mkdir()
    assert from_running_batch(replace(options, limit=1), "") is None
