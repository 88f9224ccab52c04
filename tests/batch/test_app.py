"""A run in this process, with jobs and a probe that really run."""

from __future__ import annotations

import os
import shutil
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from batch import app, candidates, filejob, storage
from batch.app import Bus
from batch.events import (
    AllDecided,
    Discovered,
    Draining,
    Event,
    FileFinished,
    FileStarted,
    Queued,
    RunFinished,
    RunWarning,
    Skipped,
    StageProgress,
    Throttled,
    ThrottleEnded,
)
from batch.listing import DirectoryListing
from batch.state import State
from orchestrator.contract.errors import ErrorClass, fail
from orchestrator.contract.job import JobResult, read_job_result
from orchestrator.contract.paths import JobFolder

from .conftest import Ear, Run, add, make_recipe, walk


@pytest.fixture
def run(library: Path, state: State, ear: Ear, tmp_path: Path) -> Run:
    return Run(library, state, ear, tmp_path)


async def test_a_library_is_worked_through(run: Run, library: Path) -> None:
    for name in ("a.mkv", "b.mkv", "c.mkv"):
        add(library, name)
    assert await run() == 0
    assert run.statuses == dict.fromkeys(("a.mkv", "b.mkv", "c.mkv"), "done")
    assert run.error is None
    assert len(run.ear.of(AllDecided)) == 1
    assert (library / "b.en.srt").exists()


async def test_files_that_harm_the_probe_are_failed_files(run: Run, library: Path) -> None:
    for name, content in (
        ("a.mkv", "speech"),
        ("crash.mkv", "crashes"),
        ("raise.mkv", "raises"),
        ("silent.mkv", "silent"),
        ("text.mkv", "text"),
        ("z.mkv", "more speech"),
    ):
        add(library, name, content)
    assert await run() == 5
    assert {
        os.path.basename(one.path): one.error.code for one in run.ear.of(FileFinished) if one.error
    } == {
        "crash.mkv": "probe_crashed",
        "raise.mkv": "stage_raised",
        "silent.mkv": "no_audio_track",
        "text.mkv": "not_media",
    }
    assert run.statuses["a.mkv"] == run.statuses["z.mkv"] == "done"


async def test_a_dry_run_only_says_what_would_be_done(run: Run, library: Path) -> None:
    add(library, "a.mkv")
    run.plan = replace(run.plan, dry_run=True)
    assert await run() == 0
    assert [one.reason for one in run.ear.of(Queued)] == ["new"]
    assert run.ear.of(FileStarted) == []
    assert sorted(os.listdir(library)) == ["a.mkv"]


