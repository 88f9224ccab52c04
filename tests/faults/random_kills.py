"""kill -9 at random moments: of the coordinator, of everything at once, of a child and then it."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass, field

import psutil

from tests.faults.forked import Ended
from tests.faults.night import Kept, Night
from tests.faults.scenes import ForkedNight

_LOOK_SECONDS = 0.002
_HIDDEN = ".batch-subtitles-"


@dataclass
class Kills:
    """``kills`` that hit a living run, over ``nights`` that were brought to their end.

    ``working``: kills while files were being worked on, not before or after.
    """

    kills: int = 0
    working: int = 0
    nights: int = 0
    wrong: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Length:
    """What an undisturbed night takes: ``seconds``, and lines of output."""

    seconds: float
    lines: int


@dataclass(frozen=True)
class Blow:
    """When a run is killed, and what: so many seconds after its line of that number.

    ``child_first``: one of its children (a job, a worker, the prober, the guardian) is killed so
    many seconds before.
    """

    line: int
    seconds: float
    everything: bool
    child_first: float | None

    @classmethod
    def thrown(cls, dice: random.Random, night: Length) -> Blow:
        """A third of them anywhere in the night; the others where it is at work."""
        line, seconds = 0, dice.uniform(0.0, night.seconds)
        if dice.random() < 2 / 3:
            line, seconds = dice.randint(1, night.lines), dice.uniform(0.0, 0.1)
        victim = dice.choice(("coordinator", "everything", "child"))
        return cls(
            line,
            seconds,
            everything=victim == "everything",
            child_first=dice.uniform(0.0, 0.3) if victim == "child" else None,
        )


def measured(night: ForkedNight, start: Kept) -> Length:
    """Run it undisturbed from ``start``, and see how long it is."""
    night.restore(start)
    night.undisturbed()
    night.restore(start)
    began = time.monotonic()
    outcome = night.again()
    return Length(time.monotonic() - began, len(outcome.events))


def kill_at_random(night: ForkedNight, start: Kept, length: Length, kills: int, seed: int) -> Kills:
    """Kill the same night again and again until it is done, then begin anew, ``kills`` times."""
    dice, tally = random.Random(seed), Kills()
    night.restore(start)
    done: set[str] = set()
    stamps: dict[str, tuple[int, int]] = {}
    while tally.kills < kills:
        code, out = _run_and_kill(night, Blow.thrown(dice, length), dice)
        wrong = night.wrong_after_the_fault(out)
        if again := night.done(out) & done:
            wrong.append(f"done twice: {sorted(again)}")
        done |= night.done(out)
        wrong += rewritten(stamps, now := _stamps(night))
        stamps |= now
        if code is None:
            tally.kills += 1
            tally.working += '"file_started"' in out and '"run_finished"' not in out
        else:
            tally.nights += 1
            wrong += wrong_at_the_end(night, code)
            night.restore(start)
            done.clear()
            stamps.clear()
        tally.wrong += [f"seed {seed}, kill {tally.kills}: {one}" for one in wrong]
    return tally


def wrong_at_the_end(night: Night, code: int) -> list[str]:
    """What is wrong with a night that ended by itself, with ``code``."""
    wrong = [] if code == 0 else [f"it ended by itself with {code}"]
    library = night.library()
    if library != night.expected:
        names = {name for name, _ in library.items() ^ night.expected.items()}
        wrong.append(f"the library is not what it should be: {sorted(names)}")
    database = f"file:{night.batch.work.database}?mode=ro"
    try:
        with closing(sqlite3.connect(database, uri=True)) as connection:
            (verdict,) = connection.execute("PRAGMA integrity_check").fetchone()
    except sqlite3.DatabaseError as error:
        verdict = str(error)
    if verdict != "ok":
        wrong.append(f"batch.db is damaged: {verdict}")
    return wrong


def rewritten(before: dict[str, tuple[int, int]], now: dict[str, tuple[int, int]]) -> list[str]:
    """What was published and then published again, though the same; or is gone."""
    return [f"published twice: {name}" for name, stamp in before.items() if now.get(name) != stamp]


def _stamps(night: Night) -> dict[str, tuple[int, int]]:
    """Inode and time of each published file."""
    found = {}
    for name in night.library():
        if not os.path.basename(name).startswith(_HIDDEN):
            status = os.stat(night.batch.library / name)
            found[name] = (status.st_ino, status.st_mtime_ns)
    return found


def _run_and_kill(night: ForkedNight, blow: Blow, dice: random.Random) -> tuple[int | None, str]:
    """Its exit status, None when it was killed, and what it had printed."""
    stopped = night.forks.stopped("batch", night.arguments(), night.batch.environ)
    with stopped as fork, ThreadPoolExecutor(1) as pool:
        end = pool.submit(fork.end)
        while not end.done() and fork.out.read_bytes().count(b"\n") < blow.line:
            time.sleep(_LOOK_SECONDS)
        if not _ends_within(end, blow.seconds) and blow.child_first is not None:
            _kill(_children(fork.pid, dice))
            _ends_within(end, blow.child_first)
        if not end.done():
            others = [one.pid for one in night.batch.processes()] if blow.everything else []
            _kill([fork.pid, *others])
        ended = end.result()
    return None if ended.code == -signal.SIGKILL else ended.code, ended.out


def _ends_within(end: Future[Ended], seconds: float) -> bool:
    return bool(wait([end], seconds).done)


def _children(pid: int, dice: random.Random) -> list[int]:
    """One process below this one, if there is any."""
    with contextlib.suppress(psutil.Error):
        found = psutil.Process(pid).children(recursive=True)
        return [dice.choice(found).pid] if found else []
    return []


def _kill(victims: list[int]) -> None:
    for victim in victims:
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
