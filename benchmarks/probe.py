"""Looking into media files through the resident child, against a bare PyAV loop.

The bare loop opens each file and reads what its tracks are, in one process of the same environment;
with it no hostile file is survived and no content is recognised again. Ours also takes the
fingerprint, and asks and answers through two pipes.

Run: python benchmarks/probe.py [--media FILE] [--files 1000] [--rounds 3] [--work-dir DIR]
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import trio
from _bench import RUN_ID
from _process import REPOSITORY, cost_of, own_cpu_seconds, show
from _ready import OWN_FOLDER, interpreter, own_work_folder

from orchestrator.prober import open_prober
from orchestrator.setup import PROBE_STAGE

REQUIRED_MS = 3.0

_BARE_LOOP = """
import sys, time, av
start = time.perf_counter()
for path in open(sys.argv[1]).read().splitlines():
    with av.open(path) as container:
        [(s.type, s.codec_context and s.codec_context.name, s.language) for s in container.streams]
        container.duration
print(time.perf_counter() - start, file=open(sys.argv[2], "w"))
"""


async def probe_all(python: Path, stage: Path, paths: list[str], scratch: Path) -> float:
    """Seconds for all files; the start of the child (and its imports) is not counted."""
    async with open_prober(python, stage, scratch, RUN_ID) as prober:
        await prober.probe(paths[0])
        start = time.perf_counter()
        for path in paths:
            result = await prober.probe(path)
            assert result.error is None, result.error
        return time.perf_counter() - start


def children_cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work-dir", type=Path, default=OWN_FOLDER)
    parser.add_argument("--media", type=Path, default=REPOSITORY / "samples" / "two-tracks.mkv")
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    options = parser.parse_args()
    python, catalogue = interpreter(own_work_folder(options.work_dir), "media")
    stage = catalogue.stages[PROBE_STAGE].folder
    taken: dict[str, list[tuple[float, float, float]]] = {"bare PyAV loop": [], "the prober": []}
    with tempfile.TemporaryDirectory(dir=options.folder) as root:
        paths = [f"{root}/{n:06}{options.media.suffix}" for n in range(options.files)]
        for path in paths:
            shutil.copyfile(options.media, path)
        listing, answer = Path(root, "listing"), Path(root, "answer")
        listing.write_text("\n".join(paths))
        os.sync()
        for _ in range(options.rounds):
            cpu = children_cpu_seconds()
            cost_of([python, "-I", "-c", _BARE_LOOP, listing, answer])
            wall = float(answer.read_text())
            taken["bare PyAV loop"].append((wall, children_cpu_seconds() - cpu, 0.0))
            cpu, own = children_cpu_seconds(), own_cpu_seconds()
            wall = trio.run(probe_all, python, stage, paths, Path(root))
            taken["the prober"].append(
                (wall, children_cpu_seconds() - cpu, own_cpu_seconds() - own)
            )
    median = {
        name: [
            statistics.median(column) / options.files * 1000 for column in zip(*runs, strict=True)
        ]
        for name, runs in taken.items()
    }
    floor = median["bare PyAV loop"][0]
    show(
        f"{options.files:,} copies of {options.media.name}, medians of {options.rounds};"
        f" required: at most {REQUIRED_MS} ms a file",
        ["", "wall ms a file", "ratio", "child CPU ms", "coordinator CPU ms"],
        [
            (name, f"{wall:.2f}", f"{wall / floor:.2f} x", f"{child:.2f}", f"{own:.2f}")
            for name, (wall, child, own) in median.items()
        ],
    )


if __name__ == "__main__":
    main()
