"""What must be quick because it happens again and again.

``everything is done``: the whole command on a library that an earlier run finished (the first run,
which does the work, is not counted), beside an interpreter that does nothing.

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

from _process import REPOSITORY, environment, show
from _ready import OWN_FOLDER, forget, own_work_folder

from orchestrator.contract.paths import WorkFolder

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
    return [_timed(argv) for _ in range(rounds)]


def _timed(argv: list[str]) -> tuple[float, float]:
    """(wall, CPU) seconds."""
    start = time.perf_counter()
    process = subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=environment()
    )
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, process.returncode
    return wall, usage.ru_utime + usage.ru_stime


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
            "an interpreter": [_timed(interpreter) for _ in range(options.rounds)],
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
