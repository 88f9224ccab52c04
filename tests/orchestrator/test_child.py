"""A child with two pipes is the same whether it is started in a thread or not."""

import errno
import gc
import os
import signal
import sys
from pathlib import Path

import pytest
import trio

from orchestrator import child
from orchestrator.child import Log, start_child

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it is trio's")

SECONDS = 60.0
TALK = """
import os, sys
print("to the log", file=sys.stderr)
print(input(), os.environ["MARK"], os.getcwd(), os.getsid(0) == os.getpid())
sys.exit(3)
"""


@pytest.fixture(params=["at once", "in a thread"])
def how(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(child, "_ends_are_told", lambda: request.param == "at once")
    return str(request.param)


def _said(folder: Path) -> str:
    return f"hello m-1 {folder.resolve()} True\n"


async def test_it_talks_and_ends(how: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("before\n")
    with trio.fail_after(SECONDS):
        process = await start_child(
            [sys.executable, "-c", TALK], Log(log), {"MARK": "m-1"}, tmp_path
        )
        assert isinstance(process, trio.Process) == (how == "in a thread")
        assert process.stdin is not None
        assert process.stdout is not None
        await process.stdin.send_all(b"hello\n")
        said = b"".join([data async for data in process.stdout])
        assert said.decode() == _said(tmp_path)
        assert await process.wait() == 3
        assert await process.wait() == process.returncode == 3
    assert log.read_text() == "before\nto the log\n"


async def test_nobody_has_to_wait_to_the_end(how: str, tmp_path: Path) -> None:
    argv = [sys.executable, "-c", "input()"]
    process = await start_child(argv, Log(tmp_path / "log"), os.environ)
    with trio.move_on_after(0.0):
        await process.wait()
    process.kill()
    with trio.fail_after(SECONDS):
        assert await process.wait() == -signal.SIGKILL


async def test_what_cannot_be_started_leaves_nothing_open(how: str, tmp_path: Path) -> None:
    before = _open_files()
    for _ in range(3):
        with pytest.raises(FileNotFoundError):
            await start_child([str(tmp_path / "no program")], Log(tmp_path / "log"), {})
    gc.collect()
    assert _open_files() == before


def test_old_systems_do_not_tell_of_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(pid: int) -> int:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    told = child._ends_are_told.__wrapped__
    monkeypatch.setattr(os, "pidfd_open", refused, raising=False)
    assert not told()
    monkeypatch.delattr(os, "pidfd_open")
    assert not told()


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd"))
