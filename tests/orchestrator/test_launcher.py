"""Real job processes with stages that fail in every way: nothing of them is left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import psutil
import pytest
import trio
import trio.testing

from orchestrator import launcher
from orchestrator.__main__ import main
from orchestrator.child import Log
from orchestrator.contract.job import Job, JobStage, read_job_result
from orchestrator.contract.messages import (
    Finished,
    Grant,
    Message,
    Progress,
    Request,
    Started,
)
from orchestrator.contract.paths import JobFolder
from orchestrator.contract.processes import JOB_VARIABLE, RUN_VARIABLE
from orchestrator.launcher import (
    JobCommand,
    Orders,
    job_argv,
    job_environment,
    kill_marked,
    run_job_process,
)

from .job.conftest import MakeJob, fake_stage, make_job, relay_stage

__all__ = ["make_job"]

PATIENCE = 60.0
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and sessions are POSIX")


class Watched:
    """Answers a job as the coordinator does, and remembers what it said and which pid it has."""

    def __init__(self, folder: JobFolder, job: Job) -> None:
        self.folder = folder
        self.command = JobCommand(
            job_argv(folder.root), job.id, f"run-{os.getpid()}", Log(folder.log)
        )
        self.orders = Orders(cancel_seconds=PATIENCE)
        self.said: list[Message] = []
        self.pid = 0
        self.on_progress: Callable[[], None] = lambda: None
        self.progressing = trio.Event()

    def handle(self, message: Message) -> Message | None:
        self.said.append(message)
        if isinstance(message, Started) and "pid" in message.facts:
            self.pid = int(message.facts["pid"])
        if isinstance(message, Progress):
            self.progressing.set()
            self.on_progress()
        if isinstance(message, Request) and not self.orders.draining.is_set():
            return Grant(message.stage, message.attempt, 1)
        return None

    async def run(self) -> int:
        with trio.fail_after(PATIENCE):
            return await run_job_process(self.command, self.handle, self.orders)

    @property
    def status(self) -> str | None:
        result = read_job_result(self.folder)
        return result.status if result else None

    def survivors(self) -> list[int]:
        """Living processes with this job's mark."""
        return [process.pid for process in psutil.process_iter() if self._marked(process)]

    def _marked(self, process: psutil.Process) -> bool:
        try:
            return process.environ().get(JOB_VARIABLE) == self.command.job_id and (
                process.environ().get(RUN_VARIABLE) == self.command.run_id
            )
        except psutil.Error:
            return False


Watch = Callable[..., Watched]


@pytest.fixture
def watch(make_job: MakeJob) -> Iterator[Watch]:
    """Make a job and watch it; whatever it leaves is a failure of the test."""
    made: list[Watched] = []

    def start(*stages: JobStage) -> Watched:
        made.append(Watched(*make_job(*stages)))
        return made[-1]

    yield start
    assert [pid for one in made for pid in one.survivors()] == []


async def test_a_job_that_succeeds(watch: Watch) -> None:
    job = watch(fake_stage(), relay_stage())
    assert await job.run() == 0
    assert job.status == "done"
    assert [message.type for message in job.said if message.type != "progress"] == [
        "started",
        "request",
        "started",
        "release",
        "request",
        "started",
        "release",
        "finished",
    ]
    finished = job.said[-1]
    assert isinstance(finished, Finished)
    assert finished.ok
    assert finished.data["status"] == "done"


async def test_a_job_that_fails(watch: Watch) -> None:
    job = watch(fake_stage("raises"))
    assert await job.run() == 5
    finished = job.said[-1]
    assert isinstance(finished, Finished)
    assert finished.error is not None
    assert finished.error["code"] == "stage_raised"


async def test_a_folder_without_a_job(watch: Watch) -> None:
    job = watch(fake_stage())
    job.folder.spec.unlink()
    assert await job.run() == 5
    (finished,) = job.said
    assert isinstance(finished, Finished)
    assert finished.error is not None
    assert finished.error["code"] == "job_unreadable"


async def test_a_killed_job_takes_its_stage_along(watch: Watch) -> None:
    job = watch(fake_stage("hangs"))
    job.on_progress = lambda: os.kill(job.pid, signal.SIGKILL)
    assert await job.run() == -signal.SIGKILL
    assert job.survivors() == []
    assert job.status is None


