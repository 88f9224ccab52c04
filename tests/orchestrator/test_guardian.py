"""The guardian cleans up after a run that was killed, and only then."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

import psutil
import pytest

from orchestrator import guardian
from orchestrator.contract.processes import RUN_VARIABLE

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux shows the variables of processes"
)

ROOT = Path(__file__).parents[2]
PATIENCE = 30.0

RUN = """
import os, subprocess, sys
from orchestrator.guardian import guarded
run_id = sys.argv[1]
deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
with guarded(run_id):
    straggler = subprocess.Popen(
        [sys.executable, "-c", deaf],
        env={**os.environ, "BATCH_SUBTITLES_RUN_ID": run_id},
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    print(straggler.pid, flush=True)
    sys.stdin.read()
"""


def started(run_id: str) -> tuple[subprocess.Popen[str], psutil.Process]:
    """A run that has begun, and the process that it will leave behind."""
    run = subprocess.Popen(
        [sys.executable, "-c", RUN, run_id],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={name: value for name, value in os.environ.items() if name != RUN_VARIABLE}
        | {"PYTHONPATH": str(ROOT)},
    )
    assert run.stdout is not None
    return run, psutil.Process(int(run.stdout.readline()))


def test_what_a_killed_run_leaves_behind_is_ended(tmp_path: Path) -> None:
    run, straggler = started(f"{tmp_path.name}-{os.getpid()}")
    straggler.suspend()
    with run:
        run.send_signal(signal.SIGKILL)
    straggler.wait(PATIENCE)


def test_a_run_that_ends_by_itself_has_nothing_killed(tmp_path: Path) -> None:
    run, straggler = started(f"{tmp_path.name}-{os.getpid()}")
    with run:
        run.communicate()
    assert run.returncode == 0
    try:
        assert straggler.is_running()
    finally:
        straggler.kill()


def test_a_guardian_that_is_stopped_does_not_spoil_the_end_of_a_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(guardian, "_EXIT_SECONDS", 0.1)
    before = set(psutil.Process().children())
    with guardian.guarded(f"stopped-{os.getpid()}"):
        (child,) = set(psutil.Process().children()) - before
        child.suspend()
    assert not child.is_running()


def test_a_guardian_that_cannot_be_told_does_not_spoil_the_end_of_a_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Broken(subprocess.Popen[bytes]):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            assert self.stdin is not None
            monkeypatch.setattr(self, "stdin", BrokenPipe(self.stdin))

    monkeypatch.setattr("orchestrator.guardian.subprocess.Popen", Broken)
    before = set(psutil.Process().children())
    with guardian.guarded(f"untold-{os.getpid()}"):
        (child,) = set(psutil.Process().children()) - before
    assert not child.is_running()


class BrokenPipe:
    """Nothing goes through; it can be closed, with an error."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe

    def write(self, data: bytes) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    def close(self) -> None:
        self._pipe.close()
        raise OSError(errno.EIO, os.strerror(errno.EIO))
