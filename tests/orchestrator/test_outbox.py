"""What is said to a child arrives whole and in order, and nobody waits for it."""

import errno
import os
import sys
from collections.abc import Iterator

import pytest
import trio
import trio.testing

from orchestrator.contract.messages import Cancel, Drain, Finished, Message, encode
from orchestrator.outbox import Outbox

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pipes of POSIX")

RUN = "run-1"
LONG = Finished("stage", False, {"message": "x" * 200_000})
"""More than a pipe holds."""


@pytest.fixture
def pipe() -> Iterator[tuple[int, trio.lowlevel.FdStream]]:
    """The reading end, and a stream to the writing one."""
    reading, writing = os.pipe()
    stream = trio.lowlevel.FdStream(writing)
    yield reading, stream  # which closes itself
    os.close(reading)


Pipe = tuple[int, trio.lowlevel.FdStream]


def lines(*messages: Message) -> bytes:
    return b"".join(encode(message, RUN) for message in messages)


async def test_what_was_said_before_waits_for_the_child(pipe: Pipe) -> None:
    reading, stream = pipe
    outbox = Outbox()
    outbox.say(Drain())
    async with trio.open_nursery() as nursery:
        with outbox.connected(stream, RUN, nursery):
            outbox.say(Cancel())
            assert os.read(reading, 1000) == lines(Drain(), Cancel())


async def test_what_the_pipe_does_not_take_is_written_when_it_does(pipe: Pipe) -> None:
    reading, stream = pipe
    outbox = Outbox()
    async with trio.open_nursery() as nursery:
        with outbox.connected(stream, RUN, nursery):
            outbox.say(LONG)
            outbox.say(Drain())
            outbox.close()
            outbox.say(Cancel())  # too late
            read = await trio.to_thread.run_sync(_all_of, reading)
    assert read == lines(LONG, Drain())


async def test_a_child_that_does_not_listen_holds_nobody_up(pipe: Pipe) -> None:
    _, stream = pipe
    outbox = Outbox()
    async with trio.open_nursery() as nursery:
        with outbox.connected(stream, RUN, nursery):
            outbox.say(LONG)
            outbox.say(LONG)
        outbox.say(Drain())
        nursery.cancel_scope.cancel()


async def test_the_pipe_ends_after_what_was_said(pipe: Pipe) -> None:
    reading, stream = pipe
    outbox = Outbox()
    outbox.say(Drain())
    outbox.close()
    async with trio.open_nursery() as nursery:
        with outbox.connected(stream, RUN, nursery):
            assert _all_of(reading) == lines(Drain())


async def test_whoever_cannot_be_told_anything_is_told_to_end(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fault: a write to the pipe of a living process fails, as when memory is short."""
    reading, stream = pipe

    def fails(descriptor: int, data: bytes) -> int:
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    outbox = Outbox()
    async with trio.open_nursery() as nursery:
        with outbox.connected(stream, RUN, nursery), monkeypatch.context() as patch:
            patch.setattr(os, "write", fails)
            outbox.say(Drain())
    assert _all_of(reading) == b""


async def test_a_pipe_that_cannot_be_written_at_once() -> None:
    """As on Windows: a task writes."""
    stream, other = trio.testing.memory_stream_pair()
    outbox = Outbox()
    async with trio.open_nursery() as nursery:
        with outbox.connected(stream, RUN, nursery):
            outbox.say(Drain())
            outbox.say(Cancel())
            await trio.testing.wait_all_tasks_blocked()
            assert await other.receive_some() == lines(Drain(), Cancel())
            outbox.close()
            assert await other.receive_some() == b""


async def test_a_pipe_that_breaks_while_it_is_written(pipe: Pipe) -> None:
    stream, other = trio.testing.memory_stream_pair()
    await other.aclose()
    outbox = Outbox()
    async with trio.open_nursery() as nursery:
        with outbox.connected(stream, RUN, nursery):
            outbox.say(Drain())
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(trio.ClosedResourceError):
                await stream.send_all(b"it is closed")


def _all_of(descriptor: int) -> bytes:
    data = b""
    while some := os.read(descriptor, 1 << 16):
        data += some
    return data
