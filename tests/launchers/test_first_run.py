"""The launcher with real environments, in a checkout with an odd name and an empty home."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell is needed"),
]

ROOT = Path(__file__).parents[2]
SHIPPED = ("batch", "orchestrator", "samples", "config.yaml", "verify_install.py")
PACKAGING = ("pyproject.toml", "README.md", "LICENSE", "run_batch.sh", "run_batch.py")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    target = tmp_path / "Été & [x] (b)! 100% #1"
    target.mkdir()
    without_caches = shutil.ignore_patterns("__pycache__", ".*_cache")
    for name in (*SHIPPED, *PACKAGING):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target / name, ignore=without_caches)
        else:
            shutil.copy(ROOT / name, target)
    return target


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    """A user who has nothing but the Python of these tests and pip's variables."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for tool in ("sh", "cat", "dirname", "readlink"):
        found = shutil.which(tool)
        assert found is not None
        (programs / tool).symlink_to(found)
    python = programs / "python3"
    base = getattr(sys, "_base_executable", sys.executable)
    python.write_text(f'#!/bin/sh\nexec "{base}" "$@"\n')
    python.chmod(0o755)
    home = tmp_path / "home"
    home.mkdir()
    pip = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    return {
        **pip,
        "HOME": str(home),
        "PATH": str(programs),
        "LC_ALL": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def launch(checkout: Path, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [checkout / "run_batch.sh", "--help"],
        env=variables,
        cwd=checkout.parent,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def killed(checkout: Path, variables: dict[str, str]) -> Path:
    """The checkout after a first run that was killed when its environment was half made."""
    run = subprocess.Popen(
        [checkout / "run_batch.sh", "--help"],
        env=variables,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert run.stderr is not None
    assert b"Making the environment" in run.stderr.readline()
    run.send_signal(signal.SIGKILL)
    run.wait()
    run.stderr.close()
    return checkout


def test_a_first_run_that_was_killed_and_the_next_two(
    killed: Path, variables: dict[str, str]
) -> None:
    first = launch(killed, variables)
    assert first.returncode == 0, first.stderr
    assert "Making the environment" in first.stderr
    assert first.stdout.startswith("usage: batch-subtitles")
    packages = next(killed.glob(".venv/lib/python3*/site-packages"))
    assert list((packages / "trio" / "__pycache__").glob("*.pyc"))

    second = launch(killed, variables)
    assert (second.returncode, second.stderr) == (0, "")
    assert second.stdout == first.stdout

    made = {".venv", ".cache"}
    assert {path.name for path in killed.iterdir()} == {*SHIPPED, *PACKAGING, *made}