async def test_a_drained_job_ends_its_stage_and_starts_no_other(
    watch: Watch, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    job = watch(fake_stage("waits", gate), relay_stage())
    async with trio.open_nursery() as nursery:

        async def drain() -> None:
            await job.progressing.wait()
            job.orders.drain()
            gate.touch()

        nursery.start_soon(drain)
        status = await job.run()
    result = read_job_result(job.folder)
    assert result is not None
    assert (status, result.status) == (75, "interrupted")
    assert [(one.name, one.status) for one in result.stages] == [("fake", "ran")]


async def test_orders_and_answers_at_the_same_moment_do_not_collide(watch: Watch) -> None:
    job = watch(fake_stage("hangs"))
    answer = job.handle

    def answer_while_stopping(message: Message) -> Message | None:
        reply = answer(message)
        if reply is not None:
            job.orders.drain()
            job.orders.cancel()
        return reply

    with trio.fail_after(PATIENCE):
        status = await run_job_process(job.command, answer_while_stopping, job.orders)
    assert status == 75
    assert job.status == "interrupted"


async def test_a_cancel_stops_a_stage_that_hangs(watch: Watch) -> None:
    job = watch(fake_stage("hangs", grace_seconds=0.1))
    job.on_progress = job.orders.cancel
    assert await job.run() == 75
    assert job.status == "interrupted"


async def test_a_job_that_does_not_follow_a_cancel_is_killed_at_once(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stage would be given minutes; the orders do not wait so long, nor for an exit."""
    job = watch(fake_stage("hangs", grace_seconds=600.0))
    monkeypatch.setattr(launcher, "EXIT_SECONDS", 600.0)
    job.orders.cancel_seconds = 0.1
    job.on_progress = job.orders.cancel
    assert await job.run() == -signal.SIGKILL
    assert job.survivors() == []


@pytest.mark.parametrize("fault", ["hangs", "silent", "leaves_grandchild"])
async def test_cancelling_the_caller_kills_everything(
    watch: Watch, tmp_path: Path, fault: str
) -> None:
    noted = tmp_path / "grandchild"
    job = watch(fake_stage(fault, noted))
    with trio.CancelScope() as scope:

        def cancel() -> None:
            if fault != "leaves_grandchild" or (noted.exists() and noted.read_text()):
                scope.cancel()

        job.on_progress = cancel
        await job.run()
    assert scope.cancelled_caught
    assert job.survivors() == []
    assert job.status is None


async def test_a_grandchild_with_a_session_of_its_own_is_found(
    watch: Watch, tmp_path: Path
) -> None:
    noted = tmp_path / "grandchild"
    job = watch(fake_stage("leaves_grandchild", noted, grace_seconds=0.1))

    def cancel_when_it_is_there() -> None:
        if noted.exists() and noted.read_text():
            job.orders.cancel()

    job.on_progress = cancel_when_it_is_there
    assert await job.run() == 75
    assert ended(int(noted.read_text()))


async def test_a_grandchild_of_a_stage_that_stalled_is_found(watch: Watch, tmp_path: Path) -> None:
    noted = tmp_path / "grandchild"
    job = watch(fake_stage("leaves_grandchild_and_stalls", noted, stall_seconds=1.0))
    assert await job.run() == 5
    assert ended(int(noted.read_text()))


async def test_a_grandchild_of_an_attempt_that_was_repeated_is_found(
    watch: Watch, tmp_path: Path
) -> None:
    noted = tmp_path / "grandchild"
    job = watch(fake_stage("leaves_grandchild_and_dies_once", noted))
    assert await job.run() == 0
    assert job.status == "done"
    assert ended(int(noted.read_text()))


@pytest.mark.parametrize("status", [0, 3])
async def test_a_helper_in_its_group_without_its_mark_is_ended_with_it(
    tmp_path: Path, status: int
) -> None:
    """Started with an empty environment, by a stage that did not wait for it."""
    noted = tmp_path / "helper"
    code = f"""
import subprocess, sys
helper = subprocess.Popen(
    ["sleep", "600"], env={{}}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
)
open({str(noted)!r}, "w").write(str(helper.pid))
sys.exit({status})
"""
    command = JobCommand([sys.executable, "-c", code], "j-helper", "r", Log(tmp_path / "log"))
    with trio.fail_after(PATIENCE):
        assert await run_job_process(command, lambda _message: None, Orders()) == status
    until(lambda: ended(int(noted.read_text())))


async def test_a_process_that_cannot_be_contained_is_not_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pids: list[int] = []

    def refused(pid: int) -> AbstractContextManager[None]:
        pids.append(pid)
        raise PermissionError(pid)

    monkeypatch.setattr(launcher, "contained", refused)
    code = "import time; time.sleep(600)"
    command = JobCommand([sys.executable, "-c", code], "j-free", "r", Log(tmp_path / "log"))
    with pytest.raises(PermissionError):
        await run_job_process(command, lambda _message: None, Orders())
    assert ended(*pids)


SUPERVISOR = """
import sys, time, trio
from orchestrator.contract.messages import Grant, Request
from orchestrator.child import Log
from orchestrator.launcher import JobCommand, Orders, run_job_process
from orchestrator.launcher import job_argv
from pathlib import Path
folder, job_id, run_id = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
command = JobCommand(job_argv(folder), job_id, run_id, Log(folder / "job.log"))
def handle(message):
    if isinstance(message, Request):
        return Grant(message.stage, message.attempt, 1)
trio.run(run_job_process, command, handle, Orders())
"""


@pytest.mark.parametrize("stopped", [False, True])
def test_when_the_coordinator_is_killed_nothing_is_left(
    watch: Watch, tmp_path: Path, stopped: bool
) -> None:
    """The grandchild made a session of its own, is deaf to SIGTERM, and perhaps stopped."""
    noted = tmp_path / "grandchild"
    job = watch(fake_stage("leaves_grandchild", noted))
    job.command.log.close()  # the supervisor has one of its own
    arguments = [str(job.folder.root), job.command.job_id, job.command.run_id]
    with subprocess.Popen([sys.executable, "-c", SUPERVISOR, *arguments]) as supervisor:
        until(lambda: noted.exists() and noted.read_text() != "")
        grandchild = int(noted.read_text())
        if stopped:
            os.kill(grandchild, signal.SIGSTOP)
        supervisor.kill()
    until(lambda: not job.survivors())
    assert ended(grandchild)


def until(condition: Callable[[], bool]) -> None:
    give_up = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.01)


def ended(pid: int) -> bool:
    """Whether it is dead, whether or not its new parent has noticed."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


async def test_a_job_that_does_not_exit_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launcher, "EXIT_SECONDS", 0.1)
    code = "import os, time; os.close(1); time.sleep(600)"
    command = JobCommand([sys.executable, "-c", code], "j-exit", "r", Log(tmp_path / "log"))
    with trio.fail_after(PATIENCE):
        assert await run_job_process(command, lambda _message: None, Orders()) == -signal.SIGKILL


async def test_text_and_foreign_messages_are_not_handed_on(tmp_path: Path) -> None:
    code = 'print("text"); print(\'{"v":9,"type":"started"}\'); print(\'{"v":1,"type":"new"}\')'
    command = JobCommand([sys.executable, "-c", code], "j-text", "r", Log(tmp_path / "log"))
    said: list[Message] = []
    with trio.fail_after(PATIENCE):
        status = await run_job_process(command, lambda message: said.append(message), Orders())
    assert status == 0
    assert [type(message).__name__ for message in said] == ["Unknown"]


async def test_an_answer_to_a_job_that_is_gone_is_dropped(tmp_path: Path) -> None:
    code = 'import os; os.close(0); print(\'{"v":1,"type":"heartbeat"}\', flush=True); input'
    command = JobCommand([sys.executable, "-c", code], "j-gone", "r", Log(tmp_path / "log"))
    with trio.fail_after(PATIENCE):
        assert await run_job_process(command, lambda _m: Grant("a", "b"), Orders()) == 0


async def test_a_job_that_cannot_be_started_is_told(tmp_path: Path) -> None:
    command = JobCommand([str(tmp_path / "no python")], "j", "r", Log(tmp_path / "log"))
    with pytest.raises(FileNotFoundError):
        await run_job_process(command, lambda _message: None, Orders())


@pytest.mark.parametrize("arguments", [[], ["run"], ["walk", "folder"]])
def test_the_job_entry_explains_itself(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err.startswith("usage: python -m orchestrator run JOB_FOLDER")


def test_a_job_gets_nothing_odd_or_secret(tmp_path: Path) -> None:
    command = JobCommand(job_argv(tmp_path, "{}"), "j1", "r1", Log(tmp_path / "log"))
    ours = {"PATH": "/bin", "PYTHONDONTWRITEBYTECODE": "1", "HF_TOKEN": "hf_secret"}
    assert job_environment(ours) == {"PATH": "/bin"}
    assert command.argv[-3:] == ["run", str(tmp_path), "{}"]
    assert job_argv(tmp_path)[-1] == str(tmp_path)


def test_only_processes_of_this_run_are_killed(tmp_path: Path) -> None:
    """Two work folders may have a job of the same id."""
    code = "import sys; print('up', flush=True); sys.stdin.read()"
    mark = f"j-{tmp_path.name}"
    children = []
    for run in ("r1", "r2"):
        child = subprocess.Popen(
            [sys.executable, "-c", code],
            env={**os.environ, JOB_VARIABLE: mark, RUN_VARIABLE: run},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert child.stdout is not None
        assert child.stdout.readline() == b"up\n"
        children.append(child)
    ours, other = children
    assert kill_marked(mark, "r1") == 1
    assert ours.wait(PATIENCE) == -signal.SIGKILL
    assert other.poll() is None
    assert kill_marked(mark) == 1
    assert other.wait(PATIENCE) == -signal.SIGKILL
    assert kill_marked(mark) == 0
    for child in children:
        child.communicate()


async def test_a_job_that_waits_for_a_dead_disk_is_not_waited_for(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """The kernel lets it die when the disk answers."""

    class Undying:
        pid, returncode = 2**30, None

        def kill(self) -> None: ...

        async def wait(self) -> None:
            await trio.sleep_forever()

    command = JobCommand([], f"j-{tmp_path.name}", "r1", Log(tmp_path / "log"))
    with trio.fail_after(60):
        await launcher._kill_tree(Undying(), command)  # type: ignore[arg-type]
