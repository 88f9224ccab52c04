"""Start a job process, talk with it, and make sure that nothing of it is left behind.

The one place that starts jobs: ``run-pipeline`` and the batch coordinator both come through here.
The job gets a session of its own; its stages share it, so one signal reaches them all. What left
that session is found by the mark that every process of the job carries in its environment.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil
import trio

from orchestrator.child import Child, Log, start_child
from orchestrator.containment import contained
from orchestrator.contract.channel import LAST_WORDS_SECONDS, LineSplitter
from orchestrator.contract.errors import ExitCode
from orchestrator.contract.messages import Cancel, Drain, Message, UnknownVersion, decode
from orchestrator.contract.processes import (
    JOB_VARIABLE,
    RUN_VARIABLE,
    Strays,
    adopted,
    become_subreaper,
)
from orchestrator.contract.secrets import without_secrets
from orchestrator.outbox import Outbox

# After the job closed its pipe it has nothing left to do but exit.
EXIT_SECONDS = 10.0

# How long killed processes may take to be gone; one that waits for a dead disk takes longer.
_SWEEP_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class JobCommand:
    """How to start one job, or one worker that serves many.

    ``log`` takes what it prints and is closed when it has been started.
    ``job_id`` is the mark that all its processes carry. ``environ`` None: our own variables, but
    for the secrets among them (see :func:`job_environment`). ``may_fork``: it runs libraries that
    may leave copies of its process, which hold its pipe.
    """

    argv: Sequence[str]
    job_id: str
    run_id: str
    log: Log
    environ: Mapping[str, str] | None = None
    folder: Path | None = None
    may_fork: bool = False


_READ_BYTES = 1 << 16
_KILLED = -9
"""The exit status of a process that was killed and is not gone yet."""

_strays = Strays()

_ours: set[int] = set()
"""The processes that were started here and are not done with."""


class Orders:
    """Orders to all jobs of a run, at any time: drain, later perhaps cancel."""

    def __init__(self, cancel_seconds: float = 5.0) -> None:
        self.draining = trio.Event()
        self.cancelling = trio.Event()
        self.cancel_seconds = cancel_seconds
        self._jobs: dict[Outbox, trio.CancelScope] = {}

    def drain(self) -> None:
        """Let every job end its stage and no more."""
        if not self.draining.is_set():
            self.draining.set()
            for outbox in self._jobs:
                outbox.say(Drain())

    def cancel(self) -> None:
        """Stop every job; those still running after ``cancel_seconds`` are killed."""
        self.draining.set()
        if not self.cancelling.is_set():
            self.cancelling.set()
            for outbox, patience in self._jobs.items():
                self._cancel(outbox, patience)

    @contextlib.contextmanager
    def heard_by(self, outbox: Outbox, patience: trio.CancelScope) -> Iterator[None]:
        """Pass orders on; with a job that does not follow a cancel in time, ``patience`` ends."""
        if self.cancelling.is_set():
            self._cancel(outbox, patience)
        elif self.draining.is_set():
            outbox.say(Drain())
        self._jobs[outbox] = patience
        try:
            yield
        finally:
            del self._jobs[outbox]

    def _cancel(self, outbox: Outbox, patience: trio.CancelScope) -> None:
        outbox.say(Cancel())
        patience.deadline = trio.current_time() + self.cancel_seconds


def job_argv(folder: Path, selection: str | None = None) -> list[str]:
    """Command line of a job process; see there why it is started like this."""
    entry = str(Path(__file__).with_name("__main__.py"))
    argv = [sys.executable, "-I", "-S", "-X", "utf8", entry, "run", str(folder)]
    return argv if selection is None else [*argv, selection]


def job_environment(base: Mapping[str, str]) -> dict[str, str]:
    """The variables of jobs: a job needs no secret, so it gets none."""
    environment = without_secrets(base)
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return environment


async def run_job_process(
    command: JobCommand,
    handle: Callable[[Message], Message | None],
    orders: Orders,
    outbox: Outbox | None = None,
) -> int:
    """Run a job to its end and return its exit status (negative: the signal that killed it).

    Each message goes to ``handle``; what it returns is sent back to the job, and so is what is said
    through ``outbox`` at any time; the job's pipe is closed where that is. When this is cancelled,
    or the job outstays ``orders``, the whole tree is killed before it returns.

    Raises:
        OSError: the process could not be started, or contained.
    """
    _be_subreaper()
    environ = job_environment(os.environ) if command.environ is None else command.environ
    marks = {RUN_VARIABLE: command.run_id, JOB_VARIABLE: command.job_id}
    process = await start_child(command.argv, command.log, {**environ, **marks}, command.folder)
    _ours.add(process.pid)
    try:
        return await _converse(process, command, handle, orders, outbox or Outbox())
    finally:
        _ours.discard(process.pid)


async def _converse(
    process: Child,
    command: JobCommand,
    handle: Callable[[Message], Message | None],
    orders: Orders,
    outbox: Outbox,
) -> int:
    try:
        with contained(process.pid):
            await _hear_out(process, command, handle, orders, outbox)
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


async def _hear_out(
    process: Child,
    command: JobCommand,
    handle: Callable[[Message], Message | None],
    orders: Orders,
    outbox: Outbox,
) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    with trio.CancelScope() as patience:
        async with trio.open_nursery() as nursery:
            with (
                outbox.connected(process.stdin, command.run_id, nursery),
                orders.heard_by(outbox, patience),
                trio.CancelScope() as listening,
            ):
                if command.may_fork:
                    nursery.start_soon(_end_with, process, listening)
                await _listen(process.stdout, handle, outbox)
            nursery.cancel_scope.cancel()
    if not patience.cancelled_caught:
        with trio.move_on_after(EXIT_SECONDS):
            await process.wait()


@cache
def _be_subreaper() -> bool:
    return become_subreaper()


async def _listen(
    pipe: trio.abc.ReceiveStream, handle: Callable[[Message], Message | None], outbox: Outbox
) -> None:
    splitter = LineSplitter()
    while True:
        data = await _some_of(pipe)
        for line in splitter.feed(data):
            message = _decode(line)
            reply = handle(message) if message is not None else None
            if reply is not None:
                outbox.say(reply)
        if not data:
            return


async def _end_with(process: Child, listening: trio.CancelScope) -> None:
    """Stop listening when the process has ended: what it forked may hold its pipe for longer."""
    await process.wait()
    await trio.sleep(LAST_WORDS_SECONDS)
    listening.cancel()


async def _some_of(pipe: trio.abc.ReceiveStream) -> bytes:
    """What the pipe has, as soon as there is anything; nothing: it has ended."""
    try:
        if sys.platform != "win32" and isinstance(pipe, trio.lowlevel.FdStream):
            # As it does itself, but for an attempt to read before there is anything.
            await trio.lowlevel.wait_readable(pipe.fileno())
            return os.read(pipe.fileno(), _READ_BYTES)
        return bytes(await pipe.receive_some(_READ_BYTES))
    except (trio.BrokenResourceError, OSError):
        return b""


def _decode(line: bytes) -> Message | None:
    try:
        return decode(line)
    except UnknownVersion:
        # The job was started by this very program; it will leave no result that can be read,
        # and that is reported.
        return None


async def _kill_tree(process: Child, command: JobCommand) -> None:
    """Kill the job, its session, and whatever carries its mark; returns when they are dead.

    Or nearly so: one that waits for a dead disk dies when that answers, and is not waited for.
    """
    if sys.platform != "win32":
        # Also when it has ended: its group keeps its number as long as it has members.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
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
    for pid in set(adopted()) - _ours:
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
