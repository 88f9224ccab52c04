"""Shared by the benchmarks: what a process costs in time and memory, and printing tables."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Cost:
    """What a command took: wall seconds, and its own CPU seconds without its children's."""

    wall: float
    own_cpu: float


def cost_of(argv: Sequence[str | Path], **options: Any) -> Cost:
    """Run a command; its own CPU time is read between its death and its burial (Linux only)."""
    start = time.perf_counter()
    process = subprocess.Popen(argv, **options)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    wall = time.perf_counter() - start
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    if process.wait() != 0:
        raise SystemExit(f"{argv[0]} ended with status {process.returncode}")
    return Cost(wall, ticks / os.sysconf("SC_CLK_TCK"))


def environment(**more: str) -> dict[str, str]:
    """Variables for a child that is to find this checkout, installed or not."""
    inherited = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return {**inherited, "PYTHONPATH": str(REPOSITORY), **more}


def own_cpu_seconds() -> float:
    """CPU seconds of this process so far, user and system, without its children's."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def peak_rss_mib() -> float:
    """Peak memory of this program; ``ru_maxrss`` would count the one that started it as well."""
    return _status_mib("VmHWM")


def rss_mib() -> float:
    """Memory of this program now."""
    return _status_mib("VmRSS")


def _status_mib(field: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    raise AssertionError(f"no {field} in /proc/self/status")


def in_fresh_process(script: str, *arguments: object) -> dict[str, Any]:
    """What ``script --measure arguments`` prints as JSON: memory and CPU of that process alone."""
    argv = [sys.executable, script, "--measure", *map(str, arguments)]
    done = subprocess.run(argv, stdout=subprocess.PIPE, check=True, env=environment())
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def measuring(arguments: Sequence[str], measure: Callable[..., Mapping[str, Any]]) -> bool:
    """In the process that :func:`in_fresh_process` started: measure, print, and say so."""
    if arguments[:1] != ["--measure"]:
        return False
    print(json.dumps(measure(*arguments[1:])))
    return True


def show(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table; the first column to the left, the others to the right."""
    cells = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    print(title)
    for row in cells:
        first, *others = [
            cell.ljust(width) if n == 0 else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  " + "  ".join([first, *others]))
