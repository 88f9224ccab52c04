"""Runs every check and test: ``python3 tests/run.py``. Needs Python 3.11 and a package index.

Makes an environment for it in ``.cache/test-venv`` the first time. Every check runs, also after one
has failed; the exit status says whether all passed.

    python3 tests/run.py                 everything, as it is run before a change lands
    python3 tests/run.py --fast          without the tests that build environments and fetch models
    python3 tests/run.py -- -k naming    only pytest, with these arguments
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from run_batch import Unavailable, make_environment, python_of  # noqa: E402

ENVIRONMENT = ROOT / ".cache" / "test-venv"
WORK_DIR_VARIABLE = "SUBTITLES_TEST_WORK_DIR"


_FAULTS = "tests/faults"
_TESTS = "tests"


@dataclass(frozen=True)
class Step:
    """One check: its name, and the module of the environment's Python to run; ``beside`` likewise,
    at the same time."""

    name: str
    command: Sequence[str]
    beside: Sequence[str] = ()


def main(arguments: Sequence[str]) -> int:
    """Run what the arguments ask for; 0 when all of it passed."""
    options, pytest_arguments = _parse(arguments)
    try:
        make_environment(ENVIRONMENT, ROOT, "[test]")
    except Unavailable as problem:
        print(f"error: {problem}\n  what to do: {problem.hint}", file=sys.stderr)
        return 1
    if pytest_arguments:
        steps = [Step(_TESTS, ["-m", "pytest", *pytest_arguments])]
    else:
        steps = [*_CHECKS, *_measured_tests(fast=options.fast)]
    failures = [step.name for step in steps if not _passes(step)]
    print(flush=True)
    if _TESTS in failures:
        print("".join(f"failed: {test}\n" for test in _failed_tests()), end="")
    if failures:
        print(f"FAILED: {', '.join(failures)}")
        return 1
    print(f"All is well: {', '.join(step.name for step in steps)}.")
    return 0


_CHECKS = (
    Step("format", ["-m", "ruff", "format", "--check", "."]),
    Step("lint", ["-m", "ruff", "check", "."]),
    Step("types", ["-m", "mypy"]),
    Step(
        "types of the tests",
        # What plays a stage in a test runs in an environment of its own, often wrongly on purpose.
        ["-m", "mypy", "--explicit-package-bases", "--exclude", "/fakes/", "tests"],
    ),
    Step("imports", ["-c", "from importlinter.cli import lint_imports_command as c; c()"]),
)


_CACHE = ".pytest_cache"
_FAULTS_CACHE = ("-o", f"cache_dir={_CACHE}/faults")

_KILLED = "ignore:Couldn't use data file"
"""What a process was writing when a test killed it is of no use."""


def _measured_tests(*, fast: bool) -> list[Step]:
    """The tests under coverage. Without the real ones the threshold would say nothing."""
    selection = ["-m", "not real"] if fast else []
    threshold = ["--fail-under=0"] if fast else []
    return [
        Step("erase coverage", ["-m", "coverage", "erase"]),
        # The fault suite waits for processes more than it computes.
        Step(
            _TESTS,
            ["-m", "coverage", "run", "-m", "pytest", f"--ignore={_FAULTS}", *selection],
            beside=["-m", "coverage", "run", "-m", "pytest", *_FAULTS_CACHE, _FAULTS, *selection],
        ),
        Step("combine coverage", ["-W", _KILLED, "-m", "coverage", "combine", "--quiet"]),
        Step("coverage", ["-m", "coverage", "report", *threshold]),
    ]


def _passes(step: Step) -> bool:
    print(f"\n=== {step.name}", flush=True)
    began = time.monotonic()
    with tempfile.TemporaryFile() as said:
        beside = _start(step.beside, said) if step.beside else None
        status = _start(step.command, None).wait()
        if beside is not None:
            status = beside.wait() or status
            print(flush=True)
            said.seek(0)
            shutil.copyfileobj(said, sys.stdout.buffer)
            sys.stdout.flush()
    outcome = "passed" if status == 0 else f"failed with exit status {status}"
    print(f"=== {step.name}: {outcome} after {time.monotonic() - began:.0f} s", flush=True)
    return status == 0


def _start(command: Sequence[str], output: IO[bytes] | None) -> subprocess.Popen[bytes]:
    argv = [str(python_of(ENVIRONMENT)), *command]
    return subprocess.Popen(argv, cwd=ROOT, env=_variables(), stdout=output, stderr=output)


def _failed_tests() -> list[str]:
    """Those of the last run, named once more below the long list of what is covered."""
    failed: list[str] = []
    for cache in (_CACHE, f"{_CACHE}/faults"):
        try:
            failed += json.loads((ROOT / cache / "v/cache/lastfailed").read_bytes())
        except (OSError, ValueError):
            continue
    return sorted(failed)


def _variables() -> dict[str, str]:
    """The caller's variables without those that change what a test sees."""
    variables = {
        name: value
        for name, value in os.environ.items()
        if name == WORK_DIR_VARIABLE or not name.startswith(("BATCH_SUBTITLES_", "PYTHON"))
    }
    variables["PYTHONUNBUFFERED"] = "1"
    return variables


def _parse(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    own = list(arguments)
    further: list[str] = []
    if "--" in own:
        place = own.index("--")
        own, further = own[:place], own[place + 1 :]
    parser = argparse.ArgumentParser(
        description="Run every check and test.",
        epilog="Arguments after -- go to pytest, which then is all that runs.",
    )
    parser.add_argument(
        "--fast",
        action="store_true",
        help="leave out the tests that build environments and fetch models",
    )
    return parser.parse_args(own), further


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
