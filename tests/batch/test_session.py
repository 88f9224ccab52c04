"""A whole run of the command in this process, on environments that are there already."""

from __future__ import annotations

import getpass
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from batch import cli, session
from batch.logfile import log_to
from orchestrator.contract.locks import ProcessLock
from orchestrator.setup import Ready

from .conftest import PROBE, add, make_recipe

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(
    tmp_path: Path,
    library: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Run the command; returns its exit code and what it wrote to stdout and stderr."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    config = tmp_path / "config.yaml"
    config.write_text("cpu_threshold: 0\nmemory_threshold: 0\nlanguage: en\n")

    def make_ready(values: object, *_: object) -> Ready:
        return Ready(make_recipe(), values, Path(sys.executable), PROBE, {}, {})  # type: ignore[arg-type]

    monkeypatch.setattr(session, "make_ready", make_ready)
    monkeypatch.setattr(session, "_verify", lambda *_: None)

    def run(*arguments: str | Path, source: Path = library) -> tuple[int, str, str]:
        argv = [str(source), "--work-dir", str(tmp_path / "work"), "--config", str(config)]
        code = cli.main([*argv, *map(str, arguments)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def summary_of(folder: Path) -> dict[str, object]:
    (path,) = folder.glob("work/runs/*/summary.json")
    summary: dict[str, object] = json.loads(path.read_text())
    return summary


def test_a_run_leaves_a_summary_a_log_and_a_report(run: Run, library: Path, tmp_path: Path) -> None:
    add(library, "a.mkv")
    code, out, err = run()
    assert (code, err) == (0, "")
    summary = summary_of(tmp_path)
    assert (summary["exit_code"], summary["input_dir"]) == (0, str(library))
    (log,) = tmp_path.glob("work/runs/*/batch.log")
    assert "a.mkv" in log.read_text()
    for path in (log, log.with_name("summary.json")):
        assert str(path) in out
    assert (library / "a.en.srt").exists()


def test_json_has_no_report(run: Run, library: Path) -> None:
    add(library, "a.mkv")
    code, out, _ = run("--json")
    assert code == 0
    assert [json.loads(line)["event"] for line in out.splitlines()][-1] == "run_finished"


def test_a_dry_run_leaves_nothing(run: Run, library: Path, tmp_path: Path) -> None:
    add(library, "a.mkv")
    code, out, _ = run("--dry-run")
    assert code == 0
    assert "Nothing was changed" in out
    assert os.listdir(tmp_path / "work") == []


def test_a_dry_run_knows_what_was_done(run: Run, library: Path, tmp_path: Path) -> None:
    add(library, "a.mkv")
    run()
    database = (tmp_path / "work" / "batch.db").read_bytes()
    add(library, "b.mkv")
    _, out, _ = run("--dry-run", "--json")
    events = [json.loads(line) for line in out.splitlines()]
    decided = {os.path.basename(one["path"]): one["reason"] for one in events if "reason" in one}
    assert decided == {"a.mkv": "already_done", "b.mkv": "new"}
    assert (tmp_path / "work" / "batch.db").read_bytes() == database


def test_a_dry_run_needs_no_lock(run: Run, library: Path, tmp_path: Path) -> None:
    add(library, "a.mkv")
    with ProcessLock(tmp_path / "work" / "coordinator.lock"):
        assert run("--dry-run")[0] == 0
        code, _, err = run()
    assert code == 10
    assert f"process {os.getpid()}" in err


def test_a_damaged_database_is_made_anew_and_told(run: Run, library: Path, tmp_path: Path) -> None:
    add(library, "a.mkv")
    assert run()[0] == 0
    (tmp_path / "work" / "batch.db").write_text("no database " * 100)
    add(library, "b.mkv")
    assert run("--dry-run")[0] == 0
    code, out, err = run("--json")
    assert code == 0
    assert "file is not a database" in err
    events = [json.loads(line) for line in out.splitlines()]
    assert ["batch.db", "rebuilt"] in [one[:2] for one in events[0]["settings"]]
    assert [one["reason"] for one in events if one["event"] == "skipped"] == ["already_done"]
    (aside,) = tmp_path.glob("work/batch.db.damaged-*")
    assert aside.read_text() == "no database " * 100


def test_a_log_that_cannot_be_written_stops_it_before_any_work(
    run: Run, library: Path, tmp_path: Path
) -> None:
    add(library, "a.mkv")
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "runs").touch()
    code, _, err = run()
    assert code == 75
    assert "batch.log could not be written" in err
    assert os.listdir(library) == ["a.mkv"]


def test_a_summary_that_cannot_be_written_is_told(
    run: Run, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(library, "a.mkv")

    def log_and_block(path: Path, level: str) -> object:
        (path.parent / "summary.json").mkdir(parents=True)
        return log_to(path, level)

    monkeypatch.setattr(session, "log_to", log_and_block)
    code, out, err = run()
    assert code == 0
    assert "the summary could not be written" in err
    assert "summary.json" not in out


def test_a_user_without_a_name(
    run: Run, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nameless() -> str:
        raise KeyError("uid 12345")

    add(library, "a.mkv")
    monkeypatch.setattr(getpass, "getuser", nameless)
    assert run()[0] == 0
    assert list(tmp_path.glob("work/out/*/*/*/user/*-000001"))


def test_a_single_file_and_an_output_folder(run: Run, library: Path, tmp_path: Path) -> None:
    film = add(library, "series/a.mkv")
    for source, made in ((film, "a.en.srt"), (library, "series/a.en.srt")):
        assert run("--no-resume", "--output-dir", tmp_path / "out", source=source)[0] == 0
        assert (tmp_path / "out" / made).exists()


def test_a_library_that_held_files_last_time_is_not_an_empty_one(run: Run, library: Path) -> None:
    """An unmounted share: nothing to do would read as success."""
    add(library, "Films/a.mkv")
    assert run()[0] == 0
    library.rename(library.with_name("unmounted"))
    for missing in (True, False):
        if not missing:
            library.mkdir()
        code, _, err = run()
        assert code == 75
        assert "storage_lost" in err
        assert str(library) in err
    add(library, "Films/notes.txt")
    assert run()[0] == 75, "other files, but none of those that were there"
    add(library, "Films/a.mkv")
    assert run()[0] == 0


def test_a_library_without_media_that_never_had_any_is_an_input_to_correct(
    run: Run, library: Path
) -> None:
    code, _, err = run()
    assert (code, "no_media" in err) == (3, True)
    add(library, "a.mkv")
    assert run()[0] == 0
    code, _, err = run("--exclude", "*")
    assert (code, "no_media" in err) == (3, True), "the files are there"


def test_an_output_folder_that_was_emptied_is_asked_about(
    run: Run, library: Path, tmp_path: Path
) -> None:
    add(library, "a.mkv")
    output = tmp_path / "subtitles"
    assert run("--output-dir", output)[0] == 0
    output.rename(tmp_path / "unmounted")
    for made in (False, True):
        if made:
            output.mkdir()
        code, _, err = run("--output-dir", output)
        assert (code, "storage_lost" in err) == (75, True)
        assert "--no-resume" in err
    assert os.listdir(output) == []
    assert run("--output-dir", output, "--no-resume")[0] == 0
    assert os.listdir(output) == ["a.en.srt"]


def test_an_output_folder_that_was_never_used_may_be_empty(
    run: Run, library: Path, tmp_path: Path
) -> None:
    add(library, "a.mkv")
    assert run()[0] == 0
    (tmp_path / "new").mkdir()
    assert run("--output-dir", tmp_path / "new")[0] == 0


def test_ctrl_c_is_heard_while_the_library_hangs(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    def hangs(source: str, rules: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        released.wait()

    monkeypatch.setattr(session, "discover", hangs)
    try:
        code, _, err = run()
    finally:
        released.set()
    assert code == 130
    assert "Stopped" in err
