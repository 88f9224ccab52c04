"""Makes the base environment where it is missing or out of date, then runs a batch in it.

``run_batch.sh`` and ``run_batch.bat`` find a Python for this file; ``python3 run_batch.py`` does
the same. It needs the standard library only. Without an input folder, given or set anywhere, the
batch works on the samples beside this file.

The environment is the folder ``.venv``. Two files in it tell its state: ``ours``, written first
where it is made here, and ``ready``, written last, with what was installed. One that has the first
and not the second was left behind by a killed run and is made anew; without the first it is its
user's, who alone may remove it. A virtual environment cannot be moved, so it is made in place; a
lock lets one run at a time do that, and is held by the children too, so that the installer of a
killed run has ended before the next one begins.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import runpy
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Runner = Callable[[Sequence[str], Path, int], int]

ROOT = Path(__file__).resolve().parent
OLDEST_PYTHON = (3, 11)
EXIT_PREFLIGHT = 4
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143

_LOCK_POLL_SECONDS = 0.2


class Unavailable(Exception):
    """The environment cannot be made: what happened, and what the user can do about it."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def main(arguments: Sequence[str], root: Path = ROOT) -> int:
    """Run ``python -m batch`` with the arguments; its exit status, or 4 where it cannot start."""
    if sys.version_info[:2] < OLDEST_PYTHON:
        found = ".".join(map(str, sys.version_info[:3]))
        return _refuse(
            Unavailable(
                f"this is Python {found} ({sys.executable}); 3.11 or later is needed",
                "Install it from https://www.python.org/downloads/, then run this again.",
            )
        )
    environment = root / ".venv"
    ready = is_ready(environment, root)
    if not ready:
        try:
            make_environment(environment, root)
        except Unavailable as problem:
            return _refuse(problem)
        except KeyboardInterrupt:
            return EXIT_INTERRUPTED
    _set_variables(root)
    batch = ["--default-input-dir", str(root / "samples"), *arguments]
    if ready and os.path.samefile(sys.prefix, environment):
        sys.argv[1:] = batch
        runpy.run_module("batch", run_name="__main__", alter_sys=True)
    return _hand_over([str(python_of(environment)), "-P", "-m", "batch", *batch])


def python_of(environment: Path) -> Path:
    """The interpreter of a virtual environment, there or not."""
    if sys.platform == "win32":
        return environment / "Scripts" / "python.exe"
    return environment / "bin" / "python"


def is_ready(environment: Path, root: Path, extras: str = "") -> bool:
    """Whether it was made, to its end, from the ``pyproject.toml`` and the place of now."""
    try:
        recorded = (environment / "ready").read_bytes()
    except OSError:
        return False
    return recorded == _made_from(root, extras) and python_of(environment).exists()


def make_environment(
    environment: Path, root: Path, extras: str = "", run: Runner | None = None
) -> None:
    """Bring a virtual environment up to date with the checkout at ``root``, which it refers to.

    Args:
        extras: optional dependencies to install as well, ``[test]``.
        run: starts a command in a folder, holding a descriptor; returns the exit status.

    Raises:
        Unavailable: it cannot be made.
        KeyboardInterrupt: the next time goes on, or makes anew what is ours.
    """
    maker = _Maker(environment, root, extras, run or _run)
    try:
        with _lock(root / ".cache" / f"{environment.name}.lock") as descriptor:
            if not is_ready(environment, root, extras):
                maker.make(descriptor)
    except OSError as error:
        raise Unavailable(
            f"the environment in {environment} cannot be made: {error}",
            "Put the folder of batch-subtitles on a disk that this user may write to; "
            f"if that is so, remove {environment} and run this again.",
        ) from error


