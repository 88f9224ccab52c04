"""The files that wait for their turn, in the order the user wants; cheap with 100,000 of them."""

from __future__ import annotations

import bisect
import heapq
from dataclasses import dataclass, field

from batch.scan import Candidate
from batch.schedule.model import QueuedFile
from batch.schedule.order import Policy, order_key

FRONT = 32
"""So many files the scheduler gets to see: more than it can ever want to open at once."""


@dataclass(slots=True)
class Waiting:
    """A file in the queue. ``view`` is for whoever shows it to the scheduler; it is asked for many
    times while the file waits."""

    candidate: Candidate
    order: tuple[float, ...]
    audio_seconds: float | None
    path: str = field(init=False)
    view: QueuedFile | None = None

    def __post_init__(self) -> None:
        self.path = self.candidate.item.path

    def __lt__(self, other: Waiting) -> bool:
        return self.order < other.order


class Queue:
    """Adds, looks at the front, takes: each in logarithmic time."""

    def __init__(self, policy: Policy = "fifo") -> None:
        self._policy = policy
        self._front: list[Waiting] = []
        self._rest: list[Waiting] = []
        self._count = 0
        self.complete = False
        """Whether discovery has ended: nothing new will be added."""

    def __len__(self) -> int:
        return len(self._front) + len(self._rest)

    @property
    def front(self) -> list[Waiting]:
        """The next files, at most :data:`FRONT`; not to be changed."""
        return self._front

    def add(self, candidate: Candidate, audio_seconds: float | None, priority: float = 0.0) -> bool:
        """A file that was found just now; whether it is among the next ones."""
        order = order_key(self._policy, self._count, audio_seconds, priority)
        self._count += 1
        return self._insert(Waiting(candidate, order, audio_seconds))

    def put_back(self, waiting: Waiting) -> None:
        """A file that was taken and is to wait again, in its old place."""
        waiting.view = None
        self._insert(waiting)

    def take(self, path: str) -> Waiting:
        """Raises: KeyError (it is not in the front of the queue)."""
        for place, waiting in enumerate(self._front):
            if waiting.path == path:
                del self._front[place]
                if self._rest:
                    self._front.append(heapq.heappop(self._rest))
                return waiting
        raise KeyError(path)

    def _insert(self, waiting: Waiting) -> bool:
        if len(self._front) == FRONT and self._front[-1] < waiting:
            heapq.heappush(self._rest, waiting)
            return False
        bisect.insort(self._front, waiting)
        if len(self._front) > FRONT:
            heapq.heappush(self._rest, self._front.pop())
        return True
