"""The memory of the batch is damaged, lost or old: the next night goes on as if it were not.

What is harmed is ``batch.db`` and what SQLite keeps beside it, after a night that ended well and
after one that was killed in the middle, when the last commits are in the write-ahead log alone.
"""

from __future__ import annotations

import random
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.night import Kept, Night

Harm = Callable[[Path, random.Random], object]


@dataclass
class Tally:
    """What was tried, and what was wrong after it."""

    harmed: int = 0
    wrong: list[str] = field(default_factory=list)


def cut_off(database: Path, chance: random.Random) -> None:
    """Truncated anywhere."""
    with database.open("r+b") as file:
        file.truncate(chance.randrange(database.stat().st_size + 1))


def write_over(database: Path, chance: random.Random) -> None:
    """A piece of it is something else."""
    size = database.stat().st_size
    with database.open("r+b") as file:
        file.seek(chance.randrange(size))
        file.write(chance.randbytes(chance.choice([16, 512, 4096, 65536])))
        file.truncate(size)


def fill(database: Path, chance: random.Random) -> None:
    """All of it is something else."""
    database.write_bytes(chance.randbytes(database.stat().st_size))


def remove(database: Path, chance: random.Random) -> None:
    """It is gone; what lay beside it may be there still."""
    database.unlink()
    if chance.random() < 0.5:
        remove_beside(database, chance)


def remove_beside(database: Path, chance: random.Random) -> None:
    """What was committed last is gone with the write-ahead log."""
    for end in ("-wal", "-shm"):
        database.with_name(database.name + end).unlink(missing_ok=True)


def bring_back(database: Path, chance: random.Random) -> None:
    """An old copy is put in its place."""
    remove_beside(database, chance)
    shutil.copy(_old(database), database)


def _old(database: Path) -> Path:
    return database.with_name(f"{database.name}.old")


HARMS: tuple[Harm, ...] = (cut_off, write_over, fill, remove, remove_beside, bring_back)


def harm_everywhere(night: Night, count: int, seed: int) -> Tally:
    """Harm the state ``count`` times, in every way in turn, and run the next night each time."""
    night.batch.json("--dry-run")
    night.batch.json("--limit", "1")
    database = night.batch.work.database
    shutil.copy(database, _old(database))
    begun = night.keep()
    night.undisturbed()
    finished = night.keep()
    tally, chance = Tally(), random.Random(seed)
    for number in range(count):
        harm = HARMS[number % len(HARMS)]
        killed = number // len(HARMS) % 2 == 1
        out = _killed(night, begun, chance) if killed else _at_its_end(night, finished)
        harm(database, chance)
        todo = set(night.files[1:]) - night.done(out) if killed else set()
        where = f"{harm.__name__}, {'killed' if killed else 'ended'}, number {number}"
        wrong = night.wrong_after_the_next_night(out, todo)
        tally.wrong += [f"{where}: {one}" for one in wrong]
        tally.harmed += 1
    return tally


def _at_its_end(night: Night, finished: Kept) -> str:
    night.restore(finished)
    return ""


def _killed(night: Night, begun: Kept, chance: random.Random) -> str:
    """A night that is killed, with all its processes, after some of its files; what it said."""
    night.restore(begun)
    running = night.batch.start("--json", "--resume")
    running.wait_for("file_finished", chance.randrange(1, len(night.files)))
    running.signal(signal.SIGKILL)
    outcome = running.end()
    night.survivors()
    return outcome.out
