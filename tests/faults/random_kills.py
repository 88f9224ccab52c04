"""kill -9 at random moments: of the coordinator alone, or of everything at once."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
from dataclasses import dataclass, field

from tests.faults.night import Kept, Night


@dataclass
class Kills:
    """``kills`` that hit a living run, over ``nights`` that were brought to their end."""

    kills: int = 0
    nights: int = 0
    survivors: int = 0
    wrong: list[str] = field(default_factory=list)


def kill_at_random(night: Night, start: Kept, kills: int, longest: float, seed: int) -> Kills:
    """Kill the same night again and again until it is done, then begin anew, ``kills`` times.

    ``longest``: seconds after which a run is killed at the latest; it should be about what an
    undisturbed one takes.
    """
    dice, tally = random.Random(seed), Kills()
    night.restore(start)
    done: set[str] = set()
    while tally.kills < kills:
        ended, out = _run_and_kill(night, dice.uniform(0.0, longest), whole=dice.random() < 0.5)
        again = night.done(out) & done
        if again:
            tally.wrong.append(f"kill {tally.kills}: done twice: {sorted(again)}")
        done |= night.done(out)
        wrong = night.wrong_after_the_fault(out)
        tally.survivors += sum("survivor" in one for one in wrong)
        tally.wrong += [f"kill {tally.kills}: {one}" for one in wrong]
        if not ended:
            tally.kills += 1
            continue
        tally.nights += 1
        if night.library() != night.expected:
            tally.wrong.append(f"night {tally.nights}: the library is not what it should be")
        night.restore(start)
        done.clear()
    return tally


def _run_and_kill(night: Night, seconds: float, *, whole: bool) -> tuple[bool, str]:
    """Whether it ended by itself, and what it had printed."""
    with (night.folder / "out").open("w+b") as out:
        process = subprocess.Popen(
            night.argv(),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.DEVNULL,
            env=night.batch.environ,
            cwd=night.folder,
        )
        try:
            process.wait(seconds)
            ended = True
        except subprocess.TimeoutExpired:
            ended = False
            victims = [process.pid]
            if whole:
                victims += [one.pid for one in night.batch.processes()]
            for victim in victims:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(victim, signal.SIGKILL)
            process.wait()
        if ended and process.returncode != 0:
            raise RuntimeError(f"a night ended by itself with {process.returncode}")
        out.seek(0)
        return ended, out.read().decode("utf-8", "replace")
