from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestrator.contract.locks import LockHeld
from orchestrator.provision import process, watched
from orchestrator.provision.process import BuildLock, build_lock, clean_environment, run

ROOT = Path(__file__).resolve().parents[3]


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_output_and_status_come_back(tmp_path: Path) -> None:
    heard: list[str] = []
    code = "print('one'); print(); print('two', flush=True); raise SystemExit(3)"
    done = run(python(code), environment=clean_environment(), cwd=tmp_path, on_line=heard.append)
    assert done.status == 3
    assert heard == ["one", "", "two"]
    assert done.last_lines(2) == "one\ntwo"


def test_credentials_of_an_index_are_not_passed_on(tmp_path: Path) -> None:
    done = run(
        python("print('from https://me:secret@index.example/simple and git@host')"),
        environment=clean_environment(),
        cwd=tmp_path,
    )
    assert done.lines == ("from https://***@index.example/simple and git@host",)


def test_a_silent_command_gives_time_to_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "TICK_SECONDS", 0.01)
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    ticks: list[None] = []

    def tick() -> None:
        ticks.append(None)
        if len(ticks) == 3:
            gate.write_text("go")

    done = run(
        python(f"open({str(gate)!r}).read()"),
        environment=clean_environment(),
        cwd=tmp_path,
        on_tick=tick,
    )
    assert done.status == 0
    assert len(ticks) >= 3


def test_an_error_in_a_callback_ends_the_command(tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    def stop(_line: str) -> None:
        raise Stop

    with pytest.raises(Stop):
        run(
            python("print('started', flush=True); import time; time.sleep(600)"),
            environment=clean_environment(),
            cwd=tmp_path,
            on_line=stop,
        )


def test_what_belongs_to_another_python_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    assert "PYTHONDONTWRITEBYTECODE" not in clean_environment()
    assert clean_environment({"PYTHONPATH": "/x", "HOME": "/h"}) == {"HOME": "/h"}


def test_a_killed_parent_takes_its_command_along_and_frees_the_lock(tmp_path: Path) -> None:
    lock = tmp_path / "a.lock"
    code = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(ROOT)!r})
from orchestrator.provision.process import build_lock, clean_environment, no_report, run
with build_lock(Path({str(lock)!r}), "it", no_report) as held:
    run([sys.executable, "-c", "import os, time; print(os.getpid(), flush=True); time.sleep(600)"],
        environment=clean_environment(), cwd=Path({str(tmp_path)!r}), lock=held,
        on_line=lambda line: print(line, flush=True))
"""
    with subprocess.Popen(python(code), stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
    # Waits until whoever watches the command has ended it: that is what holds the lock.
    with BuildLock(lock, wait=True), pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_waiting_for_a_lock_is_told(tmp_path: Path) -> None:
    lock = tmp_path / "a.lock"
    told: list[str] = []
    waiting = threading.Event()

    def report(line: str) -> None:
        told.append(line)
        waiting.set()

    def second() -> None:
        with build_lock(lock, "environment asr", report):
            told.append("got it")

    with build_lock(lock, "environment asr", report):
        thread = threading.Thread(target=second)
        thread.start()
        assert waiting.wait(30)
        assert len(told) == 1
    thread.join(30)
    assert f"process {os.getpid()}" in told[0]
    assert "is making environment asr" in told[0]
    assert told[1] == "got it"


TELLS_ITS_NUMBER = python("import os, time; print(os.getpid(), flush=True); time.sleep(600)")


@contextmanager
def watching(lock: Path, nohup: str = "") -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A watcher that was handed a lock, and the process number of what it watches."""
    held = BuildLock(lock)
    with held:
        watcher = subprocess.Popen(
            [*nohup.split(), sys.executable, "-I", "-S", watched.__file__, *TELLS_ITS_NUMBER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[held.fileno()],
        )
    with watcher:
        assert watcher.stdout is not None
        yield watcher, int(watcher.stdout.readline())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_stopped_watcher_ends_its_command(tmp_path: Path, number: signal.Signals) -> None:
    with watching(tmp_path / "lock") as (watcher, child):
        watcher.send_signal(number)
        assert watcher.wait(30) == 130
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


STOPPED_WHILE_STARTING = f"""
import os, signal, subprocess, sys
sys.path.insert(0, {str(ROOT)!r})
from orchestrator.provision import watched
start = subprocess.Popen
def stopped_while_starting(*arguments, **options):
    child = start(*arguments, **options)
    print(child.pid, flush=True)
    os.kill(os.getpid(), signal.SIGTERM)
    return child
subprocess.Popen = stopped_while_starting
sys.exit(watched.main([sys.executable, "-c", "import time; time.sleep(600)"]))
"""


def test_a_watcher_that_is_stopped_while_it_starts_its_command_ends_it() -> None:
    done = subprocess.run(
        python(STOPPED_WHILE_STARTING), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=30
    )
    assert done.returncode == 130
    with pytest.raises(ProcessLookupError):
        os.kill(int(done.stdout), 0)


def test_a_closed_terminal_does_not_end_what_was_started_with_nohup(tmp_path: Path) -> None:
    with watching(tmp_path / "lock", nohup="nohup") as (watcher, child):
        watcher.send_signal(signal.SIGHUP)
        os.kill(child, 0)
        assert watcher.stdin is not None
        watcher.stdin.close()
        assert watcher.wait(30) == 256 - signal.SIGKILL, "its input has ended, no signal ended it"


def test_a_command_whose_watcher_was_killed_keeps_others_out(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with watching(lock) as (watcher, child):
        watcher.kill()
        watcher.wait(30)
        with pytest.raises(LockHeld), BuildLock(lock):
            pass
        os.kill(child, signal.SIGKILL)
    with BuildLock(lock, wait=True):
        pass
