"""run_batch.sh finds a Python and hands its arguments on; the Pythons here are stubs."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell is needed")

LAUNCHER = Path(__file__).parents[2] / "run_batch.sh"
ODD_NAMES = ["a & b! (c)", "[x]", "Été à la mer", "100% $HOME", 'it\'s "quoted"', "-dash", "a\nb"]
ARGUMENTS = ["Films & Séries [2024]", "--set", "a=$HOME `x` 'y' \"z\"", "", "*", "two\nlines"]
STATUS_OF_RUN = 7

_PYTHON = """#!/bin/sh
if [ "$1" = -c ]; then exit {check}; fi
printf '%s\\0' "${{0##*/}}" "$PWD" "${{PYTHONDONTWRITEBYTECODE-unset}}" "$@" > '{log}'
exit 7
"""
_UV_WITH_A_PYTHON = """#!/bin/sh
if [ "$2" = find ]; then echo '{python}'; fi
"""


@dataclass
class Machine:
    """A ``PATH`` with the tools of every system, no Python, and what a test adds."""

    path: Path
    checkout: Path
    log: Path

    def add_python(self, program: str | Path, *, too_old: bool = False) -> Path:
        place = self.path / program
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(_PYTHON.format(check=int(too_old), log=self.log))
        place.chmod(0o755)
        return place

    def add_environment(self, *, ready: bool = True) -> None:
        environment = self.checkout / ".venv"
        self.add_python(environment / "bin" / "python")
        (environment / ("ready" if ready else "ours")).touch()

    def launch(self, *arguments: str, launcher: Path | str | None = None, cwd: Path) -> int:
        command = launcher or self.checkout / "run_batch.sh"
        variables = {"PATH": str(self.path), "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run(
            [command, *arguments], env=variables, cwd=cwd, check=False, stdin=subprocess.DEVNULL
        ).returncode

    def started(self) -> list[str]:
        """The program, its folder, ``PYTHONDONTWRITEBYTECODE`` and its arguments."""
        return self.log.read_text().split("\0")[:-1]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    path = tmp_path / "bin"
    path.mkdir()
    for tool in ("sh", "cat", "dirname", "readlink"):
        found = shutil.which(tool)
        assert found is not None
        (path / tool).symlink_to(found)
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    shutil.copy(LAUNCHER, checkout)
    return Machine(path, checkout, tmp_path / "started")


def test_no_python_says_what_to_install(
    machine: Machine, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert machine.launch(cwd=tmp_path) == 4
    output = capfd.readouterr()
    assert "no Python 3.11 or later" in output.err
    assert "apt install python3 python3-venv" in output.err
    assert output.out == ""


def test_a_python_that_is_too_old_is_passed_over(machine: Machine, tmp_path: Path) -> None:
    machine.add_python("python3", too_old=True)
    machine.add_python("python")
    assert machine.launch(cwd=tmp_path) == STATUS_OF_RUN
    assert machine.started()[0] == "python"


def test_only_pythons_that_are_too_old_is_no_python(machine: Machine, tmp_path: Path) -> None:
    machine.add_python("python3", too_old=True)
    machine.add_python("python", too_old=True)
    assert machine.launch(cwd=tmp_path) == 4


def test_a_shim_that_starts_nothing_is_passed_over(machine: Machine, tmp_path: Path) -> None:
    shim = machine.path / "python3.13"
    shim.write_text("#!/bin/sh\necho 'python3.13: command not found' >&2\nexit 127\n")
    shim.chmod(0o755)
    machine.add_python("python3")
    assert machine.launch(cwd=tmp_path) == STATUS_OF_RUN


def test_uv_is_asked_where_there_is_no_python(machine: Machine, tmp_path: Path) -> None:
    python = machine.add_python(tmp_path / "uv pythons" / "python3.13")
    uv = machine.path / "uv"
    uv.write_text(_UV_WITH_A_PYTHON.format(python=python))
    uv.chmod(0o755)
    assert machine.launch("film.mkv", cwd=tmp_path) == STATUS_OF_RUN
    assert machine.started()[0] == "python3.13"


def test_a_ready_environment_runs_the_batch(machine: Machine, tmp_path: Path) -> None:
    machine.add_python("python3")
    machine.add_environment()
    assert machine.launch(cwd=tmp_path) == STATUS_OF_RUN
    assert machine.started()[3] == f"{machine.checkout}/run_batch.py"
    assert machine.started()[0] == "python"


def test_a_half_made_environment_is_not_used(machine: Machine, tmp_path: Path) -> None:
    machine.add_python("python3")
    machine.add_environment(ready=False)
    assert machine.launch(cwd=tmp_path) == STATUS_OF_RUN
    assert machine.started()[0] == "python3"


def test_an_environment_whose_python_was_removed_is_not_used(
    machine: Machine, tmp_path: Path
) -> None:
    machine.add_python("python3")
    machine.add_environment()
    python = machine.checkout / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to(tmp_path / "removed")
    assert machine.launch(cwd=tmp_path) == STATUS_OF_RUN
    assert machine.started()[0] == "python3"


def test_arguments_and_folder_arrive_unchanged(machine: Machine, tmp_path: Path) -> None:
    machine.add_environment()
    cwd = tmp_path / "films [new]"
    cwd.mkdir()
    machine.launch(*ARGUMENTS, cwd=cwd)
    _, folder, _, _, *arguments = machine.started()
    assert arguments == ARGUMENTS
    assert folder == str(cwd)


def test_bytecode_is_written(machine: Machine, tmp_path: Path) -> None:
    machine.add_environment()
    machine.launch(cwd=tmp_path)
    assert machine.started()[2] == "unset"


@pytest.mark.parametrize("ready", [True, False], ids=["ready", "first run"])
@pytest.mark.parametrize("name", ODD_NAMES)
def test_the_checkout_may_have_an_odd_name(
    machine: Machine, tmp_path: Path, name: str, ready: bool
) -> None:
    machine.add_python("python3")
    machine.checkout = machine.checkout.rename(tmp_path / name)
    if ready:
        machine.add_environment()
    assert machine.launch("x", cwd=tmp_path) == STATUS_OF_RUN
    assert machine.started()[3:] == [f"{machine.checkout}/run_batch.py", "x"]


@pytest.mark.parametrize("shell", ["sh", "bash", "dash", "ksh", "zsh"])
def test_any_posix_shell_runs_it(machine: Machine, tmp_path: Path, shell: str) -> None:
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"{shell} is not installed")
    machine.add_environment()
    os.symlink(found, machine.path / "the shell")
    command = machine.path / "the shell"
    assert machine.launch("run_batch.sh", "x", launcher=command, cwd=machine.checkout) == 7
    assert machine.started()[3:] == ["./run_batch.py", "x"]


def test_it_may_be_reached_by_links(machine: Machine, tmp_path: Path) -> None:
    machine.add_environment()
    links = tmp_path / "links"
    links.mkdir()
    (links / "relative").symlink_to("../checkout/run_batch.sh")
    (links / "absolute").symlink_to(links / "relative")
    assert machine.launch(launcher=links / "absolute", cwd=links) == STATUS_OF_RUN
    assert Path(machine.started()[3]).parent.samefile(machine.checkout)
