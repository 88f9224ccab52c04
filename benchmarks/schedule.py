"""The scheduler against simulated machines: makespan over the lower bound, loads, first file.

The function that decides is the coordinator's own. ``--real`` lets it drive real processes that
sleep for the scaled times; ``--random N`` runs N machines and libraries that nobody chose, and
checks after every decision that nothing is over its budget, that nothing is stuck, and that nobody
waits without end.

Run: python benchmarks/schedule.py [--real] [--random 10000] [--picture FILE.svg]
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from batch.schedule import recommend_workers, schedule
from batch.schedule.model import Decision, Snapshot
from benchmarks._process import show
from benchmarks._simulated_bound import lower_bound
from benchmarks._simulated_world import LIBRARIES, MACHINES, Machine, library, random_world
from benchmarks._simulator import Broken, Outcome, Simulation
from benchmarks._sleepers import RealRun
from benchmarks._timeline_picture import picture

NOISE = 0.25
FIRST_FILE = 0.05
"""The first film is to be done within this part of the makespan."""
REAL = {"films": (80, 1 / 200), "mixed": (120, 1 / 100), "clips": (200, 1 / 4)}
"""Files, and the scale of time: a run takes minutes, an attempt mostly 50 ms or more."""


def main(arguments: Sequence[str]) -> int:
    options = _parse(arguments)
    if options.random:
        return _random(options.random)
    if options.picture:
        _picture(options.picture)
        return 0
    machines = [machine for machine in MACHINES if options.machine in (None, machine.name)]
    kept = True
    for noise in (0.0,) if options.real else (0.0, NOISE):
        rows = []
        for machine in machines:
            for kind in LIBRARIES:
                row, good = _one(machine, kind, noise, real=options.real)
                rows.append(row)
                kept = kept and good
        how = "real processes" if options.real else f"times differ by {noise:.0%} at random"
        show(f"Makespan over the lower bound; {how}", _HEADER, rows)
    print("all within the bounds" if kept else "NOT within the bounds")
    return 0 if kept else 1


_HEADER = (
    "machine",
    "library",
    "workers",
    "hours",
    "ratio",
    "at most",
    "first file",
    "loads",
    "open",
    "longest wait s",
    "us a decision",
)


def _one(machine: Machine, kind: str, noise: float, *, real: bool) -> tuple[list[str], bool]:
    """A row of the table, and whether it is within the bounds."""
    files, scale = REAL[kind] if real else (200, 1.0)
    queue = library(kind, machine, files)
    workers = recommend_workers(machine.budget, queue[0].steps).workers
    spent: list[float] = []

    def timed(snapshot: Snapshot) -> tuple[Decision, ...]:
        begin = time.perf_counter()
        decisions = schedule(snapshot)
        spent.append(time.perf_counter() - begin)
        return decisions

    arguments = (queue, machine.budget, workers)
    if real:
        simulation: Simulation = RealRun(*arguments, scale=scale, decide=timed)
    else:
        simulation = Simulation(*arguments, noise=noise, seed=1, decide=timed)
    outcome = simulation.run()
    ratio = outcome.makespan / lower_bound(simulation.really(), machine.budget, workers)
    first = outcome.first_file / outcome.makespan
    # Of 80 films the first is more than 1 % by itself: this bound is for the whole library.
    good = ratio <= machine.bound and (real or kind != "films" or first <= FIRST_FILE)
    return _row(machine, kind, workers, outcome, ratio, first, spent), good


def _row(
    machine: Machine,
    kind: str,
    workers: int,
    outcome: Outcome,
    ratio: float,
    first: float,
    spent: Sequence[float],
) -> list[str]:
    return [
        machine.name,
        kind,
        str(workers),
        f"{outcome.makespan / 3600:.2f}",
        f"{ratio:.4f}",
        f"{machine.bound:.2f}",
        f"{first:.1%}",
        str(outcome.loads),
        str(outcome.most_open),
        f"{outcome.longest_wait:.0f}",
        f"{statistics.median(spent) * 1e6:.0f}",
    ]


def _random(runs: int) -> int:
    """Run so many worlds; the first that breaks a rule is shown, and ends it."""
    decisions = parked = evictions = 0
    for seed in range(runs):
        world = random_world(random.Random(seed))
        simulation = world.simulation(seed)
        try:
            outcome = simulation.run()
        except Broken as problem:
            print(f"seed {seed}: {problem}")
            return 1
        decisions += outcome.decisions
        parked += outcome.parked
        evictions += outcome.evictions
    print(
        f"{runs} random runs, {decisions} decisions, {evictions} evictions, {parked} parked: "
        "never over budget, nobody stuck"
    )
    return 0


def _picture(path: Path) -> None:
    """The first forty minutes of the mixed library on the 8 GB card."""
    machine = next(machine for machine in MACHINES if machine.name == "8 GB")
    queue = library("mixed", machine)
    workers = recommend_workers(machine.budget, queue[0].steps).workers
    simulation = Simulation(queue, machine.budget, workers, keep_bars=True)
    outcome = simulation.run()
    title = "A mixed library on a GPU with 8 GB, where the models do not all fit: the beginning"
    path.write_text(picture(title, outcome.bars, 2400.0), encoding="utf-8")


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    names = [machine.name for machine in MACHINES]
    parser.add_argument("--machine", choices=names, help="only this one")
    parser.add_argument("--real", action="store_true", help="drive real processes that sleep")
    parser.add_argument("--random", type=int, metavar="N", help="N random machines and libraries")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="write a timeline as SVG")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
