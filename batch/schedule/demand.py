"""What the open files ask for now and will ask for soon, ranked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain

from batch.schedule.model import OpenFile, QueuedFile, Snapshot, Step


@dataclass(frozen=True, slots=True)
class Wish:
    """A request that waits. ``urgent``: it has waited longer than anyone should."""

    file: OpenFile
    step: Step
    request: str
    urgent: bool

    @property
    def rank(self) -> tuple[object, ...]:
        """The longest waiting of the urgent first; of the others the one with the least left."""
        if self.urgent:
            return (0, self.file.since, self.file.order)
        return (1, len(self.file.steps), self.file.order)


class Demand:
    """``wishes`` in the order in which they are served.

    ``waiting_s`` is the work that waits for each key, in seconds, ``soon_s`` the work that files
    will ask for without passing another model first. A worker for either is worth keeping. Files
    that are held back want neither: their models would be loaded, ended for the files that go on,
    and loaded again.
    ``steps`` is what :func:`first_of_each_key` gives for the open files.
    """

    def __init__(self, snapshot: Snapshot, steps: Mapping[str, Step], patience_s: float) -> None:
        self._snapshot = snapshot
        self.steps = steps
        self.waiting_s: dict[str, float] = {}
        self.soon_s: dict[str, float] = {}
        wishes: list[Wish] = []
        running = {lease.file for lease in snapshot.leases}
        for file in snapshot.files:
            if not file.steps:
                continue
            if file.request is None or file.file in running:
                self._moving(file.steps, file.file in running)
                continue
            step = file.steps[0]
            urgent = snapshot.now - file.since > patience_s
            wishes.append(Wish(file, step, file.request, urgent))
            if snapshot.holding and not file.begun:
                continue
            if step.key is not None:
                self.waiting_s[step.key] = self.waiting_s.get(step.key, 0.0) + step.run_s
            if not step.gpu:
                self._moving(file.steps, True)
        wishes.sort(key=lambda wish: wish.rank)
        self.wishes = wishes

    def _moving(self, steps: tuple[Step, ...], under_way: bool) -> None:
        """Note what a file will ask for up to its next model; its first step may be under way."""
        for step in steps[1:] if under_way else steps:
            if step.key is not None:
                self.soon_s[step.key] = self.soon_s.get(step.key, 0.0) + step.run_s
            if step.gpu or step.elastic:
                return

    def busies(self, key: str, workers: int, each_s: float) -> bool:
        """Whether there is a file in sight, open or in the queue, for each of so many workers of
        ``key``, and more than ``each_s`` of work for each."""
        seconds, found = 0.0, 0
        files, queue = self._snapshot.files, self._snapshot.queue
        for steps in chain((file.steps for file in files), (file.steps for file in queue)):
            times = [step.run_s for step in steps if step.key == key]
            seconds, found = seconds + sum(times), found + bool(times)
            if found >= workers and seconds > workers * each_s:
                return True
        return False

    def wanted(self, key: str) -> bool:
        return key in self.waiting_s or key in self.soon_s


def first_of_each_key(files: Iterable[OpenFile | QueuedFile]) -> dict[str, Step]:
    """One step for each key that files still need: what is needed soonest first."""
    nearest: dict[str, tuple[int, int, Step]] = {}
    for file in files:
        left = len(file.steps)
        for distance, step in enumerate(file.steps):
            if step.key is not None:
                known = nearest.get(step.key)
                if known is None or (distance, left) < known[:2]:
                    nearest[step.key] = (distance, left, step)
    ahead = sorted(nearest.items(), key=lambda entry: entry[1][:2])
    return {key: step for key, (_, _, step) in ahead}
