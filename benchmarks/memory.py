"""The coordinator's peak memory against the size of the library.

``finished``: every file was done by an earlier run. ``to do``: every file is to be worked on; the
whole library is surveyed and waits, while no job is started (a dry run). Probes are cached.

Run: python benchmarks/memory.py [--files 1000 10000 100000] [--folder DIR]
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
from _process import in_fresh_process, measuring, own_cpu_seconds, peak_rss_mib, show

REQUIRED_MIB = 150


def measure(root: str) -> dict[str, float]:
    """Go through the library in ``root`` once; in a process of its own."""
    bench = Bench(Path(root))
    before = peak_rss_mib()
    cpu, start = own_cpu_seconds(), time.perf_counter()
    totals = bench.run(bench.plan(make_stage(bench.root), dry_run=True)).overview().totals
    return {
        "before": before,
        "peak": peak_rss_mib(),
        "wall": time.perf_counter() - start,
        "cpu": own_cpu_seconds() - cpu,
        "to do": totals.queued,
        "finished": totals.skipped.get("already_done", 0),
    }


def main() -> None:
    if measuring(sys.argv[1:], measure):
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    options = parser.parse_args()
    rows = []
    for files in options.files:
        with tempfile.TemporaryDirectory(dir=options.folder) as root:
            bench = Bench(Path(root))
            bench.make(files)
            for kind in ("to do", "finished"):
                if kind == "finished":
                    bench.finish()
                os.sync()
                got = in_fresh_process(__file__, root)
                assert got[kind] == files, got
                rows.append(
                    (
                        f"{files:,} {kind}",
                        f"{got['peak']:.0f}",
                        f"{(got['peak'] - got['before']) * 1024 / files:.2f}",
                        f"{got['cpu'] / files * 1000:.3f}",
                        f"{got['wall']:.1f}",
                        "ok" if got["peak"] < REQUIRED_MIB else "too much",
                    )
                )
    show(
        f"Peak memory of the coordinator; required: below {REQUIRED_MIB} MiB",
        ["", "peak MiB", "growth KiB a file", "CPU ms a file", "wall s", ""],
        rows,
    )


if __name__ == "__main__":
    main()
