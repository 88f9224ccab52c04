"""What looks for faults notices those that are planted for it."""

from __future__ import annotations

import base64
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from orchestrator.contract.paths import WorkFolder
from orchestrator.contract.processes import JOB_VARIABLE
from tests.end_to_end.conftest import Outcome
from tests.faults import job_points
from tests.faults.disk_full import wrong_on_a_full_disk
from tests.faults.orphans import alive_of
from tests.faults.random_kills import rewritten, wrong_at_the_end
from tests.faults.secrets import Canaries, Watcher, exposed, search

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")


@pytest.mark.parametrize("before", ["", "a", "ab", "abc"])
def test_a_secret_in_a_file_is_found(tmp_path: Path, before: str) -> None:
    canaries = Canaries()
    secret = canaries.values["HF_TOKEN"]
    (tmp_path / "plain").write_text(f"{before}{secret} and more")
    (tmp_path / "header").write_bytes(base64.b64encode(f"{before}{secret}:".encode()))
    (tmp_path / "clean").write_text("nothing")
    (tmp_path / f"named {secret}").touch()
    look = search(tmp_path, canaries)
    assert look.files == 4
    assert sorted(look.wrong) == [
        "HF_TOKEN in header",
        f"HF_TOKEN in named {secret}",
        "HF_TOKEN in plain",
    ]


@on_linux
@pytest.mark.parametrize("where", ["command line", "variables"])
def test_a_secret_that_a_process_shows_is_found(where: str) -> None:
    canaries = Canaries()
    watcher = Watcher(canaries)
    secret = canaries.values["PGPASSWORD"]
    argument, variable = (secret, "") if where == "command line" else ("", secret)
    process = subprocess.Popen(
        [sys.executable, "-c", "print(flush=True); input()", argument],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, JOB_VARIABLE: "job", "SOMETHING": variable},
    )
    assert process.stdout is not None
    with process:
        process.stdout.readline()
        watcher.look()
        process.communicate(b"\n")
    assert [one.startswith(f"PGPASSWORD in {where}") for one in watcher.wrong] == [True]


@pytest.mark.skipif(sys.platform == "win32", reason="file modes are POSIX's")
def test_a_job_folder_that_others_can_open_is_found(tmp_path: Path) -> None:
    work = WorkFolder(tmp_path)
    job = work.jobs / "2026" / "01" / "31" / "me" / "20260131-000001"
    job.mkdir(parents=True)
    job.chmod(0o750)
    work.database.touch(0o600)
    assert exposed(work) == [os.path.relpath(job, tmp_path)]
    work.database.chmod(0o644)
    assert len(exposed(work)) == 2


def test_what_is_published_again_or_gone_is_found() -> None:
    before = {"a.srt": (1, 10), "b.srt": (2, 20), "c.srt": (3, 30)}
    now = {"a.srt": (1, 10), "b.srt": (4, 20), "d.srt": (5, 50)}
    assert rewritten(before, now) == ["published twice: b.srt", "published twice: c.srt"]


LIBRARY = {"a.srt": b"words", "b.srt": b"more"}


@pytest.fixture
def ended_night(tmp_path: Path) -> Any:
    """What :func:`wrong_at_the_end` asks of a night, with nothing wrong."""
    work = WorkFolder(tmp_path)
    with closing(sqlite3.connect(work.database)) as connection:
        connection.execute("CREATE TABLE files (path TEXT)")
        connection.executemany("INSERT INTO files VALUES (?)", [("x" * 900,)] * 50)
        connection.commit()
    batch = SimpleNamespace(work=work)
    return SimpleNamespace(batch=batch, library=lambda: dict(LIBRARY), expected=LIBRARY)


def test_a_night_that_is_as_it_should_be(ended_night: Any) -> None:
    assert wrong_at_the_end(ended_night, 0) == []


def test_a_night_that_ends_with_an_error_or_other_files(ended_night: Any) -> None:
    ended_night.library = lambda: {"a.srt": b"wor"}
    assert wrong_at_the_end(ended_night, 5) == [
        "it ended by itself with 5",
        "the library is not what it should be: ['a.srt', 'b.srt']",
    ]


def test_a_night_that_leaves_a_damaged_database(ended_night: Any) -> None:
    with ended_night.batch.work.database.open("r+b") as database:
        database.seek(3 * 4096)
        database.write(b"\xff" * 4096)
    [wrong] = wrong_at_the_end(ended_night, 0)
    assert wrong.startswith("batch.db is damaged")


@pytest.mark.parametrize(
    ("outcome", "library", "wrong"),
    [
        (Outcome(0, "", ""), LIBRARY, []),
        (Outcome(75, "", "error: the disk is full"), {}, []),
        (Outcome(0, "", ""), {"a.srt": b"words"}, ["it claimed success"]),
        (Outcome(75, "disk full", ""), {"a.srt": b""}, ["published empty: a.srt"]),
        (Outcome(5, "", "error: a bug"), {}, ["the cause is not told: {} error: a bug"]),
    ],
)
def test_what_a_night_must_not_do_on_a_full_disk(
    outcome: Outcome, library: dict[str, bytes], wrong: list[str]
) -> None:
    assert wrong_on_a_full_disk(outcome, library, LIBRARY) == wrong


def test_a_night_that_hangs_as_its_job_was_hurt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is torn then, and nothing told that could be wrong."""
    killed = Outcome(-signal.SIGKILL, "", "")
    monkeypatch.setattr(job_points, "_run", lambda night, traps: killed)
    night: Any = SimpleNamespace(
        wrong_after_the_fault=lambda out: [], wrong_after_the_next_night=lambda out, todo: []
    )
    scene: Any = SimpleNamespace(begin=lambda night: None, todo=frozenset())
    traps: Any = SimpleNamespace(lay=lambda laid: None, sprung=lambda laid: [])
    _, wrong = job_points.hurt(night, scene, traps, [])
    assert wrong == ["the coordinator hung, or was killed: it ended with -9"]


@on_linux
def test_a_survivor_counts_unless_it_is_dead() -> None:
    argv = [sys.executable, "-c", "input()"]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE)
    seen = psutil.Process(process.pid)
    with process:
        process.send_signal(signal.SIGSTOP)
        assert alive_of([seen]) == [seen]
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert alive_of([seen]) == []  # a zombie
    assert alive_of([seen]) == []
