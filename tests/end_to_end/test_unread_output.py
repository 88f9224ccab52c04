"""Output that nobody reads, as that of a pager left open: the run goes on, and hears Ctrl-C."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from .conftest import PATIENCE_SECONDS, Batch, wait_until

pytestmark = pytest.mark.real


@contextmanager
def full_pipe() -> Iterator[int]:
    """The end of a pipe that takes nothing more."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writing, b"\n")
    os.set_blocking(writing, True)
    try:
        yield writing
    finally:
        os.close(writing)
        os.close(reading)


@contextmanager
def started(batch: Batch, out: int, err: int, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        batch.argv("batch", batch.library, *arguments),
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=err,
        env=batch.environ,
        cwd=batch.folder,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_a_run_ends_that_nobody_reads(batch: Batch, arguments: list[str]) -> None:
    batch.add("a.wav", "b.wav")
    told = batch.folder / "stderr"
    with (
        full_pipe() as out,
        told.open("wb") as err,
        started(batch, out, err.fileno(), *arguments) as process,
    ):
        assert process.wait(PATIENCE_SECONDS) == 0
    assert [name for name in batch.names() if name.endswith(".vtt")] == ["a.en.vtt", "b.en.vtt"]
    assert "nobody read it" in told.read_text()


def test_ctrl_c_is_heard_while_nobody_reads(batch: Batch) -> None:
    """Not even standard error. That the installation is checked was told before."""
    batch.add("a.wav")
    batch.fault("waits")
    batch.gate.touch()
    assert batch.run().code == 0
    batch.gate.unlink()
    before = batch.waiting()
    batch.add("b.wav")
    with full_pipe() as out, started(batch, out, out) as process:
        batch.wait_for_waiting(before + 1)
        process.send_signal(signal.SIGINT)
        log = max(batch.work.runs.glob("*/batch.log"), key=os.path.getmtime)
        wait_until(lambda: "stopping (SIGINT)" in log.read_text(), "the signal to be heard")
        batch.gate.touch()
        assert process.wait(PATIENCE_SECONDS) == 130
    assert batch.processes() == []
