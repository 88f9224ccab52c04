"""What must be quick because it happens again and again.

``everything is done``: the whole command on a library that an earlier run finished (the first run,
which does the work, is not counted). ``a job``: CPU of a job process from its start until it asks
for leave to run its first stage, beside that of an interpreter that does nothing.

Run: python benchmarks/startup.py [--media DIR] [--rounds 7] [--work-dir DIR]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _bench import Bench, make_recipe, make_stage
from _noop import write_stage
from _process import REPOSITORY, environment, show
from _ready import OWN_FOLDER, forget, own_work_folder

from orchestrator.contract.job import Publication, Source
from orchestrator.contract.paths import WorkFolder
from orchestrator.launcher import job_argv
from orchestrator.prepare import JobMaker

REQUIRED_SECONDS = 2.0


def second_runs(
    media: Path, work: WorkFolder, subtitles: Path, rounds: int
) -> list[tuple[float, float]]:
    """(wall, CPU) seconds of each run after the first one."""
    forget(work)
    argv = [sys.executable, "-m", "batch", str(media)]
    argv += ["--work-dir", str(work.root), "--output-dir", str(subtitles)]
    argv += ["--set", "cpu_threshold=0"]
    subprocess.run(argv, env=environment(), stdout=subprocess.DEVNULL, check=True)
    return [_timed(argv, 0) for _ in range(rounds)]


def _timed(argv: list[str], expected: int, until: bytes | None = None) -> tuple[float, float]:
    """(wall, CPU) seconds; with ``until``, to the first line of output that contains it."""
    start = time.perf_counter()
    process = subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(),
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    for line in process.stdout:
        if until is not None and until in line:
            break
    wall = time.perf_counter() - start
    process.stdin.close()  # which ends a job at once
    process.stdout.close()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == expected, process.returncode
    return wall, usage.ru_utime + usage.ru_stime


def job_starts(root: Path, rounds: int) -> list[tuple[float, float]]:
    """(wall, CPU) seconds until the job's first request."""
    bench = Bench(root)
    bench.make(1)
    stage = make_stage(write_stage(root / "stage"))
    (media,) = bench.library.rglob("*.mkv")
    status = media.stat()
    source = Source(str(media), status.st_size, status.st_mtime_ns, "0" * 32)
    publication = Publication(str(media.parent), media.stem, ("srt",))
    folder, _ = JobMaker(bench.work, "benchmark").make(make_recipe(stage), source, publication)
    return [_timed(job_argv(folder.root), -9, b'"type":"request"') for _ in range(rounds + 1)][1:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work-dir", type=Path, default=OWN_FOLDER)
    parser.add_argument("--media", type=Path, default=REPOSITORY / "samples")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    options = parser.parse_args()
    interpreter = [sys.executable, "-P", "-X", "utf8", "-c", "pass"]
    with tempfile.TemporaryDirectory(dir=options.folder) as root:
        work, media = own_work_folder(options.work_dir), options.media.absolute()
        measured = {
            "an interpreter": [_timed(interpreter, 0) for _ in range(options.rounds)],
            "a job, to its first request": job_starts(Path(root), options.rounds),
            "everything is done": second_runs(media, work, Path(root, "out"), options.rounds),
        }
    show(
        f"Start-up, medians of {options.rounds};"
        f" required of `everything is done`: below {REQUIRED_SECONDS:.0f} s",
        ["", "wall ms", "CPU ms"],
        [
            (
                name,
                *(f"{statistics.median(column) * 1000:.0f}" for column in zip(*runs, strict=True)),
            )
            for name, runs in measured.items()
        ],
    )


if __name__ == "__main__":
    main()
