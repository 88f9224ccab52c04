"""Kill a coordinator whose stage has a child in a session of its own, stopped, or deaf to TERM."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from dataclasses import dataclass, field

import psutil

from tests.end_to_end.conftest import wait_until
from tests.faults.night import SURVIVAL_SECONDS, Kept, Night


@dataclass
class Orphans:
    """``kills`` and what was alive ``SURVIVAL_SECONDS`` after; ``slowest`` end in seconds."""

    kills: int = 0
    survivors: int = 0
    slowest: float = 0.0
    wrong: list[str] = field(default_factory=list)


def kill_with_grandchildren(night: Night, start: Kept, kills: int, seed: int) -> Orphans:
    """Each time the coordinator is killed; half the time all its children are stopped before.

    The guardian is spared: it is what a hand that stops children does not reach, in a session of
    its own. In a third of the cases another process is killed a moment later.
    """
    dice, tally = random.Random(seed), Orphans()
    night.batch.fault("leaves_grandchild")
    for number in range(kills):
        night.restore(start)
        night.batch.gate.unlink(missing_ok=True)
        running = night.batch.start("--json", "--resume")
        wait_until(lambda: night.batch.gate.exists() and night.batch.gate.read_text(), "a child")
        everybody = [one for one in night.batch.processes() if "guard" not in one.cmdline()]
        if dice.random() < 0.5:
            for process in everybody:
                if process.pid != running.process.pid:
                    _send(process, signal.SIGSTOP)
        running.process.kill()
        running.process.wait()
        if dice.random() < 0.3:
            _send(dice.choice(everybody), signal.SIGKILL)
        began = time.monotonic()
        while (alive := night.batch.processes()) and time.monotonic() - began < SURVIVAL_SECONDS:
            time.sleep(0.005)
        tally.kills += 1
        tally.slowest = max(tally.slowest, time.monotonic() - began)
        tally.survivors += len(alive)
        tally.wrong += [f"kill {number}: {one.pid} {one.cmdline()[:4]}" for one in alive]
        for process in alive:
            _send(process, signal.SIGKILL)
    return tally


def _send(process: psutil.Process, number: int) -> None:
    with contextlib.suppress(psutil.Error, ProcessLookupError):
        os.kill(process.pid, number)
