from __future__ import annotations

import random

import pytest

from batch.folder_view import FolderView
from batch.listing import DirectoryListing, MediaFile
from batch.ownership import DiskLibrary
from batch.queue import FRONT, Queue
from batch.scan import Candidate
from batch.schedule.order import Policy

VIEW = FolderView(DirectoryListing("/m", [], set(), []), {}, DiskLibrary())


def candidate(name: str) -> Candidate:
    return Candidate(MediaFile(name, "/m", 1, 1), VIEW)


def drain(queue: Queue) -> list[str]:
    names = []
    while queue.front:
        names.append(queue.take(queue.front[0].path).candidate.item.name)
    return names


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("fifo", ["long", "unknown", "short", "loved"]),
        ("shortest-first", ["unknown", "short", "loved", "long"]),
        ("longest-first", ["long", "loved", "short", "unknown"]),
        ("priority", ["loved", "long", "unknown", "short"]),
    ],
)
def test_files_come_in_the_order_that_was_asked_for(policy: Policy, expected: list[str]) -> None:
    queue = Queue(policy)
    queue.add(candidate("long"), 7200.0)
    queue.add(candidate("unknown"), None)
    queue.add(candidate("short"), 60.0)
    queue.add(candidate("loved"), 600.0, priority=1.0)
    assert drain(queue) == expected


def test_a_large_library_shows_only_its_front_and_keeps_its_order() -> None:
    queue = Queue("shortest-first")
    lengths = [float(number) for number in range(500)]
    random.Random(1).shuffle(lengths)
    for length in lengths:
        queue.add(candidate(f"{length:03.0f}"), length)
        assert len(queue.front) <= FRONT
    assert len(queue) == 500
    assert drain(queue) == [f"{number:03}" for number in range(500)]
    assert len(queue) == 0


def test_a_file_from_the_middle_of_the_front_can_be_taken_and_put_back() -> None:
    queue = Queue()
    for number in range(FRONT + 5):
        queue.add(candidate(str(number)), 60.0)
    taken = queue.take("/m/3")
    assert len(queue.front) == FRONT
    with pytest.raises(KeyError):
        queue.take("/m/3")
    queue.put_back(taken)
    assert drain(queue) == [str(number) for number in range(FRONT + 5)]
