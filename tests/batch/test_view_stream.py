"""Lines to a stream that may go away, or that nobody reads: the run goes on, in good order."""

from __future__ import annotations

import errno
import io
import os
import sys
import threading

import pytest
from rich.console import Console

from batch import background, events
from batch.view import stream
from batch.view.plain import PlainView
from batch.view.stream import LineStream


class Reader(io.RawIOBase):
    """The other end: takes lines when told to, or answers with an error."""

    def __init__(self, error: OSError | None = None, *, reads: bool = True) -> None:
        self.taken = b""
        self.writes = 0
        self.answers: list[int | None] = []
        self.asked = threading.Event()
        self.reads = threading.Event()
        self._error = error
        if reads:
            self.reads.set()

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int | None:
        self.writes += 1
        self.asked.set()
        self.reads.wait(30)
        if self._error is not None:
            raise self._error
        most = self.answers.pop(0) if self.answers else sys.maxsize
        if most is None:
            return None
        taken = bytes(data)[:most]  # type: ignore[call-overload]
        self.taken += taken
        return len(taken)


def to(reader: Reader, encoding: str = "utf-8") -> LineStream:
    return LineStream(io.TextIOWrapper(io.BufferedWriter(reader), encoding=encoding))


def test_lines_stay_in_order_and_the_report_comes_after_them() -> None:
    reader = Reader()
    with to(reader) as lines:
        for number in range(1000):
            lines.line(str(number))
        console = Console(file=io.StringIO())
        with lines.followed_by(console):
            console.print("report")
    expected = [*map(str, range(1000)), "report"]
    assert reader.taken.decode().splitlines() == expected


def test_without_lines_the_report_is_printed_as_ever() -> None:
    file = io.StringIO()
    console = Console(file=file)
    with LineStream(file) as lines, lines.followed_by(console):
        console.print("report")
    assert file.getvalue() == "report\n"


def test_a_stream_of_ascii_gets_ascii() -> None:
    reader = Reader()
    with to(reader, "ascii") as lines:
        PlainView(lines).handle(events.FileStarted("/m/\xe9\udcff", "j"))
        lines.line("\xe9")
    assert b"/m/\\xe9\\xff: started" in reader.taken
    assert reader.taken.endswith(b"\\xe9" + os.linesep.encode())


def test_a_stream_that_takes_little_and_does_not_wait_gets_all() -> None:
    reader = Reader()
    reader.answers = [3, None, 2]
    with to(reader) as lines:
        lines.line("whole")
    assert reader.taken.decode() == "whole" + os.linesep


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (BrokenPipeError(), 0),
        (OSError(errno.EINVAL, "so Windows calls it"), 0),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), 1),
    ],
)
def test_a_stream_that_fails_is_left_alone_and_a_full_disk_is_told_once(
    capsys: pytest.CaptureFixture[str], error: OSError, told: int
) -> None:
    reader = Reader(error, reads=False)
    with to(reader) as lines:
        lines.line("one")
        assert reader.asked.wait(30)
        lines.line("two")
        reader.reads.set()
    assert reader.writes == 1
    err = capsys.readouterr().err
    assert err.count("\n") == told
    assert err.count("nothing more can be printed: No space left") == told


def test_what_nobody_reads_is_kept_but_for_what_only_passes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stream, "PASSING_BYTES", 10)
    reader = Reader(reads=False)
    with to(reader) as lines:
        lines.line("012345678", passing=True)
        lines.line("progress", passing=True)
        lines.line("result")
        reader.reads.set()
    assert reader.taken.decode().split() == ["012345678", "result"]


def test_memory_is_bounded_and_there_is_no_gap(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(stream, "MOST_BYTES", 10)
    reader = Reader(reads=False)
    with to(reader) as lines:
        for one in ("012345678", "left behind"):
            lines.line(one)
        lines.line("after it")
        reader.reads.set()
    assert reader.taken.decode().split() == ["012345678"]
    assert "nobody read it" in capsys.readouterr().err


def test_at_the_end_a_reader_that_takes_nothing_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(background, "PATIENCE_SECONDS", 0.0)
    complained = threading.Event()
    monkeypatch.setattr(stream, "_complain", lambda words: complained.set())
    reader = Reader(reads=False)
    with to(reader) as lines:
        lines.line("never")
    reader.reads.set()
    assert complained.wait(30)
