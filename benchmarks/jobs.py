"""Real jobs of a stage that does nothing, against ``xargs -P2`` starting the same job processes.

A job asks its supervisor for leave before each stage, and ends when its stdin does; ``xargs`` would
hand it an empty one. So there each job gets a shell for a supervisor, which holds a pipe open and
answers (about 2 ms of CPU), and a session of its own as ours has, because Linux shares the CPU out
by session. The folders of those jobs are made before the clock starts; ours makes
its own and keeps durable state.

Run: python benchmarks/jobs.py [--jobs 300] [--rounds 3] [--folder DIR]
"""

from __future__ import annotations

import argparse
import os
import shlex
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _bench import RULES, RUN_ID, Bench, make_recipe, make_stage
from _noop import write_stage
from _process import Cost, cost_of, environment, in_fresh_process, measuring, own_cpu_seconds, show

from batch.discover import discover
from orchestrator.contract.job import Publication, Source
from orchestrator.contract.keys import digest
from orchestrator.contract.messages import Grant, encode
from orchestrator.contract.naming import media_stem
from orchestrator.contract.processes import RUN_VARIABLE
from orchestrator.launcher import job_argv
from orchestrator.prepare import JobMaker

_WRAPPER = """#!/bin/sh
exec 3<>"$1/pipe"
setsid {argv} <&3 3<&- | while read -r line; do
  case $line in *'"type":"request"'*) printf '%s\\n' {grant} >&3 ;; esac
done
"""


def measure(root: str) -> dict[str, float]:
    """Run the batch over the library in ``root``; in a process of its own."""
    bench = Bench(Path(root))
    plan = bench.plan(make_stage(bench.root / "stage"))
    cpu, start = own_cpu_seconds(), time.perf_counter()
    done = bench.run(plan).overview().totals.done
    return {"wall": time.perf_counter() - start, "cpu": own_cpu_seconds() - cpu, "done": done}


def ours(jobs: int, folder: Path) -> Cost:
    with tempfile.TemporaryDirectory(dir=folder) as root:
        Bench(Path(root)).make(jobs)
        write_stage(Path(root, "stage"))
        os.sync()
        got = in_fresh_process(__file__, root)
        assert got["done"] == jobs, got
    return Cost(got["wall"], got["cpu"])


def xargs(jobs: int, folder: Path) -> Cost:
    with tempfile.TemporaryDirectory(dir=folder) as root:
        bench = Bench(Path(root))
        bench.make(jobs)
        folders = _prepare(bench, write_stage(Path(root, "stage")))
        wrapper = Path(root, "wrapper.sh")
        grant = encode(Grant("noop", "noop-001", 1), RUN_ID).decode().strip()
        argv = " ".join(map(shlex.quote, job_argv(Path("FOLDER"))))
        wrapper.write_text(
            _WRAPPER.format(grant=shlex.quote(grant), argv=argv.replace("FOLDER", '"$1"'))
        )
        wrapper.chmod(0o755)
        todo = Path(root, "todo")
        todo.write_text("".join(f"{one}\n" for one in folders))
        os.sync()
        env = environment(**{RUN_VARIABLE: RUN_ID})
        with todo.open("rb") as stdin, Path(root, "log").open("wb") as log:
            command = ["xargs", "-P2", "-n1", str(wrapper)]
            cost = cost_of(command, stdin=stdin, stdout=log, stderr=log, env=env)
        assert sum(1 for _ in bench.library.rglob("*.srt")) == jobs
    return cost


def _prepare(bench: Bench, stage: Path) -> list[Path]:
    maker = JobMaker(bench.work, "benchmark")
    recipe = make_recipe(make_stage(stage))
    folders = []
    for listing in discover(str(bench.library), RULES):
        for item in listing.media:
            source = Source(item.path, item.size, item.mtime_ns, digest(item.path))
            publication = Publication(item.folder, media_stem(item.name), recipe.extensions)
            folder, _ = maker.make(recipe, source, publication)
            os.mkfifo(folder.root / "pipe")
            folders.append(folder.root)
    return folders


def main() -> None:
    if measuring(sys.argv[1:], measure):
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    options = parser.parse_args()
    taken: dict[str, list[Cost]] = {"xargs -P2": [], "batch-subtitles": []}
    for _ in range(options.rounds):
        taken["xargs -P2"].append(xargs(options.jobs, options.folder))
        taken["batch-subtitles"].append(ours(options.jobs, options.folder))
    walls = {name: statistics.median(c.wall for c in costs) for name, costs in taken.items()}
    show(
        f"{options.jobs} real jobs of one stage, two at a time; medians of {options.rounds}",
        ["", "wall s", "wall ms a job", "ratio", "own CPU ms a job"],
        [
            (
                name,
                f"{walls[name]:.2f}",
                f"{walls[name] / options.jobs * 1000:.1f}",
                f"{walls[name] / walls['xargs -P2']:.3f} x",
                f"{statistics.median(c.own_cpu for c in costs) / options.jobs * 1000:.2f}",
            )
            for name, costs in taken.items()
        ],
    )


if __name__ == "__main__":
    main()
