"""How long it takes to stop at once: from the second signal until nothing of the run is left.

Two real jobs are running, whose stages hear no cancel and never end, and the rest of the library
waits, wholly surveyed. The first signal drains; the clock starts with the second one.

Run: python benchmarks/cancel.py [--files 2 100000] [--rounds 3] [--folder DIR]
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import psutil
from _bench import RUN_ID, Bench, make_stage
from _noop import write_stage
from _process import environment, show

from batch import events
from orchestrator.contract.processes import RUN_VARIABLE

REQUIRED_SECONDS = 1.0


class Herald:
    """An observer that tells the measuring process on stdout how far the run is."""

    def __init__(self) -> None:
        self._running: set[str] = set()
        self._decided = False

    def handle(self, event: events.Event) -> None:
        if isinstance(event, events.StageProgress) and event.done > 0:
            self._note(path=event.path)
        elif isinstance(event, events.AllDecided):
            self._note(decided=True)
        elif isinstance(event, events.Draining):
            print("draining", flush=True)

    def _note(self, path: str | None = None, decided: bool = False) -> None:
        before = self._ready
        self._decided = self._decided or decided
        if path is not None:
            self._running.add(path)
        if self._ready and not before:
            print("running", flush=True)

    @property
    def _ready(self) -> bool:
        return self._decided and len(self._running) >= 2


def measure(root: str) -> None:
    """The run that is to be stopped, in a process of its own."""
    bench = Bench(Path(root))
    bench.run(bench.plan(make_stage(bench.root / "stage")), Herald())


def left_over() -> list[int]:
    """Processes that carry the mark of the run."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(RUN_VARIABLE) == RUN_ID:
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


def stop_once(root: str) -> tuple[float, float, int]:
    """Seconds until the coordinator was gone, until everything was, and how many ran before."""
    run = subprocess.Popen(
        [sys.executable, __file__, "--measure", root], stdout=subprocess.PIPE, env=environment()
    )
    assert run.stdout is not None
    assert run.stdout.readline() == b"running\n"
    running = len(left_over())
    run.send_signal(signal.SIGTERM)
    assert run.stdout.readline() == b"draining\n"
    start = time.perf_counter()
    run.send_signal(signal.SIGTERM)
    run.wait()
    gone = time.perf_counter() - start
    while left_over():
        pass
    return gone, time.perf_counter() - start, running


def main() -> None:
    if sys.argv[1:2] == ["--measure"]:
        measure(sys.argv[2])
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, nargs="+", default=[2, 100_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    options = parser.parse_args()
    rows = []
    for files in options.files:
        with tempfile.TemporaryDirectory(dir=options.folder) as root:
            Bench(Path(root)).make(files)
            write_stage(Path(root, "stage"), busy=True)
            os.sync()
            taken = [stop_once(root) for _ in range(options.rounds)]
        everything = [one[1] for one in taken]
        rows.append(
            (
                f"{files:,} files, {taken[0][2]} processes running",
                f"{statistics.median(one[0] for one in taken):.3f}",
                f"{statistics.median(everything):.3f}",
                f"{max(everything):.3f}",
                "ok" if max(everything) < REQUIRED_SECONDS else "too slow",
            )
        )
    show(
        f"Stopping at once, {options.rounds} times; required: below {REQUIRED_SECONDS:.0f} s",
        ["", "coordinator gone s", "all gone s", "worst s", ""],
        rows,
    )


if __name__ == "__main__":
    main()
