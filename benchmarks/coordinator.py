"""The coordinator's own cost per file, against ``xargs -P2`` and GNU parallel with a job log.

All start the same child: a shell script that speaks the protocol (it asks for leave to run a stage
and waits for the answer, where somebody answers), publishes a subtitle and leaves a valid
``job_result.json``. Ours makes each job's folder and ``job.json``, reserves what the stage needs,
keeps durable state, and feeds view, log and summary, as in a real run. For the others the folders
are there before the clock starts. Probes are cached.

Run: python benchmarks/coordinator.py [--files 1000 20000] [--folder DIR]
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _bench import MIB, RUN_ID, Bench, make_recipe, make_stage
from _process import Cost, cost_of, in_fresh_process, measuring, own_cpu_seconds, peak_rss_mib, show

REQUIRED_MS = 4.0

SUBTITLE = "1\n00:00:00,000 --> 00:00:01,000\nHello.\n"

# Shell built-ins only. Variables: $1 the job folder. Nobody answers under xargs: end of file.
CHILD = f"""#!/bin/sh
id=${{1##*/}}
say() {{ printf '{{"v":1,"run":"{RUN_ID}",%s}}\\n' "$1"; }}
say '"type":"started","stage":"","facts":{{"pid":'$$',"stages":["noop"]}}'
say '"type":"request","stage":"noop","attempt":"noop-001","need":{{}}'
read -r grant
say '"type":"progress","stage":"noop","done":1.0,"total":1.0,"unit":"s"'
say '"type":"release","stage":"noop","attempt":"noop-001"'
printf '{SUBTITLE.encode("unicode_escape").decode()}' > "$1/words.srt"
result='{{"version":1,"job_id":"'$id'","run_id":"{RUN_ID}","status":"done","stages":[{{"name":"noop",
"status":"ran","reason":"first run","seconds":0.1}}],"published":[{{"path":"'$1'/words.srt",
"size":{len(SUBTITLE)},"mtime_ns":1700000000000000000,"sha256":"{"0" * 64}"}}],
"facts":{{"language":"en","audio_seconds":5400.0}},"warnings":[],"error":null,"seconds":0.1}}'
printf '%s' "$result" > "$1/job_result.json"
say '"type":"finished","stage":"","ok":true,"error":null,"data":{{}}'
"""


def measure(root: str) -> dict[str, float]:
    """Run the batch over the library in ``root``; in a process of its own."""
    bench = Bench(Path(root))
    child = str(bench.root / "child.sh")
    stage = replace(make_stage(bench.root), requested={f"setting_{n}": n for n in range(10)})
    plan = bench.plan(
        stage,
        recipe=make_recipe(stage, stage, stage),  # a real workflow has three
        job_argv=lambda folder: [child, str(folder)],
    )
    before_rss, before_cpu, start = peak_rss_mib(), own_cpu_seconds(), time.perf_counter()
    done = bench.run(plan).overview().totals.done
    wall = time.perf_counter() - start
    cpu = own_cpu_seconds() - before_cpu
    return {"wall": wall, "cpu": cpu, "rss": peak_rss_mib(), "base": before_rss, "done": done}


def write_child(root: Path) -> Path:
    child = root / "child.sh"
    child.write_text(CHILD)
    child.chmod(0o755)
    return child


def ours(files: int, folder: Path) -> tuple[Cost, str]:
    with tempfile.TemporaryDirectory(dir=folder) as root:
        Bench(Path(root)).make(files)
        write_child(Path(root))
        os.sync()
        got = in_fresh_process(__file__, root)
    assert got["done"] == files, got
    return Cost(got["wall"], got["cpu"]), f"{got['rss']:.0f} MiB"


def other(files: int, folder: Path, command: list[str]) -> tuple[Cost, str]:
    with tempfile.TemporaryDirectory(dir=folder) as root:
        child = write_child(Path(root))
        jobs = [Path(root, "jobs", f"20260131-{n:06}") for n in range(1, files + 1)]
        for job in jobs:
            job.mkdir(parents=True)
        todo = Path(root, "todo")
        todo.write_text("".join(f"{job}\n" for job in jobs))
        os.sync()
        argv = [part.format(root=root, child=child) for part in command]
        with todo.open("rb") as stdin:
            cost = cost_of(argv, stdin=stdin, stdout=subprocess.DEVNULL)
        assert all((job / "job_result.json").stat().st_size < MIB for job in jobs)
    return cost, ""


OTHERS = {
    "xargs -P2": ["xargs", "-P2", "-n1", "{child}"],
    "parallel --joblog": ["parallel", "-j2", "--joblog", "{root}/joblog", "{child}"],
}


def main() -> None:
    if measuring(sys.argv[1:], measure):
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, nargs="+", default=[1000, 20000])
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    options = parser.parse_args()
    own: dict[int, float] = {}
    for files in options.files:
        rows = []
        floor = None
        for name, command in OTHERS.items():
            if shutil.which(command[0]) is None:
                print(f"{name}: not installed, skipped")
                continue
            rows.append((name, *other(files, options.folder, command)))
            floor = floor or rows[-1][1].wall
        rows.append(("batch-subtitles", *ours(files, options.folder)))
        own[files] = rows[-1][1].own_cpu / files * 1000
        show(
            f"{files:,} files, two at a time, the same child",
            ["", "wall ms a file", "ratio", "own CPU ms a file", "peak memory"],
            [
                (
                    name,
                    f"{cost.wall / files * 1000:.2f}",
                    f"{cost.wall / floor:.2f} x" if floor else "",
                    f"{cost.own_cpu / files * 1000:.2f}",
                    memory,
                )
                for name, cost, memory in rows
            ],
        )
    few, many = min(own), max(own)
    print(
        f"own CPU: {own[few]:.2f} ms a file at {few:,}, {own[many]:.2f} at {many:,}"
        f" ({own[many] / own[few]:.2f} x); required: at most {REQUIRED_MS} ms, flat"
    )


if __name__ == "__main__":
    main()
