"""The line between a job and whoever supervises it."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from orchestrator.contract.channel import Sender
from orchestrator.contract.errors import ExitCode
from orchestrator.contract.job import read_job_result
from orchestrator.contract.messages import (
    Cancel,
    Drain,
    Grant,
    Heartbeat,
    Message,
    Progress,
    Request,
    decode,
    encode,
)
from orchestrator.job import link as link_module
from orchestrator.job import process
from orchestrator.job.eventlog import EventLog
from orchestrator.job.link import FromStage, Link
from orchestrator.job.run import run_job

from .conftest import MakeJob, fake_stage

PATIENCE = 30.0


@pytest.fixture
def said() -> Iterator[tuple[Link, int]]:
    """A supervised link, and the descriptor on which its messages arrive."""
    receiving, sending = os.pipe()
    yield Link(Sender(sending, "r1")), receiving
    os.close(receiving)
    os.close(sending)


def arrived(descriptor: int) -> list[Message | None]:
    return [decode(line) for line in os.read(descriptor, 65536).splitlines()]


def test_a_job_by_itself_needs_no_leave() -> None:
    link = Link(None)
    assert link.ask(Request("asr", "asr-001"), threads=3) == Grant("asr", "asr-001", 3)
    assert not link.stopping


def test_a_job_asks_for_leave_and_takes_the_answer_to_its_question(said: tuple[Link, int]) -> None:
    link, descriptor = said
    grant = Grant("asr", "a", 2, "cuda:1", warm=True, rung=1)
    for item in (Heartbeat(), FromStage("b", None), Grant("asr", "asr-000", 9), grant):
        link.inbox.put(item)
    request = Request("asr", "a", {"ram_mb": 1}, fresh=True)
    assert link.ask(request, threads=8) == grant
    assert arrived(descriptor) == [request]


@pytest.mark.parametrize("order", [Drain(), Cancel()])
def test_a_job_told_to_stop_waits_for_no_leave(said: tuple[Link, int], order: Message) -> None:
    link, _ = said
    link.inbox.put(order)
    assert link.ask(Request("asr", "a"), threads=8) is None
    assert link.stopping
    assert link.cancelled is isinstance(order, Cancel)


@pytest.mark.parametrize("order", [Drain(), Cancel()])
def test_an_order_is_found_between_stages(order: Message) -> None:
    link = Link(None)
    link.inbox.put(FromStage("a", Progress("asr", 1.0)))
    link.inbox.put(Heartbeat())
    assert not link.stopping
    link.inbox.put(order)
    assert link.stopping


def test_a_pause_ends_with_its_time_or_with_an_order() -> None:
    link = Link(None)
    link.inbox.put(Heartbeat())
    assert link.pause(0.01)
    link.inbox.put(FromStage("a", None))
    threading.Timer(0.02, link.inbox.put, [Drain()]).start()
    assert not link.pause(PATIENCE)
    assert not link.pause(PATIENCE)


def test_the_process_of_a_job_answers_and_sums_up(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In this process, which must not end with the pipe."""
    ended = threading.Semaphore(0)
    monkeypatch.setattr(link_module, "end_family", lambda _status: ended.release())
    folder, _ = make_job(fake_stage())
    ours, theirs = os.pipe(), os.pipe()
    os.write(ours[1], encode(Drain(), "r1"))
    monkeypatch.setattr(process, "reserve_stdio", lambda: (ours[0], theirs[1]))
    assert process.run_supervised(str(folder.root), "r1", None) == ExitCode.RESUMABLE
    assert arrived(theirs[0])[-1].type == "finished"  # type: ignore[union-attr]
    folder.spec.unlink()
    assert process.run_supervised(str(folder.root), "r1", '{"force": true}') == 5
    os.close(ours[1])
    assert ended.acquire(timeout=PATIENCE)
    assert ended.acquire(timeout=PATIENCE), "both readers have ended while it was harmless"
    for descriptor in theirs:
        os.close(descriptor)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="nothing here fails when written to")
def test_a_job_that_cannot_tell_what_it_waits_for_fails_and_says_why(make_job: MakeJob) -> None:
    """It waited for leave, or for its worker, for ever: nobody had been asked."""
    folder, _ = make_job(fake_stage())
    descriptor = os.open("/dev/full", os.O_WRONLY)
    result = run_job(folder, Link(Sender(descriptor, "r1")), "r1")
    os.close(descriptor)
    assert result == read_job_result(folder)
    assert result.error is not None
    assert (result.status, result.error["code"]) == ("failed", "disk_full")


SUPERVISED = """
import os, subprocess, sys, threading
from orchestrator.contract.channel import reserve_stdio
from orchestrator.contract.messages import Heartbeat
from orchestrator.job.link import supervised
incoming, outgoing = reserve_stdio()
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
link = supervised(incoming, outgoing, "r1")
link.send(Heartbeat(str(child.pid)))
threading.Event().wait()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="sessions are POSIX")
@pytest.mark.parametrize("own_session", [True, False])
def test_a_job_ends_with_its_supervisor_and_takes_its_session_along(own_session: bool) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SUPERVISED],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=own_session,
    ) as job:
        assert job.stdin is not None
        assert job.stdout is not None
        first = decode(job.stdout.readline())
        assert isinstance(first, Heartbeat)
        child = psutil.Process(int(first.stage))
        job.stdin.close()
        status = job.wait(PATIENCE)
        if own_session:
            assert status == -9
            psutil.wait_procs([child], PATIENCE)
            assert ended(child)
        else:
            assert status == 3
            assert not ended(child), "a session that is not the job's own is not its to kill"
            child.kill()


def ended(process: psutil.Process) -> bool:
    """Whether it is dead, whether or not its new parent has noticed."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_the_event_log_is_no_truth(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "gone" / "events.jsonl")
    log.append(Heartbeat("asr"))
    log.close()
    log = EventLog(tmp_path / "events.jsonl")
    log.append(Heartbeat("asr"))
    log.append(Drain())
    log.close()
    log.close()
    first, second = (tmp_path / "events.jsonl").read_text().splitlines()
    assert first.endswith('"type": "heartbeat", "stage": "asr"}')
    assert second.endswith('"type": "drain"}')
