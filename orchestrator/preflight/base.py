"""The checks that must work before anything is installed. Standard library only."""

from __future__ import annotations

import importlib.util
import platform
import sys

from orchestrator.preflight.check import Check

BASE_MODULES = (
    *("trio", "rich", "pydantic", "psutil", "yaml"),
    *("uv", "pynvml", "platformdirs", "pathspec"),
)


def check_python() -> Check:
    """Which Python this is. One older than 3.11 cannot import this; verify_install.py says so."""
    return Check("Python", True, f"Python {platform.python_version()} at {sys.executable}")


def check_base_packages(modules: tuple[str, ...] = BASE_MODULES) -> Check:
    """Every package that the commands themselves import can be found."""
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if not missing:
        return Check("base packages", True, f"all {len(modules)} are installed")
    return Check(
        "base packages",
        False,
        f"missing: {', '.join(missing)}",
        "Run ./run_batch.sh (run_batch.bat on Windows), which installs them into an environment "
        "of their own, or: python -m pip install . in the folder of batch-subtitles.",
    )
