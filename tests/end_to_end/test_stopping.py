"""However a run ends, nothing of it is left running and the same command goes on."""

import os
import signal

import pytest

from .conftest import Batch, Running, wait_until

pytestmark = pytest.mark.real


def waiting_at_the_gate(batch: Batch, *arguments: str, workers: int = 2) -> Running:
    """A run of three files of which as many as there are workers have begun to wait."""
    batch.add("a.wav", "b.wav", "c.wav")
    batch.fault("waits")
    running = batch.start("--json", "--max-workers", str(workers), *arguments)
    batch.wait_for_waiting(workers)
    return running


def goes_on_and_finishes(batch: Batch) -> None:
    """The same command does what is left."""
    batch.gate.touch()
    outcome = batch.json("--max-workers", "2")
    assert (outcome.code, outcome.errors) == (0, {})
    assert [name for name in batch.names() if name.endswith(".vtt")] == [
        "a.en.vtt",
        "b.en.vtt",
        "c.en.vtt",
    ]


def test_the_first_signal_lets_running_stages_end(batch: Batch) -> None:
    running = waiting_at_the_gate(batch)
    running.signal(signal.SIGINT)
    running.wait_for("draining")
    batch.gate.touch()

    outcome = running.end()

    assert outcome.code == 130
    assert list(outcome.finished.values()) == ["interrupted", "interrupted"]
    assert batch.names() == ["a.wav", "b.wav", "c.wav"]
    assert (batch.attempts("fake"), batch.attempts("relay")) == (2, 0)
    assert batch.processes() == []
    goes_on_and_finishes(batch)
    assert batch.attempts("fake") == 3, "what had ended was not done twice"
    assert len(batch.jobs()) == 3, "interrupted jobs were taken up"


def test_a_second_signal_stops_at_once(batch: Batch) -> None:
    running = waiting_at_the_gate(batch)
    running.signal(signal.SIGTERM)
    running.wait_for("draining")
    running.signal(signal.SIGINT)

    outcome = running.end()

    assert outcome.code == 143
    assert list(outcome.finished.values()) == ["interrupted", "interrupted"]
    assert outcome.events[-1]["event"] == "run_finished"
    assert batch.processes() == []
    assert batch.summaries()[0]["totals"]["interrupted"] == 2
    goes_on_and_finishes(batch)


def test_draining_has_a_deadline(batch: Batch) -> None:
    running = waiting_at_the_gate(batch, "--set", "drain_seconds=0.1")
    running.signal(signal.SIGINT)
    outcome = running.end()
    assert outcome.code == 130
    assert set(outcome.finished.values()) == {"interrupted"}
    assert batch.processes() == []


def test_a_grandchild_that_made_off_is_found(batch: Batch) -> None:
    batch.add("a.wav")
    batch.fault("leaves_grandchild")
    running = batch.start("--json")
    wait_until(lambda: batch.gate.exists() and batch.gate.read_text(), "the grandchild")
    running.signal(signal.SIGINT)
    running.wait_for("draining")
    running.signal(signal.SIGTERM)
    assert running.end().code == 130
    assert batch.processes() == []


def test_a_killed_coordinator_takes_its_jobs_along(batch: Batch) -> None:
    running = waiting_at_the_gate(batch)
    running.signal(signal.SIGKILL)
    assert running.end().code == -signal.SIGKILL
    wait_until(lambda: not batch.processes(), "the end of jobs and stages")
    goes_on_and_finishes(batch)


def test_after_a_kill_nothing_that_was_done_is_done_twice(batch: Batch) -> None:
    batch.add("a.wav", "b.wav", "c.wav")
    running = batch.start("--json")
    running.wait_for("file_finished")
    running.wait_for("file_started", 2)
    running.signal(signal.SIGKILL)
    done = running.end().finished
    wait_until(lambda: not batch.processes(), "the end of jobs and stages")

    outcome = batch.json()

    assert outcome.code == 0
    assert outcome.skipped.keys() >= done.keys(), "one may have been recorded, but not told yet"
    assert not outcome.finished.keys() & done.keys()
    assert [name for name in batch.names() if name.endswith(".vtt")] == [
        "a.en.vtt",
        "b.en.vtt",
        "c.en.vtt",
    ]


def test_a_killed_job_is_run_once_more(batch: Batch) -> None:
    running = waiting_at_the_gate(batch)
    folder = batch.job_of("a.wav")
    job = next(one for one in batch.processes() if one.cmdline()[-1] == str(folder))
    job.kill()
    running.wait_for("file_parked")
    batch.gate.touch()

    outcome = running.end()

    assert (outcome.code, outcome.errors) == (0, {})
    assert sorted(outcome.finished.values()) == ["done", "done", "done"]
    assert batch.processes() == []
    assert len(batch.jobs()) == 3, "it went on with the same job"


def test_never_more_attempts_at_once_than_workers(batch: Batch) -> None:
    """A file that waits for its turn at a stage is not being worked on."""
    batch.add(*(f"{number}.wav" for number in range(5)))
    batch.fault("waits")
    running = batch.start("--json", "--max-workers", "2")
    batch.wait_for_waiting(2)
    running.wait_for("all_decided")
    running.wait_for("file_started", 2)
    assert len([one for one in running.events if one["event"] == "file_started"]) == 2
    batch.gate.touch()

    outcome = running.end()

    assert outcome.code == 0
    attempts = batch.timeline("attempt")
    assert len(attempts) == 10
    for one in attempts:
        beside = [other for other in attempts if other["start"] <= one["start"] < other["end"]]
        assert len(beside) <= 2


def test_a_dry_run_can_be_stopped(batch: Batch) -> None:
    """Here while it waits to see whether a file still grows."""
    batch.add("a.wav")
    os.utime(batch.library / "a.wav")
    running = batch.start("--json", "--dry-run", "--set", "settle_seconds=3600")
    running.wait_for("discovered")
    running.signal(signal.SIGINT)
    assert running.end().code == 130


def test_a_name_that_is_taken_is_left_alone_and_told(batch: Batch) -> None:
    """The rest is published; once the name is free, the missing output can be asked for."""
    batch.add("a.wav")
    (batch.library / "a.en.vtt").mkdir()
    outcome = batch.json()
    assert (outcome.code, outcome.finished) == (0, {"a.wav": "done"})
    (finished,) = outcome.of("file_finished")
    assert [one["code"] for one in finished["warnings"]] == ["kept_existing"]
    assert (batch.library / "a.en.srt").exists()
    (batch.library / "a.en.vtt").rmdir()

    again = batch.json("--no-resume")

    assert (again.code, again.finished) == (0, {"a.wav": "done"})
    assert batch.attempts("fake") == 1, "what was known was not found out again"
    assert batch.names() == ["a.en.srt", "a.en.vtt", "a.wav"]
