"""The coordinator's memory against the size of the library.

``finished``: every file was done by an earlier run. ``to do``: every file is to be worked on; the
whole library is surveyed and waits, while no job is started (a dry run). Of both the peak is told.
``worked on``: every file has a real job, whose stage (it does nothing) runs in workers that stay,
with a lease for each attempt; told is what the coordinator takes after the first 100 files, half of
all, and all. Probes are cached.

Run: python benchmarks/memory.py [--files 1000 10000 100000] [--worked-on 1000] [--folder DIR]
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _bench import Bench, make_stage
from _noop import write_stage
from _process import in_fresh_process, measuring, own_cpu_seconds, peak_rss_mib, rss_mib, show

from batch.events import Event, FileFinished
from batch.timeline import NAME as TIMELINE

REQUIRED_MIB = 150
FLAT_KIB = 1.0
"""By so much a file the memory may grow from the first 100 files on."""

_WARMED_UP = 100


class Marks:
    """An observer: the memory after so many files."""

    def __init__(self, *marks: int) -> None:
        self._marks = marks
        self._done = 0
        self.rss: dict[int, float] = {}

    def handle(self, event: Event) -> None:
        if not isinstance(event, FileFinished):
            return
        assert event.status == "done", event
        self._done += 1
        if self._done in self._marks:
            gc.collect()
            self.rss[self._done] = rss_mib()


def measure(root: str, how: str) -> dict[str, float]:
    """Go through the library in ``root`` once; in a process of its own."""
    bench = Bench(Path(root))
    return _work_through(bench) if how == "work" else _look(bench)


def _look(bench: Bench) -> dict[str, float]:
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


def _work_through(bench: Bench) -> dict[str, float]:
    files = sum(1 for _ in bench.library.rglob("*.mkv"))
    marks = Marks(_WARMED_UP, files // 2, files)
    cpu, start = own_cpu_seconds(), time.perf_counter()
    bench.run(bench.plan(make_stage(write_stage(bench.root / "stage")), resident=True), marks)
    (timeline,) = bench.work.runs.glob(f"*/{TIMELINE}")
    assert timeline.read_text().count('"warm":true') == files
    return {
        "wall": time.perf_counter() - start,
        "cpu": own_cpu_seconds() - cpu,
        "peak": peak_rss_mib(),
        "warmed up": marks.rss[_WARMED_UP],
        "half": marks.rss[files // 2],
        "all": marks.rss[files],
    }


def worked_on(files: int, folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder) as root:
        Bench(Path(root)).make(files)
        os.sync()
        got = in_fresh_process(__file__, root, "work")
    growth = (got["all"] - got["warmed up"]) * 1024 / (files - _WARMED_UP)
    show(
        f"{files:,} files worked on by workers that stay; at most {FLAT_KIB:g} KiB a file allowed",
        [
            f"MiB after {_WARMED_UP}",
            f"after {files // 2:,}",
            f"after {files:,}",
            "peak",
            "growth KiB a file",
            "CPU ms a file",
            "wall s",
            "",
        ],
        [
            (
                f"{got['warmed up']:.1f}",
                f"{got['half']:.1f}",
                f"{got['all']:.1f}",
                f"{got['peak']:.1f}",
                f"{growth:.2f}",
                f"{got['cpu'] / files * 1000:.2f}",
                f"{got['wall']:.0f}",
                "ok" if growth <= FLAT_KIB else "grows",
            )
        ],
    )


def main() -> None:
    if measuring(sys.argv[1:], measure):
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--worked-on", type=int, default=1000)
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
                got = in_fresh_process(__file__, root, "look")
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
    worked_on(options.worked_on, options.folder)


if __name__ == "__main__":
    main()
