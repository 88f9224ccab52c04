"""Start a job process, talk with it, and make sure that nothing of it is left behind.

The one place that starts jobs: ``run-pipeline`` and the batch coordinator both come through here.
The job gets a session of its own; its stages share it, so one signal reaches them all. What left
that session is found by the mark that every process of the job carries in its environment.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil
import trio

from orchestrator.containment import contained
from orchestrator.contract.channel import LineSplitter
from orchestrator.contract.errors import ExitCode
from orchestrator.contract.messages import (
    Cancel,
    Drain,
    Message,
    UnknownVersion,
    decode,
    encode,
)
from orchestrator.contract.processes import (
    JOB_VARIABLE,
    RUN_VARIABLE,
    Strays,
    adopted,
    become_subreaper,
)
from orchestrator.contract.secrets import without_secrets

# After the job closed its pipe it has nothing left to do but exit.
EXIT_SECONDS = 10.0

# How long killed processes may take to be gone; one that waits for a dead disk takes longer.
_SWEEP_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class JobCommand:
    """How to start one job, or one worker that serves many. ``log`` takes what it prints.

    ``job_id`` is the mark that all its processes carry. ``environ`` None: our own variables.
    """

    argv: Sequence[str]
    job_id: str
    run_id: str
    log: Path
    environ: Mapping[str, str] | None = None
    folder: Path | None = None


_KILLED = -9
"""The exit status of a process that was killed and is not gone yet."""

_strays = Strays()


class Orders:
    """Orders to all jobs of a run, at any time: drain, later perhaps cancel."""

    def __init__(self, cancel_seconds: float = 5.0) -> None:
        self.draining = trio.Event()
        self.cancelling = trio.Event()
        self.cancel_seconds = cancel_seconds

    def drain(self) -> None:
        """Let every job end its stage and no more."""
        self.draining.set()

    def cancel(self) -> None:
        """Stop every job; those still running after ``cancel_seconds`` are killed."""
        self.draining.set()
        self.cancelling.set()


def job_argv(folder: Path, selection: str | None = None) -> list[str]:
    """Command line of a job process; see there why it is started like this."""
    entry = str(Path(__file__).with_name("__main__.py"))
    argv = [sys.executable, "-I", "-S", "-X", "utf8", entry, "run", str(folder)]
    return argv if selection is None else [*argv, selection]


def job_environment(base: Mapping[str, str], command: JobCommand) -> dict[str, str]:
    """The variables of the job's processes: a job needs no secret, so it gets none."""
    environment = without_secrets(base)
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    environment[RUN_VARIABLE] = command.run_id
    environment[JOB_VARIABLE] = command.job_id
    return environment


async def run_job_process(
    command: JobCommand,
    handle: Callable[[Message], Message | None],
    orders: Orders,
    outbox: trio.MemoryReceiveChannel[Message] | None = None,
) -> int:
    """Run a job to its end and return its exit status (negative: the signal that killed it).

    Each message goes to ``handle``; what it returns is sent back to the job, and so is what comes
    through ``outbox`` at any time; the job's pipe is closed where that ends. When this is
    cancelled, or the job outstays ``orders``, the whole tree is killed before it returns.

    Raises:
        OSError: the process could not be started.
    """
    _be_subreaper()
    with command.log.open("ab") as log:
        process = await trio.lowlevel.open_process(
            list(command.argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=command.folder,
            env=job_environment(
                os.environ if command.environ is None else command.environ, command
            ),
            start_new_session=sys.platform != "win32",
        )
    with contained(process.pid):
        return await _converse(process, command, handle, orders, outbox)


async def _converse(
    process: trio.Process,
    command: JobCommand,
    handle: Callable[[Message], Message | None],
    orders: Orders,
    outbox: trio.MemoryReceiveChannel[Message] | None,
) -> int:
    speak = _Speaker(process, command.run_id)
    try:
        with trio.CancelScope() as patience:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_pass_on, speak, orders, patience)
                if outbox is not None:
                    nursery.start_soon(_deliver, speak, outbox)
                await _listen(process, handle, speak)
                nursery.cancel_scope.cancel()
        if not patience.cancelled_caught:
            with trio.move_on_after(EXIT_SECONDS):
                await process.wait()
    finally:
        # A stage that crashed or was stopped may have left children of its own; also in a job that
        # tried again and succeeded.
        if process.returncode != ExitCode.OK or _left_something(process.pid, command):
            with trio.CancelScope(shield=True):
                await _kill_tree(process, command)
        for pipe in (process.stdin, process.stdout):
            # As trio.aclose_forcefully does it on all systems, without a checkpoint.
            pipe.close()  # type: ignore[union-attr]
    return _KILLED if process.returncode is None else process.returncode