async def test_a_dry_run_ends_with_the_first_signal(run: Run, library: Path) -> None:
    add(library, "a.mkv")
    settle = replace(run.plan.policy, settle_seconds=1e12)
    run.plan = replace(run.plan, dry_run=True, policy=settle)
    run.ear.on(Discovered, lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert await run() == 143
    assert run.ear.of(AllDecided) == []


async def test_the_first_signal_drains(run: Run, library: Path, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    run.with_recipe(make_recipe("waits", gate))
    for name in ("a.mkv", "b.mkv", "c.mkv"):
        add(library, name)
    signals = iter([signal.SIGINT])

    def once() -> None:
        for number in signals:
            os.kill(os.getpid(), number)

    run.ear.on(StageProgress, once)
    run.ear.on(Draining, gate.touch)
    assert await run() == 130
    # The only stage could end, and then nothing was left to stop.
    assert set(run.statuses.values()) <= {"done", "interrupted"}
    assert 1 <= len(run.statuses) <= 2
    run.ear.events.clear()
    run.bus = Bus([run.ear])
    assert await run() == 0
    assert [name for name in sorted(os.listdir(library)) if name.endswith(".srt")] == [
        "a.en.srt",
        "b.en.srt",
        "c.en.srt",
    ]


async def test_a_second_signal_stops_at_once_and_each_file_is_told(
    run: Run, library: Path, tmp_path: Path
) -> None:
    run.with_recipe(make_recipe("waits", tmp_path / "gate"))
    add(library, "a.mkv")
    run.ear.on(StageProgress, lambda: os.kill(os.getpid(), signal.SIGINT))
    with trio.fail_after(60):
        assert await run() == 130
    assert run.statuses == {"a.mkv": "interrupted"}


async def test_a_lost_disk_ends_the_run_resumable(run: Run, library: Path) -> None:
    add(library, "a.mkv")

    def walking() -> Iterator[DirectoryListing]:
        yield from walk(library)
        raise fail("storage_lost", "it went away", error_class=ErrorClass.STORAGE, retryable=True)

    assert await run(walking()) == 75
    assert run.error is not None
    assert run.error.code == "storage_lost"
    assert run.ear.of(Draining)


async def test_a_library_that_vanishes_under_a_job_ends_the_run(
    run: Run, library: Path, tmp_path: Path
) -> None:
    run.plan = replace(run.plan, max_workers=1)
    run.with_recipe(make_recipe("waits", tmp_path / "gate"))
    for name in ("a.mkv", "b.mkv"):
        add(library, name)

    def vanish() -> None:
        shutil.rmtree(library, ignore_errors=True)
        (tmp_path / "gate").touch()

    run.ear.on(StageProgress, vanish)
    assert await run() == 75
    assert run.error is not None
    assert run.error.error_class is ErrorClass.STORAGE
    assert set(run.statuses.values()) == {"interrupted"}, "what was begun is to be done again"


async def test_a_library_that_comes_back_is_waited_for(
    run: Run, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gone under a job: its file is done again, and the others as if nothing had been."""
    monkeypatch.setattr(storage, "LOOK_SECONDS", 0.05)
    gate, away = tmp_path / "gate", tmp_path / "unmounted"
    run.plan = replace(run.plan, max_workers=1, storage_wait_seconds=600.0)
    run.with_recipe(make_recipe("waits", gate))
    for name in ("a.mkv", "b.mkv"):
        add(library, name)

    def vanish() -> None:
        if not gate.exists():
            library.rename(away)
            library.mkdir()
            gate.touch()

    def come_back() -> None:
        library.rmdir()
        away.rename(library)

    run.ear.on(StageProgress, vanish)
    run.ear.on(Throttled, come_back)
    with trio.fail_after(60):
        assert await run() == 0
    assert run.statuses == {"a.mkv": "done", "b.mkv": "done"}
    (held,) = run.ear.of(Throttled)
    assert "went away" in held.reason
    assert "waiting for it until" in held.reason
    assert len(run.ear.of(ThrottleEnded)) == 1
    assert sorted(os.listdir(library)) == ["a.en.srt", "a.mkv", "b.en.srt", "b.mkv"]


async def test_a_stop_does_not_wait_for_a_disk_that_hangs(
    run: Run, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(library, "a.mkv")
    released = threading.Event()

    def hangs(item: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        released.wait()

    monkeypatch.setattr(candidates, "_as_it_is", hangs)
    try:
        with trio.fail_after(60):
            assert await run() == 130
    finally:
        released.set()
    assert run.statuses == {}, "nothing of it had begun"


async def test_what_was_published_and_is_not_there_is_not_done(
    run: Run, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(library, "a.mkv")
    read = read_job_result

    def read_and_remove(folder: JobFolder) -> JobResult | None:
        result = read(folder)
        (library / "a.en.srt").unlink()
        return result

    monkeypatch.setattr(filejob, "read_job_result", read_and_remove)
    assert await run() == 5
    assert (run.statuses, run.errors) == ({"a.mkv": "failed"}, {"storage_error"})


async def test_a_work_folder_that_cannot_be_written_ends_the_run(run: Run, library: Path) -> None:
    for name in ("a.mkv", "b.mkv"):
        add(library, name)
    run.plan = replace(run.plan, max_workers=1)
    run.plan.work.jobs.write_text("a file in its place")
    assert await run() == 75
    assert list(run.statuses.values()) == ["failed"], "one of the two that were ready tells it"


@pytest.mark.parametrize("method", ["probe", "record_probes", "record_started", "record_done"])
async def test_a_broken_state_ends_the_run_and_each_started_file_is_told(
    run: Run, library: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    def broken(*args: object, **kwargs: object) -> None:
        raise fail("disk_full", "no space", error_class=ErrorClass.STORAGE, retryable=True)

    for name in ("a.mkv", "b.mkv"):
        add(library, name)
    monkeypatch.setattr(run.state, method, broken)
    with trio.fail_after(60):
        assert await run() == 75
    assert run.error is not None
    assert run.error.code == "disk_full"
    started = {one.path for one in run.ear.of(FileStarted)}
    assert started <= {one.path for one in run.ear.of(FileFinished)}


async def test_a_state_that_breaks_at_a_files_turn_ends_the_run(
    run: Run, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(library, "a.mkv")
    probe, calls = run.state.probe, []

    def breaks_later(*args: object) -> object:
        calls.append(args)
        if len(calls) > 1:
            raise fail("state_busy", "busy", error_class=ErrorClass.STORAGE, retryable=True)
        return probe(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(run.state, "probe", breaks_later)
    monkeypatch.setattr("batch.candidates.PROBES_PER_COMMIT", 1)
    assert await run() == 75


@pytest.mark.parametrize(
    ("code", "exit_code", "told"),
    [
        ("disk_full", 0, ["history_not_saved"]),
        ("state_busy", 0, ["history_not_saved"]),
        ("state_damaged", 75, []),
    ],
)
async def test_what_stages_took_need_not_be_saved(
    run: Run,
    library: Path,
    monkeypatch: pytest.MonkeyPatch,
    code: str,
    exit_code: int,
    told: list[str],
) -> None:
    """It is learnt again; but that the database is damaged counts, whoever meets it."""

    def broken(changes: object) -> None:
        raise fail(code, "no", error_class=ErrorClass.STORAGE)

    monkeypatch.setattr(run.state, "save_history", broken)
    monkeypatch.setattr(app, "HISTORY_SECONDS", 0.01)
    for name in ("a.mkv", "b.mkv"):
        add(library, name)
    assert await run() == exit_code
    assert exit_code or set(run.statuses.values()) == {"done"}
    assert [one.code for one in run.ear.of(RunWarning)] == told


async def test_two_signals_before_anything_has_begun_end_it_in_order(
    run: Run, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(library, "a.mkv")
    answers = threading.Event()

    def hangs(plan: object) -> tuple[()]:
        os.kill(os.getpid(), signal.SIGTERM)
        assert answers.wait(60)
        return ()

    monkeypatch.setattr(app, "_places_of", hangs)
    run.ear.on(Draining, lambda: os.kill(os.getpid(), signal.SIGTERM))
    try:
        with trio.fail_after(30):
            assert await run() == 143
    finally:
        answers.set()


async def test_a_file_that_nobody_interrupted_and_is_not_done_is_no_success(
    run: Run, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(library, "a.mkv")

    def stopped(folder: JobFolder) -> JobResult | None:
        result = read_job_result(folder)
        return replace(result, status="interrupted") if result is not None else None

    monkeypatch.setattr(filejob, "read_job_result", stopped)
    assert await run() == 75
    assert run.statuses == {"a.mkv": "interrupted"}


async def test_a_bug_is_not_swallowed(
    run: Run, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(library, "a.mkv")
    monkeypatch.setattr(run.state, "record_done", lambda *args, **kwargs: 1 / 0)
    with pytest.RaisesGroup(ZeroDivisionError, flatten_subgroups=True):
        await run()
    assert run.statuses == {"a.mkv": "interrupted"}


def test_the_end_of_the_run_is_the_last_event(ear: Ear) -> None:
    bus = Bus([ear])
    events: list[Event] = [Skipped("a", "new", ""), RunFinished(0)]
    for event in (*events, Skipped("b", "late", "")):
        bus.emit(event)
    assert ear.events == events
