"""run_batch.py makes the base environment; what it starts is played here, unless marked real."""

import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

import run_batch
from run_batch import Unavailable, is_ready, make_environment, python_of

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the played programs are scripts")


class Programs:
    """Plays venv, pip and uv: what each was asked, and the environment they leave behind."""

    def __init__(self, root: Path) -> None:
        self.environment = root / ".venv"
        self.asked: list[str] = []
        self.statuses: dict[str, int] = {}

    def __call__(self, command: Sequence[str], folder: Path, descriptor: int) -> int:
        assert folder == self.environment.parent
        os.fstat(descriptor)
        text = " ".join(command)
        name = next(name for name in _NAMES if name in text)
        self.asked.append(name)
        if name in ("-m venv", "uv venv"):
            assert (self.environment / "ours").exists()
            self.add_python()
        return self.statuses.get(name, 0)

    def add_python(self) -> None:
        python = python_of(self.environment)
        python.parent.mkdir(parents=True, exist_ok=True)
        python.touch()


_NAMES = ("-m venv", "uv venv", "find_spec('pip')", "version_info", "-m pip install", "uv pip")
_MADE = ["-m venv", "find_spec('pip')", "-m pip install"]
_UPDATED = ["version_info", "find_spec('pip')", "-m pip install"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    return tmp_path


@pytest.fixture
def programs(root: Path) -> Programs:
    return Programs(root)


def make(root: Path, programs: Programs) -> None:
    make_environment(root / ".venv", root, run=programs)


def test_it_is_made_once(root: Path, programs: Programs) -> None:
    make(root, programs)
    assert programs.asked == _MADE
    assert is_ready(root / ".venv", root)
    make(root, programs)
    assert programs.asked == _MADE


@pytest.mark.parametrize("step", ["-m venv", "-m pip install"])
def test_a_failing_installer_leaves_nothing_ready(
    root: Path, programs: Programs, step: str
) -> None:
    programs.statuses[step] = 3
    with pytest.raises(Unavailable, match="exit status 3") as caught:
        make(root, programs)
    assert "PIP_INDEX_URL" in caught.value.hint
    assert not is_ready(root / ".venv", root)


@pytest.mark.parametrize("step", ["-m venv", "-m pip install"])
def test_what_a_killed_run_left_is_made_anew(root: Path, programs: Programs, step: str) -> None:
    programs.statuses[step] = -9
    with pytest.raises(Unavailable):
        make(root, programs)
    left_behind = root / ".venv" / "lib" / "half-made"
    left_behind.parent.mkdir(exist_ok=True)
    left_behind.touch()

    again = Programs(root)
    make(root, again)
    assert again.asked == _MADE
    assert not left_behind.exists()
    assert is_ready(root / ".venv", root)


def test_other_dependencies_are_installed_into_it(root: Path, programs: Programs) -> None:
    make(root, programs)
    (root / "pyproject.toml").write_text("[project]\ndependencies = ['trio']\n")
    assert not is_ready(root / ".venv", root)
    again = Programs(root)
    make(root, again)
    assert again.asked == _UPDATED
    assert is_ready(root / ".venv", root)


def test_a_moved_checkout_is_installed_again(
    root: Path, programs: Programs, tmp_path_factory: pytest.TempPathFactory
) -> None:
    make(root, programs)
    moved = root.rename(tmp_path_factory.mktemp("elsewhere") / "moved")
    assert not is_ready(moved / ".venv", moved)
    again = Programs(moved)
    make(moved, again)
    assert again.asked == _UPDATED


def test_an_environment_whose_python_was_removed_is_made_anew(
    root: Path, programs: Programs
) -> None:
    make(root, programs)
    python_of(root / ".venv").unlink()
    assert not is_ready(root / ".venv", root)
    again = Programs(root)
    make(root, again)
    assert again.asked == _MADE


@pytest.mark.parametrize("first", ["done", "failed"])
def test_an_environment_of_its_user_is_kept_whatever_happens(
    root: Path, programs: Programs, first: str
) -> None:
    """One that an earlier version made, without a sign that it is ours, is taken for such a one."""
    programs.add_python()
    theirs = root / ".venv" / "theirs"
    theirs.touch()
    if first == "done":
        make(root, programs)
    else:
        programs.statuses["-m pip install"] = 1
        with pytest.raises(Unavailable):
            make(root, programs)
    (root / ".venv" / "making").touch()
    (root / "pyproject.toml").write_text("[project]\ndependencies = ['trio']\n")
    again = Programs(root)
    make(root, again)
    assert programs.asked == again.asked == _UPDATED
    assert theirs.exists()
    assert is_ready(root / ".venv", root)


@pytest.mark.parametrize("was_ready", [False, True])
@pytest.mark.parametrize("python", ["too old", "gone"])
def test_an_environment_of_its_user_that_does_not_work_is_not_touched(
    root: Path, programs: Programs, python: str, was_ready: bool
) -> None:
    programs.add_python()
    if was_ready:
        make(root, programs)
        (root / ".venv" / "ready").write_text("of an older checkout")
    if python == "gone":
        python_of(root / ".venv").unlink()
    programs.statuses["version_info"] = 1
    before = sorted((root / ".venv").rglob("*"))
    with pytest.raises(Unavailable, match=r"does not run, or is before 3\.11") as caught:
        make(root, programs)
    assert "Remove or rename" in caught.value.hint
    assert sorted((root / ".venv").rglob("*")) == before


def test_a_run_that_is_killed_while_it_empties_ours_leaves_it_ours(
    root: Path, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(root, programs)
    (root / ".venv" / "ready").write_text("of an older checkout")
    (root / ".venv" / "link").symlink_to(root)

    class Killed(BaseException):
        pass

    def killed(path: Path) -> None:
        raise Killed

    broken = Programs(root)
    broken.statuses["version_info"] = 127
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", killed)
        with pytest.raises(Killed):
            make(root, broken)
    again = Programs(root)
    make(root, again)
    assert again.asked == _MADE
    assert not (root / ".venv" / "link").exists()
    assert (root / "pyproject.toml").exists()


def test_a_broken_environment_of_ours_is_made_anew(root: Path, programs: Programs) -> None:
    make(root, programs)
    (root / ".venv" / "ready").write_text("of an older checkout")
    again = Programs(root)
    again.statuses["version_info"] = 127
    make(root, again)
    assert again.asked == ["version_info", *_MADE]


def test_uv_stands_in_for_a_python_without_ensurepip(
    root: Path, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(shutil, "which", lambda name: f"/opt/{name}")
    programs.statuses["find_spec('pip')"] = 1
    make(root, programs)
    assert programs.asked == ["uv venv", "find_spec('pip')", "uv pip"]


def test_neither_ensurepip_nor_uv(
    root: Path, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(Unavailable, match="ensurepip is missing") as caught:
        make(root, programs)
    assert "sudo apt install python3-venv" in caught.value.hint


def test_neither_pip_nor_uv(
    root: Path, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    programs.statuses["find_spec('pip')"] = 1
    with pytest.raises(Unavailable, match="has no pip, and uv is not on PATH"):
        make(root, programs)


def test_a_folder_that_cannot_be_written_to(root: Path, programs: Programs) -> None:
    (root / ".cache").touch()
    with pytest.raises(Unavailable, match="cannot be made") as caught:
        make(root, programs)
    assert "may write to" in caught.value.hint


def test_two_runs_at_once_make_it_once(
    root: Path,
    programs: Programs,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    other = run_batch._lock(root / ".cache" / ".venv.lock")
    other.__enter__()

    def meanwhile(seconds: float) -> None:
        finished = Programs(root)
        run_batch._Maker(root / ".venv", root, "", finished).make(0)
        other.__exit__(None, None, None)

    monkeypatch.setattr(time, "sleep", meanwhile)
    make(root, programs)
    assert programs.asked == []
    assert "waiting for it" in capsys.readouterr().err


def test_an_installer_that_outlives_its_run_keeps_others_out(root: Path) -> None:
    lock = root / "lock"
    with run_batch._lock(lock) as held:
        installer = subprocess.Popen(["cat"], stdin=subprocess.PIPE, pass_fds=[held])
    descriptor = os.open(lock, os.O_RDWR)
    assert not run_batch._locked(descriptor)
    installer.communicate(b"")
    assert run_batch._locked(descriptor)
    os.close(descriptor)


def test_commands_run_without_variables_that_mislead_them(
    root: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    with run_batch._lock(root / "lock") as descriptor:
        script = "env | grep ^PYTHON; pwd; exit 3"
        assert run_batch._run(["sh", "-c", script], root, descriptor) == 3
    output = capfd.readouterr()
    assert output.out == ""
    assert "PYTHONPATH" not in output.err
    assert "PYTHONDONTWRITEBYTECODE" not in output.err
    assert str(root) in output.err


class HandedOver(Exception):
    """In the place of becoming another program."""


@pytest.fixture
def ready(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    make(root, Programs(root))

    def become(program: str, command: list[str]) -> None:
        raise HandedOver(command)

    monkeypatch.setattr(os, "execv", become)
    return root


def test_the_batch_gets_the_samples_and_the_arguments(ready: Path) -> None:
    with pytest.raises(HandedOver) as caught:
        run_batch.main(["a b", "--limit", "1"], ready)
    python, *command = caught.value.args[0]
    assert python == str(python_of(ready / ".venv"))
    samples = ["--default-input-dir", str(ready / "samples")]
    assert command == ["-P", "-m", "batch", *samples, "a b", "--limit", "1"]


def test_the_batch_writes_bytecode(ready: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    with pytest.raises(HandedOver):
        run_batch.main([], ready)
    assert "PYTHONDONTWRITEBYTECODE" not in os.environ
    assert not sys.dont_write_bytecode


def test_a_python_that_is_too_old_says_so(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 4))
    assert run_batch.main([], root) == 4
    assert "this is Python 3.10.4" in capsys.readouterr().err


def test_what_cannot_be_made_is_a_failed_preflight(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / ".cache").touch()
    assert run_batch.main([], root) == 4
    assert "what to do:" in capsys.readouterr().err


def test_ctrl_c_while_it_is_made(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run_batch, "make_environment", interrupted)
    assert run_batch.main([], root) == 130
