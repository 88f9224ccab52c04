"""What a resident worker saves: real jobs of a stage that does nothing, warm and cold.

Two files at a time. With ``--import-ms`` the stage imports for so long when its process starts, as
those with a model library do (faster_whisper 200 ms, torch 1,350, pyannote.audio 5,400).

Run: python benchmarks/workers.py [--files 200] [--import-ms 0] [--folder DIR]
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _bench import Bench, make_stage
from _noop import write_stage
from _process import in_fresh_process, measuring, own_cpu_seconds, peak_rss_mib, show

_IMPORT = """\
import time

_until = time.process_time() + {seconds}
while time.process_time() < _until:
    pass
"""


def measure(root: str, resident: str) -> dict[str, float]:
    """Run the batch over the library in ``root``; in a process of its own."""
    bench = Bench(Path(root))
    plan = bench.plan(make_stage(bench.root / "stage"), resident=resident == "warm")
    cpu, start = own_cpu_seconds(), time.perf_counter()
    done = bench.run(plan).overview().totals.done
    wall = time.perf_counter() - start
    return {"wall": wall, "cpu": own_cpu_seconds() - cpu, "done": done, "rss": peak_rss_mib()}


def run(files: int, import_ms: float, how: str, folder: Path) -> dict[str, float]:
    with tempfile.TemporaryDirectory(dir=folder) as root:
        Bench(Path(root)).make(files)
        stage = write_stage(Path(root, "stage")) / "stage.py"
        stage.write_text(_IMPORT.format(seconds=import_ms / 1000) + stage.read_text())
        os.sync()
        got = in_fresh_process(__file__, root, how)
        assert got["done"] == files, got
    return got


def main() -> None:
    if measuring(sys.argv[1:], measure):
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--import-ms", type=float, default=0.0)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    options = parser.parse_args()
    rows = [
        (how, run(options.files, options.import_ms, how, options.folder))
        for how in ("cold", "warm")
    ]
    show(
        f"{options.files} files of one stage that imports for {options.import_ms:.0f} ms",
        ["", "wall ms a file", "speed", "coordinator's CPU ms a file", "peak memory"],
        [
            (
                how,
                f"{got['wall'] / options.files * 1000:.1f}",
                f"{rows[0][1]['wall'] / got['wall']:.2f} x",
                f"{got['cpu'] / options.files * 1000:.2f}",
                f"{got['rss']:.0f} MiB",
            )
            for how, got in rows
        ],
    )


if __name__ == "__main__":
    main()
