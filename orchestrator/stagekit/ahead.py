"""Work on several pieces of a file at a time, and take up what comes of them in order."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import takewhile
from typing import TypeVar

T = TypeVar("T")


def in_order(work: Callable[[int], Iterable[T]], pieces: int, threads: int) -> Iterator[T]:
    """What ``work(number)`` makes of each piece, in order, while so many threads work ahead.

    What it raises for a piece is raised in its place. The others then stop at what they would make
    next, as they do when nobody wants any more. One thread is this one.
    """
    if threads == 1:
        for number in range(pieces):
            yield from work(number)
        return
    ended = threading.Event()

    def all_of(number: int) -> list[T]:
        return list(takewhile(lambda _: not ended.is_set(), work(number)))

    with ThreadPoolExecutor(threads) as pool:
        waiting = [pool.submit(all_of, number) for number in range(pieces)]
        try:
            for one in waiting:
                yield from one.result()
        finally:
            ended.set()
            pool.shutdown(wait=False, cancel_futures=True)
