"""What each kind of process loads: the contract needs nothing, and a job is started per file."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import orchestrator.contract

CONTRACT = Path(orchestrator.contract.__path__[0])
CHECKOUT = CONTRACT.parents[1]
MODULES = sorted(path.stem for path in CONTRACT.glob("*.py") if path.stem != "__init__")

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
def test_a_contract_module_needs_the_standard_library_alone(module: str) -> None:
    loaded = modules_after([f"orchestrator.contract.{module}"], "-I", "-S")
    foreign = {
        name
        for name in loaded
        if name.partition(".")[0] not in {*sys.stdlib_module_names, "orchestrator"}
        and not name.startswith("__")
    }
    assert foreign == set()
    ours = {name for name in loaded if name.startswith("orchestrator.")}
    assert all(name.startswith("orchestrator.contract") for name in ours)


def test_a_job_process_loads_nothing_heavy() -> None:
    loaded = modules_after(["orchestrator.__main__", "orchestrator.job.process"])
    heavy = {"trio", "pydantic", "yaml", "psutil", "rich", "asyncio", "ctypes"}
    assert loaded & heavy == set()
    assert not any(name.startswith("batch") for name in loaded)
