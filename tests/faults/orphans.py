"""Kill a run whose stage has children that no ordinary death reaches, and see who is left.

The stage has three: one in its own process group, one in a session of its own, and a child of that
one in yet another session. All are deaf to SIGTERM, SIGHUP and SIGINT, and their standard streams
are no pipe of ours that could break.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import psutil

from tests.end_to_end.conftest import wait_until
from tests.faults.night import SURVIVAL_SECONDS, Kept, Night, words_of

PLACES = {"in a worker": 600, "in its job": 0}
"""Where the stage runs, and the ``unload_after`` that makes it so."""

VICTIMS = (
    ("coordinator",),
    ("job",),
    ("coordinator", "job"),
    ("coordinator", "guardian"),
    ("coordinator", "guardian", "job"),
)

STOPPED = ("nobody", "the family", "everybody")
"""Who is stopped (SIGSTOP) before. The coordinator and the guardian are not among everybody."""


@dataclass(frozen=True)
class Case:
    place: str
    killed: tuple[str, ...]
    stopped: str

    def __str__(self) -> str:
        return f"{' and '.join(self.killed)} killed, {self.stopped} stopped, stage {self.place}"


def cases() -> list[Case]:
    """Every combination but one: where all are stopped and the guardian is killed, nobody is left
    who could do anything. Those end when they are continued, as their pipe has ended."""
    combined = itertools.starmap(Case, itertools.product(PLACES, VICTIMS, STOPPED))
    return [one for one in combined if one.stopped != "everybody" or "guardian" not in one.killed]


@dataclass
class Orphans:
    """``kills`` and what was alive ``SURVIVAL_SECONDS`` after; ``slowest`` end in seconds."""

    kills: int = 0
    slowest: float = 0.0
    wrong: list[str] = field(default_factory=list)


def kill_with_family(night: Night, start: Kept, kills: int, seed: int) -> Orphans:
    """Go through all :func:`cases` in random order, again and again, ``kills`` times in all."""
    dice, tally = random.Random(seed), Orphans()
    night.batch.fault("leaves_a_family")
    todo: list[Case] = []
    for _ in range(kills):
        todo = todo or dice.sample(cases(), len(cases()))
        case = todo.pop()
        night.restore(start)
        seconds, survivors = _hurt(night, case, dice)
        tally.kills += 1
        tally.slowest = max(tally.slowest, seconds)
        tally.wrong += [f"{case}: {one}" for one in survivors]
    return tally


def _hurt(night: Night, case: Case, dice: random.Random) -> tuple[float, list[str]]:
    """Seconds until nothing was left that should not be, and what was left after too many."""
    gate = night.batch.gate
    gate.unlink(missing_ok=True)
    night.batch.configure(unload_after=PLACES[case.place])
    running = night.batch.start("--json", "--resume")
    wait_until(lambda: gate.exists() or running.process.poll() is not None, "the stage's family")
    if not gate.exists():
        outcome = running.end()
        raise RuntimeError(f"{case}: it ended with {outcome.code}: {outcome.out} {outcome.err}")
    family = [psutil.Process(int(pid)) for pid in gate.read_text().split()]
    everybody = night.batch.processes()
    guardian = next(one for one in everybody if "guard" in words_of(one))
    job = next(one for one in everybody if words_of(one)[-2:-1] == ["run"])
    coordinator = psutil.Process(running.process.pid)
    if case.stopped != "nobody":
        rest = [one for one in everybody if one not in (coordinator, guardian)]
        _send(family if case.stopped == "the family" else rest, signal.SIGSTOP)
    roles = {"coordinator": coordinator, "guardian": guardian, "job": job}
    _send([roles[name] for name in dice.sample(case.killed, len(case.killed))], signal.SIGKILL)
    doomed = everybody if "coordinator" in case.killed else [job, *family]
    began = time.monotonic()
    while (alive := alive_of(doomed)) and time.monotonic() - began < SURVIVAL_SECONDS:
        running.process.poll()
        time.sleep(0.005)
    seconds = time.monotonic() - began
    survivors = [f"{one.pid} {' '.join(words_of(one))[:120]!r}" for one in alive]
    _send(night.batch.processes(), signal.SIGKILL)
    running.process.wait()
    wait_until(lambda: not night.batch.processes(), "the end of what was killed")
    return seconds, survivors


def alive_of(processes: Sequence[psutil.Process]) -> list[psutil.Process]:
    """Those that run or are stopped; one that is dead and not yet waited for does not count."""
    found = []
    for process in processes:
        with contextlib.suppress(psutil.Error):
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def _send(processes: Sequence[psutil.Process], number: int) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            os.kill(process.pid, number)
