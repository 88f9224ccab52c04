"""A whole run of the command in this process, on environments that are there already."""

from __future__ import annotations

import getpass
import json
import os
import sys
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


def test_a_damaged_database_is_told(run: Run, library: Path, tmp_path: Path) -> None:
    add(library, "a.mkv")
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "batch.db").write_text("no database " * 100)
    for arguments in ((), ("--dry-run",)):
        code, _, err = run(*arguments)
        assert (code, "(state_damaged)" in err) == (75, True)


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
