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
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from run_batch import Unavailable, make_environment, python_of  # noqa: E402

ENVIRONMENT = ROOT / ".cache" / "test-venv"
WORK_DIR_VARIABLE = "SUBTITLES_TEST_WORK_DIR"


@dataclass(frozen=True)
class Step:
    """One check: its name, and the module of the environment's Python to run."""

    name: str
    command: Sequence[str]


def main(arguments: Sequence[str]) -> int:
    """Run what the arguments ask for; 0 when all of it passed."""
    options, pytest_arguments = _parse(arguments)
    try:
        make_environment(ENVIRONMENT, ROOT, "[test]")
    except Unavailable as problem:
        print(f"error: {problem}\n  what to do: {problem.hint}", file=sys.stderr)
        return 1
    if pytest_arguments:
        steps = [Step("tests", ["-m", "pytest", *pytest_arguments])]
    else:
        steps = [*_CHECKS, *_measured_tests(fast=options.fast)]
    failures = [step.name for step in steps if not _passes(step)]
    print(flush=True)
    if "tests" in failures:
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


_KILLED = "ignore:Couldn't use data file"
"""What a process was writing when a test killed it is of no use."""


def _measured_tests(*, fast: bool) -> list[Step]:
    """The tests under coverage. Without the real ones the threshold would say nothing."""
    selection = ["-m", "not real"] if fast else []
    threshold = ["--fail-under=0"] if fast else []
    return [
        Step("erase coverage", ["-m", "coverage", "erase"]),
        Step("tests", ["-m", "coverage", "run", "-m", "pytest", *selection]),
        Step("combine coverage", ["-W", _KILLED, "-m", "coverage", "combine", "--quiet"]),
        Step("coverage", ["-m", "coverage", "report", *threshold]),
    ]


def _passes(step: Step) -> bool:
    print(f"\n=== {step.name}", flush=True)
    began = time.monotonic()
    status = subprocess.run(
        [str(python_of(ENVIRONMENT)), *step.command], cwd=ROOT, env=_variables(), check=False
    ).returncode
    outcome = "passed" if status == 0 else f"failed with exit status {status}"
    print(f"=== {step.name}: {outcome} after {time.monotonic() - began:.0f} s", flush=True)
    return status == 0


def _failed_tests() -> list[str]:
    """Those of the last run, named once more below the long list of what is covered."""
    try:
        record = json.loads((ROOT / ".pytest_cache/v/cache/lastfailed").read_bytes())
    except (OSError, ValueError):
        return []
    return sorted(record)


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
