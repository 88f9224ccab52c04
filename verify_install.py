"""Checks whether a batch could run here, one check a line, with the fix for each failure.

Needs nothing but Python up to the check of the base packages, and says there how to get the rest.
Exit status 0, or 4 when a batch could not run (2 for a mistake on the command line).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.preflight.check import Check

EXIT_OK = 0
EXIT_PREFLIGHT = 4
OLDEST_PYTHON = (3, 11)


def main(arguments: list[str] | None = None) -> int:
    """Print every check; the exit status says whether a batch could run."""
    options = _parser().parse_args(arguments)
    if sys.version_info[:2] < OLDEST_PYTHON:
        found = ".".join(map(str, sys.version_info[:3]))
        print(f"FAIL  Python: this is {found} at {sys.executable}")
        print("      fix: install Python 3.11 or later and run this with it")
        return EXIT_PREFLIGHT
    from orchestrator.terminal import run_command

    return run_command(lambda: _report(options))


def _report(options: argparse.Namespace) -> int:
    done = []
    for check in _all(options):
        done.append(check)
        if not options.json:
            show(check)
    blocked = sum(check.blocks for check in done)
    if options.json:
        report = {"version": 1, "ok": not blocked, "checks": [check.to_json() for check in done]}
        print(json.dumps(report, indent=1))
    elif blocked:
        print(f"A batch cannot run: {blocked} of {len(done)} checks failed.")
    else:
        print("A batch can run.")
    return EXIT_PREFLIGHT if blocked else EXIT_OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="verify_install.py",
        description="Check whether batch-subtitles can run here, and say how to mend what cannot.",
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings file to check")
    parser.add_argument("--input-dir", type=Path, metavar="FOLDER", help="folder of media")
    parser.add_argument("--workflow", metavar="NAME", help="check what this workflow needs")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of lines")
    parser.add_argument(
        "--build", action="store_true", help="build and fetch what is missing, mend what is broken"
    )
    return parser


def _all(options: argparse.Namespace) -> Iterator[Check]:
    from orchestrator.preflight.base import check_base_packages, check_python

    yield check_python()
    packages = check_base_packages()
    yield packages
    if packages.blocks:
        return
    from batch.library import count_media
    from orchestrator.contract.errors import Failure
    from orchestrator.contract.paths import WorkFolder
    from orchestrator.hardware import detect
    from orchestrator.preflight.check import Check, failed
    from orchestrator.preflight.gather import make_context, verified_key
    from orchestrator.preflight.run import checks
    from orchestrator.preflight.stamp import write_stamp
    from orchestrator.settings import load_settings, resolved, work_folder

    sample = Path(__file__).resolve().parent / "samples" / "lighthouse.flac"
    try:
        given = {
            "input_dir": str(options.input_dir.absolute()) if options.input_dir else None,
            "workflow": options.workflow,
        }
        loaded = load_settings(cli=given, environ=os.environ, config_path=options.config)
        hardware = detect()
        values = resolved(loaded.settings, hardware, loaded.catalogue)
        work = WorkFolder(work_folder(loaded.settings).absolute())
        context = make_context(
            loaded,
            values,
            hardware,
            work,
            count_media=lambda folder: count_media(folder, loaded.settings, work),
            sample=sample if sample.is_file() else None,
            build=options.build,
            report=_say,
        )
    except Failure as failure:
        yield failed("settings", failure.info)
        return
    yield Check("settings", True, f"the workflow is {loaded.settings.workflow}")
    passed = True
    for check in checks(context):
        passed = passed and not check.blocks
        yield check
    key = verified_key(context, values)
    if passed and key is not None:
        write_stamp(work.root, key)


def show(check: Check) -> None:
    """One line for the check, one more for what to do about it."""
    from orchestrator.terminal import printable

    mark, style = {True: ("ok", "green"), None: ("WARN", "yellow"), False: ("FAIL", "red")}[
        check.ok
    ]
    detail = printable(check.detail).replace("\n", "\n      ")
    lines = f"{check.name}: {detail}"
    if check.fix and check.ok is not True:
        lines += f"\n      fix: {printable(check.fix)}"
    console = _console()
    if console is None:
        encoding = sys.stdout.encoding or "ascii"
        text = f"{mark:<4}  {lines}"
        print(text.encode(encoding, "backslashreplace").decode(encoding), flush=True)
    else:
        console.print(f"[{style}]{mark:<4}[/{style}]  ", end="")
        console.print(lines, markup=False, highlight=False, emoji=False, soft_wrap=True)


def _console() -> Any:
    """A rich console on a terminal; None elsewhere, or before rich is installed."""
    if not sys.stdout.isatty():
        return None
    try:
        from rich.console import Console
    except ImportError:
        return None
    return Console()


def _say(line: str) -> None:
    print(f"      {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
