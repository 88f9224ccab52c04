"""What each kind of process loads: the contract needs nothing, and a job is started per file."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import orchestrator.contract

CONTRACT = Path(orchestrator.contract.__path__[0])
CHECKOUT = CONTRACT.parents[1]
SHARED = ("orchestrator.contract", "orchestrator.stagekit")
NEED_NUMPY_OR_AV = frozenset({"orchestrator.stagekit.silero", "orchestrator.stagekit.opening"})
MODULES = sorted(
    f"{package}.{path.stem}"
    for package in SHARED
    for path in (CHECKOUT / package.replace(".", "/")).glob("*.py")
    if path.stem != "__init__" and f"{package}.{path.stem}" not in NEED_NUMPY_OR_AV
)

IMPORT_ALONE = """
import importlib, json, sys
sys.path.insert(0, {checkout!r})
for name in {modules!r}:
    importlib.import_module(name)
print(json.dumps(sorted(sys.modules)))
"""


def modules_after(names: list[str], *options: str) -> set[str]:
    code = IMPORT_ALONE.format(checkout=str(CHECKOUT), modules=names)
    done = subprocess.run(
        [sys.executable, *options, "-c", code], capture_output=True, check=True, timeout=30
    )
    return set(json.loads(done.stdout))


@pytest.mark.parametrize("module", MODULES)
def test_a_shared_module_needs_the_standard_library_alone(module: str) -> None:
    loaded = modules_after([module], "-I", "-S")
    foreign = {
        name
        for name in loaded
        if name.partition(".")[0] not in {*sys.stdlib_module_names, "orchestrator"}
        and not name.startswith("__")
    }
    assert foreign == set()
    ours = {name for name in loaded if name.startswith("orchestrator.")}
    assert all(name.startswith(SHARED) for name in ours)


NOT_IN_A_JOB = {
    # Each would cost a job 2 to 30 ms of CPU, most of them by what they import in turn.
    "argparse",
    "asyncio",
    "ctypes",
    "dataclasses",
    "importlib.metadata",
    "importlib.util",
    "inspect",
    "logging",
    "platform",
    "random",
    "runpy",
    "shutil",
    "site",
    "socket",
    "subprocess",
    "tempfile",
    "traceback",
    "typing",
    # Of the base environment.
    "pathspec",
    "platformdirs",
    "psutil",
    "pydantic",
    "rich",
    "trio",
    "yaml",
    # Ours: what a job needs only when an attempt failed, or runs in a process of its own.
    "orchestrator.job.cold",
    "orchestrator.launcher",
}


def test_a_job_process_loads_nothing_heavy() -> None:
    """As it is started, up to the first stage: what it may not load is what it was weighed by."""
    loaded = modules_after(["orchestrator.__main__", "orchestrator.job.process"], "-I", "-S")
    assert loaded & NOT_IN_A_JOB == set()
    ours = {name for name in loaded if name.partition(".")[0] in ("batch", "orchestrator")}
    assert all(
        name.startswith(("orchestrator.contract", "orchestrator.job"))
        or name in ("orchestrator", "orchestrator.__main__")
        for name in ours
    )