@cache
def _be_subreaper() -> bool:
    return become_subreaper()


class _Speaker:
    """Sends to the job, one message at a time: trio refuses two tasks on one pipe."""

    def __init__(self, process: trio.Process, run_id: str) -> None:
        assert process.stdin is not None
        self._stdin = process.stdin
        self._run_id = run_id
        self._lock = trio.Lock()

    async def send(self, message: Message) -> None:
        async with self._lock:
            try:
                await self._stdin.send_all(encode(message, self._run_id))
            except trio.ClosedResourceError:
                pass
            except trio.BrokenResourceError:
                # Whoever cannot be told would wait for ever: the end of its pipe tells it to end.
                await self._stdin.aclose()

    async def close(self) -> None:
        async with self._lock:
            await self._stdin.aclose()


async def _listen(
    process: trio.Process, handle: Callable[[Message], Message | None], speak: _Speaker
) -> None:
    assert process.stdout is not None
    splitter = LineSplitter()
    while True:
        try:
            data = await process.stdout.receive_some(65536)
        except trio.BrokenResourceError:
            data = b""
        for line in splitter.feed(bytes(data)):
            message = _decode(line)
            reply = handle(message) if message is not None else None
            if reply is not None:
                await speak.send(reply)
        if not data:
            return


def _decode(line: bytes) -> Message | None:
    try:
        return decode(line)
    except UnknownVersion:
        # The job was started by this very program; it will leave no result that can be read,
        # and that is reported.
        return None


async def _deliver(speak: _Speaker, outbox: trio.MemoryReceiveChannel[Message]) -> None:
    async for message in outbox:
        await speak.send(message)
    await speak.close()


async def _pass_on(speak: _Speaker, orders: Orders, patience: trio.CancelScope) -> None:
    """Pass orders on; a job that does not follow a cancel in time loses our patience."""
    await orders.draining.wait()
    if not orders.cancelling.is_set():
        with trio.move_on_after(orders.cancel_seconds):  # a full pipe must not keep a cancel back
            await speak.send(Drain())
        await orders.cancelling.wait()
    with trio.move_on_after(orders.cancel_seconds):
        await speak.send(Cancel())
        await trio.sleep_forever()
    patience.cancel()


async def _kill_tree(process: trio.Process, command: JobCommand) -> None:
    """Kill the job, its session, and whatever carries its mark; returns when they are dead.

    Or nearly so: one that waits for a dead disk dies when that answers, and is not waited for.
    """
    if process.returncode is None:
        if sys.platform != "win32":
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        with trio.move_on_after(_SWEEP_SECONDS):
            await process.wait()
    await trio.to_thread.run_sync(kill_marked, command.job_id, command.run_id)
    _strays.bury()


def _left_something(pid: int, command: JobCommand) -> bool:
    """Whether anything outlives a job that has ended: in its group, or now a child of ours."""
    if sys.platform == "win32":
        return False  # its job object has ended them
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, 0)
        return True
    marks = {JOB_VARIABLE: command.job_id, RUN_VARIABLE: command.run_id}
    return any(_carries(child, marks) for child in _adopted())


def _adopted() -> list[psutil.Process]:
    found = []
    for pid in adopted():
        with contextlib.suppress(psutil.Error):
            found.append(psutil.Process(pid))
    return found


def kill_marked(job_id: str, run_id: str | None = None) -> int:
    """Kill every process of this user that carries the job's mark; returns how many there were.

    This finds a grandchild that made a session of its own, which no process group reaches. Job ids
    are unique within one work folder: ``run_id`` spares the jobs of another. It looks again until
    none is left, so what a dying process started meanwhile does not escape.
    """
    marks = (
        {JOB_VARIABLE: job_id} if run_id is None else {JOB_VARIABLE: job_id, RUN_VARIABLE: run_id}
    )
    killed: set[int] = set()
    give_up = time.monotonic() + _SWEEP_SECONDS
    while found := [process for process in psutil.process_iter() if _carries(process, marks)]:
        for process in found:
            with contextlib.suppress(psutil.Error, OSError):
                process.kill()
                killed.add(process.pid)
        if time.monotonic() > give_up:
            break
        time.sleep(0.01)
    return len(killed)


def _carries(process: psutil.Process, marks: Mapping[str, str]) -> bool:
    with contextlib.suppress(psutil.Error, OSError):
        return process.pid != os.getpid() and marks.items() <= process.environ().items()
    return False
