"""Pieces are worked on by several threads, and taken up in order."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from orchestrator.stagekit.ahead import in_order


def test_what_is_ready_first_waits_for_its_turn() -> None:
    second_is_done = threading.Event()

    def work(number: int) -> Iterator[str]:
        if number == 0:
            second_is_done.wait()
        yield f"{number}a"
        yield f"{number}b"
        if number == 1:
            second_is_done.set()

    assert list(in_order(work, 3, 2)) == ["0a", "0b", "1a", "1b", "2a", "2b"]


def test_an_error_stops_the_others_and_is_raised_in_its_place() -> None:
    second_works = threading.Event()
    made: list[int] = []

    def work(number: int) -> Iterator[int]:
        if number == 0:
            second_works.wait()
            yield 0
            raise ValueError("out of memory")
        while True:
            made.append(number)
            yield number
            second_works.set()

    found = in_order(work, 2, 2)
    with pytest.raises(ValueError, match="out of memory"):
        list(found)
    assert set(made) == {1}


@pytest.mark.parametrize("threads", [1, 2])
def test_nobody_works_on_when_nobody_wants_more(threads: int) -> None:
    begun: set[int] = set()

    def work(number: int) -> Iterator[int]:
        begun.add(number)
        yield number
        while number:  # without an end
            yield number

    found = in_order(work, 100, threads)
    assert next(found) == 0
    found.close()  # type: ignore[attr-defined]
    assert len(begun) <= 1 + threads


@pytest.mark.parametrize("threads", [1, 2])
def test_no_piece_is_no_work(threads: int) -> None:
    assert list(in_order(lambda number: [number], 0, threads)) == []


def test_one_thread_hands_on_what_it_has() -> None:
    made: list[int] = []

    def work(number: int) -> Iterator[int]:
        for part in range(2):
            made.append(part)
            yield part

    assert next(in_order(work, 1, 1)) == 0
    assert made == [0]