class _Maker:
    def __init__(self, environment: Path, root: Path, extras: str, run: Runner) -> None:
        self._environment = environment
        self._root = root
        self._extras = extras
        self._run = run
        self._ready = environment / "ready"
        self._ours = environment / "ours"
        self._python = str(python_of(environment))

    def make(self, descriptor: int) -> None:
        """Make, or bring up to date, and say so; ``descriptor`` is that of the lock."""

        def step(what: str, command: Sequence[str]) -> None:
            status = self._run(command, self._root, descriptor)
            if status:
                raise Unavailable(
                    f"{what} failed (exit status {status})",
                    "The lines above say why. Without a network, name a folder of wheels or a "
                    "package index that can be reached (PIP_FIND_LINKS, PIP_INDEX_URL). Then run "
                    "this again.",
                )

        _say(f"Making the environment in {self._environment} (once, about half a minute) ...")
        works = self._works(descriptor)
        self._ready.unlink(missing_ok=True)
        if not works:
            self._empty()
            step("making a virtual environment", self._creation())
        step("installing the packages", self._installation(descriptor))
        temporary = self._environment / "ready.tmp"
        temporary.write_bytes(_made_from(self._root, self._extras))
        temporary.replace(self._ready)

    def _works(self, descriptor: int) -> bool:
        """True when there is an environment to install into; False: it may be made anew."""
        ours = self._ours.exists()
        if ours and not self._ready.exists():
            return False
        check = f"import sys; sys.exit(sys.version_info < {OLDEST_PYTHON})"
        works = (
            Path(self._python).exists()
            and self._run([self._python, "-c", check], self._root, descriptor) == 0
        )
        there = self._environment.exists() and any(self._environment.iterdir())
        if there and not works and not ours:
            raise Unavailable(
                f"the Python of {self._environment} does not run, or is before 3.11",
                f"Remove or rename {self._environment}, then run this again.",
            )
        return works

    def _empty(self) -> None:
        """Leave nothing in the folder but the sign that it is ours, however early this ends."""
        self._environment.mkdir(parents=True, exist_ok=True)
        self._ours.touch()
        for path in self._environment.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path != self._ours:
                path.unlink()

    def _creation(self) -> list[str]:
        if importlib.util.find_spec("ensurepip") is not None:
            return [sys.executable, "-m", "venv", str(self._environment)]
        uv = shutil.which("uv")
        if uv is None:
            raise Unavailable(
                f"{sys.executable} cannot make virtual environments: ensurepip is missing",
                "On Debian and Ubuntu: sudo apt install python3-venv. Elsewhere install uv, or "
                "Python from https://www.python.org/downloads/. Then run this again.",
            )
        place = str(self._environment)
        return [uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, place]

    def _installation(self, descriptor: int) -> list[str]:
        # "." from inside the folder: pip reads "[x]" at the end of a path as optional dependencies.
        target = ["--editable", f".{self._extras}"]
        check = "import sys, importlib.util as u; sys.exit(u.find_spec('pip') is None)"
        if self._run([self._python, "-c", check], self._root, descriptor) == 0:
            quiet = ["-qq", "--disable-pip-version-check", "--no-input"]  # errors only
            return [self._python, "-m", "pip", "install", *quiet, *target]
        uv = shutil.which("uv")
        if uv is None:
            raise Unavailable(
                f"{self._environment} has no pip, and uv is not on PATH",
                f"Install uv, or remove {self._environment}. Then run this again.",
            )
        return [uv, "pip", "install", "--quiet", "--python", self._python, *target]


def _made_from(root: Path, extras: str) -> bytes:
    return os.fsencode(f"{root}\n{extras}\n") + (root / "pyproject.toml").read_bytes()


def _run(command: Sequence[str], folder: Path, descriptor: int) -> int:
    """Run to the end, its output on stderr: stdout belongs to the batch."""
    environment = {name: value for name, value in os.environ.items() if name not in _UNWANTED}
    inherited = () if sys.platform == "win32" else (descriptor,)
    with _terminated_as_exit():
        return subprocess.run(
            list(command),
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            pass_fds=inherited,
            check=False,
        ).returncode


# Without bytecode every start of the environment's programs would compile its packages again; the
# other two would put foreign packages, or a foreign standard library, before its own.
_UNWANTED = frozenset({"PYTHONDONTWRITEBYTECODE", "PYTHONHOME", "PYTHONPATH"})


@contextlib.contextmanager
def _terminated_as_exit() -> Iterator[None]:
    """SIGTERM ends this process as an exception does, so that the running child is ended first."""

    def leave(*_: object) -> None:
        raise SystemExit(EXIT_TERMINATED)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[int]:
    """Wait for the exclusive lock on a file, and hold it: its open descriptor."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not _locked(descriptor):
            _say("Another run is making the environment: waiting for it ...")
            while not _locked(descriptor):
                time.sleep(_LOCK_POLL_SECONDS)
        yield descriptor
    finally:
        os.close(descriptor)


if sys.platform == "win32":
    import msvcrt

    def _locked(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True

else:
    import fcntl

    def _locked(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def _set_variables(root: Path) -> None:
    for name in _UNWANTED:
        os.environ.pop(name, None)
    sys.dont_write_bytecode = False
    if sys.platform == "win32" and not str(root).isascii():
        # Before 3.13, Python reads the file that leads from the environment to this folder in the
        # ANSI code page, and so does not find it.
        os.environ["PYTHONPATH"] = str(root)


def _hand_over(command: list[str]) -> int:
    """Become the command; where a process cannot, wait for it and return its exit status."""
    sys.stdout.flush()
    sys.stderr.flush()
    if sys.platform == "win32":
        process = subprocess.Popen(command)
        while True:
            # Ctrl-C reaches the batch as well, which ends in its own time.
            with contextlib.suppress(KeyboardInterrupt):
                return process.wait()
    return os.execv(command[0], command)


def _refuse(problem: Unavailable) -> int:
    _say(f"error: {problem}")
    _say(f"  what to do: {problem.hint}")
    return EXIT_PREFLIGHT


def _say(line: str) -> None:
    encoding = sys.stderr.encoding or "ascii"
    print(line.encode(encoding, "backslashreplace").decode(encoding), file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
