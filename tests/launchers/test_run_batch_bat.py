"""run_batch.bat, run by wine's cmd: the Pythons are tiny Windows programs that log their start."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from windows_program import read_log, write_program

pytestmark = pytest.mark.skipif(
    shutil.which("wine") is None, reason="wine is not installed: run_batch.bat cannot be run here"
)

LAUNCHER = Path(__file__).parents[2] / "run_batch.bat"
PATIENCE_SECONDS = 120
QUESTION = '-c "import sys; sys.exit(sys.version_info < (3, 11))"'
# Not tried: a per cent sign. wine's cmd takes it from %~dp0, that of Windows does not.
ODD_NAMES = ["a & b! (c)", "[x]", "Été à la mer", "caret^", "it's", "ab;c,d=e", "two  spaces"]


@dataclass
class Machine:
    """A Windows machine whose only Pythons are those that a test adds."""

    path: Path
    checkout: Path
    log: Path
    variables: dict[str, str]

    def add(self, program: str | Path, *, check_status: int = 0, run_status: int = 7) -> None:
        write_program(
            self.path / program,
            _windows_path(self.log),
            check_status=check_status,
            run_status=run_status,
        )

    def add_environment(self, *, ready: bool = True, run_status: int = 7) -> None:
        environment = self.checkout / ".venv"
        self.add(environment / "Scripts" / "python.exe", run_status=run_status)
        (environment / ("ready" if ready else "ours")).touch()

    def launch(self, *arguments: str, keys: str = "", **variables: str) -> tuple[int, str]:
        """The exit status, and what was said on stdout and stderr."""
        done = subprocess.run(
            ["wine", "cmd", "/c", "run_batch.bat", *arguments],
            env={**self.variables, "WINEPATH": _windows_path(self.path), **variables},
            cwd=self.checkout,
            input=keys.encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        return done.returncode, done.stdout.decode(errors="replace").replace("\r\n", "\n")

    def started(self) -> list[str]:
        return [line.strip() for line in read_log(self.log)]

    def script(self) -> str:
        return f'"{_windows_path(self.checkout)}\\run_batch.py"'


def _windows_path(path: Path) -> str:
    return "Z:" + str(path).replace("/", "\\")


@pytest.fixture(scope="session")
def wine_variables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The variables of a fresh Windows, and its end."""
    home = tmp_path_factory.mktemp("wine")
    variables = {
        "HOME": str(home),
        "PATH": os.environ["PATH"],
        "LC_ALL": "C.UTF-8",
        "WINEPREFIX": str(home / "prefix"),
        "WINEDEBUG": "-all",
        "WINEDLLOVERRIDES": "mscoree,mshtml,winemenubuilder.exe=",
    }
    subprocess.run(
        ["wine", "wineboot", "--init"],
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=PATIENCE_SECONDS,
        check=True,
    )
    # While one program runs, the services that wine starts behind every first one stay, and do not
    # hold the pipes of the tests open.
    keeper = subprocess.Popen(
        ["wine", "cmd"],
        env=variables,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    yield variables
    keeper.communicate(b"exit\r\n", timeout=PATIENCE_SECONDS)


@pytest.fixture
def machine(tmp_path: Path, wine_variables: dict[str, str]) -> Machine:
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    shutil.copy(LAUNCHER, checkout)
    path = tmp_path / "programs"
    path.mkdir()
    return Machine(path, checkout, tmp_path / "log", wine_variables)


def test_no_python_says_what_to_install(machine: Machine) -> None:
    status, output = machine.launch()
    assert status == 4
    assert output == (
        "error: no Python 3.11 or later was found\n"
        "  what to do: install Python from https://www.python.org/downloads/ and let it be added"
        " to\n  PATH, or uv from https://docs.astral.sh/uv/, then run this again.\n"
    )


def test_the_launcher_of_python_is_asked_first(machine: Machine) -> None:
    machine.add("py.exe")
    machine.add("python.exe")
    assert machine.launch("x y", "--limit", "2")[0] == 7
    assert machine.started() == [
        f"py -3 {QUESTION}",
        f'py -3 {machine.script()} "x y" --limit 2',
    ]


def test_a_python_that_is_too_old_is_passed_over(machine: Machine) -> None:
    machine.add("py.exe", check_status=1)
    machine.add("python.exe")
    assert machine.launch()[0] == 7
    assert machine.started()[1:] == [f"python {QUESTION}", f"python {machine.script()}"]


def test_a_python_that_crashes_is_passed_over(machine: Machine) -> None:
    machine.add("py.exe", check_status=0xC0000135)
    machine.add("python.exe", check_status=9009)
    assert machine.launch()[0] == 4


def test_uv_is_asked_where_there_is_no_python(machine: Machine) -> None:
    machine.add("uv.exe", run_status=0)
    assert machine.launch("x y")[0] == 0
    assert machine.started() == [
        "uv --version",
        f'uv run --no-project --isolated --python ">=3.11" {machine.script()} "x y"',
    ]


def test_a_ready_environment_is_all_that_is_started(machine: Machine) -> None:
    machine.add("py.exe")
    machine.add_environment(run_status=5)
    assert machine.launch()[0] == 5
    python = _windows_path(machine.checkout / ".venv" / "Scripts" / "python.exe")
    assert machine.started() == [f'"{python}" {machine.script()}']


def test_a_half_made_environment_is_not_used(machine: Machine) -> None:
    machine.add("py.exe")
    machine.add_environment(ready=False)
    machine.launch()
    assert machine.started()[1:] == [f"py -3 {machine.script()}"]


def test_an_environment_whose_python_was_removed_says_what_to_do(machine: Machine) -> None:
    machine.add_environment(run_status=103)
    status, output = machine.launch()
    assert status == 103
    assert "delete the folder .venv" in output


def test_arguments_arrive_unchanged(machine: Machine) -> None:
    machine.add_environment()
    machine.launch("Films & Séries [2024]", "[x]", "(y) z", "k!", "", "--set", "a = ^b")
    arguments = ' "Films & Séries [2024]" [x] "(y) z" k! "" --set "a = ^b"'
    assert machine.started()[0].endswith(machine.script() + arguments)


@pytest.mark.parametrize("ready", [True, False], ids=["ready", "first run"])
@pytest.mark.parametrize("name", ODD_NAMES)
def test_the_checkout_may_have_an_odd_name(
    machine: Machine, tmp_path: Path, name: str, ready: bool
) -> None:
    machine.checkout = machine.checkout.rename(tmp_path / name)
    machine.add("py.exe")
    if ready:
        machine.add_environment()
    assert machine.launch("x")[0] == 7
    assert machine.started()[-1].endswith(f"{machine.script()} x")
    assert len(machine.started()) == (1 if ready else 2)


def test_a_double_click_leaves_the_window_open(machine: Machine) -> None:
    # wine's cmd has no CMDCMDLINE of its own, so this is what that of Windows would say. Nor can it
    # tell one line from another: that a terminal is not held up has not been tried.
    line = f'C:\\Windows\\system32\\cmd.exe /c ""{machine.checkout}\\run_batch.bat" "'
    status, output = machine.launch(keys="\r\n", CMDCMDLINE=line)
    assert status == 4
    assert output.rstrip().endswith("Press any key to continue...")


def test_a_script_can_switch_the_pause_off(machine: Machine) -> None:
    line = 'cmd.exe /c "run_batch.bat"'
    assert "Press" not in machine.launch(CMDCMDLINE=line, NO_PAUSE="1")[1]


def test_the_file_has_the_line_ends_that_cmd_needs() -> None:
    lines = LAUNCHER.read_bytes().splitlines(keepends=True)
    assert all(line.endswith(b"\r\n") for line in lines)
