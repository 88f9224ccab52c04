"""Messages on real pipes, and in a real child whose stdin and stdout are reserved for them."""

import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.contract.channel import LineSplitter, Sender, read_lines, start_reader
from orchestrator.contract.messages import MAX_LINE_BYTES, Drain, Heartbeat, Warning, decode, encode
from orchestrator.contract.report import Report

PATIENCE = 30.0


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe's ends; a test closes what it closes."""
    ends = os.pipe()
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:
            pass


def split(chunks: list[bytes]) -> list[bytes]:
    splitter = LineSplitter()
    return [line for chunk in [*chunks, b""] for line in splitter.feed(chunk)]


@given(
    st.lists(st.binary(max_size=30).map(lambda line: line.replace(b"\n", b" ")), max_size=8),
    st.lists(st.integers(1, 40), max_size=12),
)
def test_lines_are_whole_however_they_arrive(lines: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(line + b"\n" for line in lines)
    chunks, start = [], 0
    for cut in cuts:
        chunks.append(stream[start : start + cut])
        start += cut
    chunks = [chunk for chunk in [*chunks, stream[start:]] if chunk]
    assert split(chunks) == lines


def test_the_last_line_needs_no_newline() -> None:
    assert split([b"a\nb"]) == [b"a", b"b"]
    assert split([b"a\n"]) == [b"a"]
    assert split([]) == []


def test_a_line_without_end_is_given_in_pieces() -> None:
    splitter = LineSplitter()
    chunk = b"x" * 65536
    pieces = [piece for _ in range(40) for piece in splitter.feed(chunk)]
    assert len(pieces) == 2
    assert all(MAX_LINE_BYTES < len(piece) <= MAX_LINE_BYTES + len(chunk) for piece in pieces)
    assert splitter.feed(b"\nnext\n")[-1] == b"next"


def test_read_lines_ends_with_the_pipe_or_without_one(pipe: tuple[int, int]) -> None:
    os.write(pipe[1], b"one\ntwo")
    os.close(pipe[1])
    assert list(read_lines(pipe[0])) == [b"one", b"two"]
    os.close(pipe[0])
    assert list(read_lines(pipe[0])) == []


def test_a_message_larger_than_the_pipe_arrives(pipe: tuple[int, int]) -> None:
    message = Warning("asr", "long", "ä" * 100_000)
    sending = threading.Thread(target=Sender(pipe[1], "r1").send, args=(message,))
    sending.start()
    line = next(read_lines(pipe[0]))
    sending.join(PATIENCE)
    assert decode(line) == message


def test_messages_of_several_threads_do_not_mix(pipe: tuple[int, int]) -> None:
    sender = Sender(pipe[1], "r1")
    message = Warning("asr", "long", "x" * 5000)

    def send() -> None:
        for _ in range(20):
            sender.send(message)

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    lines = read_lines(pipe[0])
    assert all(decode(next(lines)) == message for _ in range(80))
    for thread in threads:
        thread.join(PATIENCE)


def test_a_reader_that_is_gone_is_no_error(pipe: tuple[int, int]) -> None:
    os.close(pipe[0])
    Sender(pipe[1], "r1").send(Drain())
    os.close(pipe[1])
    Sender(pipe[1], "r1").send(Drain())


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="nothing here fails when written to")
def test_what_is_not_sent_though_somebody_reads_is_an_error() -> None:
    """Once it was lost in silence, and a job waited for ever for the answer."""
    descriptor = os.open("/dev/full", os.O_WRONLY)
    with pytest.raises(OSError, match="No space left"):
        Sender(descriptor, "r1").send(Drain())
    Report(Sender(descriptor, "r1"), "asr").beat()  # but for a beat nobody waits
    os.close(descriptor)


def read_all(descriptor: int) -> list[object]:
    """What a reader hands on, in order; ``None`` for the end."""
    heard: queue.SimpleQueue[object] = queue.SimpleQueue()
    thread = start_reader(descriptor, heard.put, lambda: heard.put(None), heard.put)
    items: list[object] = []
    while not items or items[-1] is not None:
        items.append(heard.get(timeout=PATIENCE))
    thread.join(PATIENCE)
    return items


def test_the_reader_parts_messages_from_text(pipe: tuple[int, int]) -> None:
    os.write(pipe[1], b"a stray line\n" + encode(Heartbeat("asr"), "r1"))
    os.close(pipe[1])
    assert read_all(pipe[0]) == [b"a stray line", Heartbeat("asr"), None]


def test_a_peer_of_another_version_is_not_listened_to(pipe: tuple[int, int]) -> None:
    foreign = b'{"v":9,"type":"drain","run":"r1"}'
    os.write(pipe[1], foreign + b"\n" + encode(Drain(), "r1"))
    assert read_all(pipe[0]) == [foreign, None]


CHILD = """
import os, subprocess, sys
from orchestrator.contract.channel import Sender, read_lines, reserve_stdio
from orchestrator.contract.messages import Heartbeat, Warning
incoming, outgoing = reserve_stdio()
print("a stray print", flush=True)
os.write(1, b"a stray write\\n")
subprocess.run([sys.executable, "-c", "print('a stray child')"], check=True)
assert sys.stdin.read() == ""
assert not os.get_inheritable(incoming) and not os.get_inheritable(outgoing)
sender = Sender(outgoing, "r1")
for line in read_lines(incoming):
    sender.send(Warning("", "heard", line.decode()))
"""


def test_stray_prints_and_reads_do_not_reach_the_channel() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CHILD],
        input=encode(Drain(), "r1"),
        capture_output=True,
        check=True,
        timeout=PATIENCE,
    )
    heard = Warning("", "heard", encode(Drain(), "r1").decode().rstrip())
    assert [decode(line) for line in done.stdout.splitlines()] == [heard]
    assert done.stderr.split(b"\n")[:3] == [b"a stray print", b"a stray write", b"a stray child"]
