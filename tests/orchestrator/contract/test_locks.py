"""Locks between real processes."""

import errno
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestrator.contract.locks import LockHeld, ProcessLock, describe_holder, read_holder
from orchestrator.contract.processes import boot_id, start_ticks

PATIENCE = 30.0
HOLD = """
import sys
from pathlib import Path
from orchestrator.contract.locks import ProcessLock
with ProcessLock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def holder(path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Another process that holds the lock until its stdin is closed."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process


def assert_free(path: Path) -> None:
    with ProcessLock(path):
        pass


def test_a_living_process_keeps_its_lock_and_says_who_it_is(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "job.lock"
    with holder(path) as process:
        with pytest.raises(LockHeld, match=f"process {process.pid} on .+ since 20") as caught:
            assert_free(path)
        assert caught.value.holder["pid"] == process.pid
        assert caught.value.holder["start"] == start_ticks(process.pid)
        assert caught.value.holder["boot"] == boot_id()
        assert caught.value.path == path
    assert_free(path)


def test_a_killed_process_has_freed_its_lock(tmp_path: Path) -> None:
    path = tmp_path / "job.lock"
    with holder(path) as process:
        process.kill()
        process.wait(PATIENCE)
        assert_free(path)


def test_a_lock_is_free_again_after_an_error(tmp_path: Path) -> None:
    path = tmp_path / "job.lock"
    with pytest.raises(KeyError), ProcessLock(path):
        raise KeyError
    assert_free(path)
    assert read_holder(path)["pid"] == os.getpid()


def test_who_waits_gets_the_lock_when_it_is_free(tmp_path: Path) -> None:
    path = tmp_path / "job.lock"
    with holder(path) as process, ThreadThat(lambda: assert_waits(path)) as waiting:
        assert process.stdin is not None
        process.stdin.close()
        waiting.join(PATIENCE)
        assert not waiting.is_alive()


def assert_waits(path: Path) -> None:
    with ProcessLock(path, wait=True):
        assert read_holder(path)["pid"] == os.getpid()


class ThreadThat(threading.Thread):
    """A thread whose error is the test's."""

    def __init__(self, work: object) -> None:
        super().__init__(daemon=True)
        self._work = work
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            self._work()  # type: ignore[operator]
        except BaseException as error:
            self._error = error

    def __enter__(self) -> "ThreadThat":
        self.start()
        return self

    def __exit__(self, *_details: object) -> None:
        self.join(PATIENCE)
        if self._error is not None:
            raise self._error


def test_a_lock_whose_file_was_removed_meanwhile_is_taken_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``clean`` holds the lock of what it removes, and removes it with its lock."""
    from orchestrator.contract import locks

    path = tmp_path / "media" / "lock"
    take = locks._take
    removed: list[Path] = []

    def removed_while_we_waited(descriptor: int, *, wait: bool) -> None:
        if not removed:
            removed.append(path)
            path.unlink()
            path.parent.rmdir()
        take(descriptor, wait=wait)

    monkeypatch.setattr(locks, "_take", removed_while_we_waited)
    with ProcessLock(path, wait=True):
        assert path.exists()
        with pytest.raises(LockHeld):
            assert_free(path)


def test_a_full_disk_does_not_look_like_a_lock_that_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "job.lock"

    def disk_full(*_arguments: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", disk_full)
        with ProcessLock(path), pytest.raises(LockHeld, match="another process"):
            assert_free(path)
    assert_free(path)


def test_a_lock_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match="file"):
        assert_free(tmp_path / "file" / "lock")


@pytest.mark.parametrize("wait", [False, True])
def test_a_file_system_that_cannot_lock_does_not_look_like_a_lock_that_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wait: bool
) -> None:
    """NFS without its lock service says ENOLCK."""
    from orchestrator.contract import locks

    def refused(_descriptor: int, *, wait: bool) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(locks, "_take", refused)
    before = os.listdir("/proc/self/fd") if sys.platform == "linux" else []
    with pytest.raises(OSError, match=os.strerror(errno.ENOLCK)):
        ProcessLock(tmp_path / "lock", wait=wait).__enter__()
    assert not before or len(os.listdir("/proc/self/fd")) == len(before)


def test_the_byte_that_is_locked_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.write_bytes(b'?{"pid": 7}')
    assert read_holder(path) == {"pid": 7}


@pytest.mark.parametrize("content", [b"", b"\0", b"\0{broken", b"[1]", b"\0null"])
def test_a_holder_that_cannot_be_read_is_another_process(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "lock"
    path.write_bytes(content)
    assert read_holder(path) == {}
    assert describe_holder({}) == "another process"
    assert read_holder(tmp_path / "gone") == {}


def test_a_holder_may_be_known_in_part() -> None:
    assert describe_holder({"pid": 7}) == "process 7 on ? since ?"
