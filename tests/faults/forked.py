"""Coordinators that start in no time: forked from a process which has imported the program already.

Half of what a small night costs is Python's imports, and they change nothing that a kill could
tear. Everything from the command line on is done by each fork itself, from ``main()`` to the exit
of the interpreter; jobs, stages and the guardian are started by it as ever.

Run as a module this is that process: it reads one request a line and answers with one line for the
start and one for the end of each fork.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults.unmeasured import unmeasured

ROOT = Path(__file__).parents[2]

MODULES = {"batch": "batch.cli", "run-pipeline": "orchestrator.cli.run_pipeline"}
"""The commands that can be run, and the module whose ``main`` each is."""


@dataclass(frozen=True, slots=True)
class Ended:
    """Exit status (negative: the signal that killed it), and what it printed."""

    code: int
    out: str
    err: str


PATIENCE_SECONDS = 120.0
"""No night of the suite takes so long, on a busy machine either."""


class Forks:
    """Runs commands as forks of one process. Use it as a context manager."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> Forks:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tests.faults.forked"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=unmeasured({**os.environ, "PYTHONPATH": str(ROOT)}),
            cwd=ROOT,
        )
        return self

    def __exit__(self, *_: object) -> None:
        with self._process as process:
            assert process.stdin is not None
            process.stdin.close()

    def run(self, command: str, arguments: Sequence[str], environ: Mapping[str, str]) -> Ended:
        """Run the command to its end."""
        with self.stopped(command, arguments, environ) as fork:
            return fork.end()

    @contextlib.contextmanager
    def stopped(
        self,
        command: str,
        arguments: Sequence[str],
        environ: Mapping[str, str],
        python: str = sys.executable,
    ) -> Iterator[Fork]:
        """A fork that has not begun yet: it is stopped, and goes on at :meth:`Fork.end`.

        ``python``: what it is to take for its interpreter, and so starts jobs with.
        """
        out, err = self._folder / "forked.out", self._folder / "forked.err"
        self._tell(
            {
                "command": command,
                "arguments": list(arguments),
                "environ": dict(environ),
                "python": python,
                "folder": str(self._folder),
                "out": str(out),
                "err": str(err),
            }
        )
        yield Fork(self._hear(), self, out, err)

    def _tell(self, request: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()

    def _hear(self) -> int:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the process to fork from has ended")
        return int(line)


class Fork:
    """One command, stopped before its first step."""

    def __init__(self, pid: int, forks: Forks, out: Path, err: Path) -> None:
        self.pid = pid
        self._forks = forks
        self.out, self._err = out, err

    def end(self) -> Ended:
        """Let it go, and wait for its end; one that hangs is killed, and has that for its code."""
        patience = threading.Timer(PATIENCE_SECONDS, os.kill, (self.pid, signal.SIGKILL))
        patience.start()
        try:
            os.kill(self.pid, signal.SIGCONT)
            code = self._forks._hear()
        finally:
            patience.cancel()
        out, err = (path.read_text("utf-8", "replace") for path in (self.out, self._err))
        return Ended(code, out, err)


def serve() -> int | None:
    """Fork as asked until there is no more request; in a fork, the exit code of its command."""
    import importlib

    import batch.report
    import batch.session  # noqa: F401 - the imports that commands put off

    commands = {name: importlib.import_module(module) for name, module in MODULES.items()}
    gc.freeze()
    for line in sys.stdin.buffer:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            _become(request)
            os.kill(os.getpid(), signal.SIGSTOP)
            return int(commands[request["command"]].main(request["arguments"]))
        os.waitpid(child, os.WUNTRACED)
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)
    return None


def _become(request: Mapping[str, Any]) -> None:
    """Change what a fork inherits into what the command would have been started with."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    opened = [nothing, os.open(request["out"], flags, 0o600), os.open(request["err"], flags, 0o600)]
    for number, descriptor in enumerate(opened):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(request["environ"])
    os.chdir(request["folder"])
    sys.argv = [request["command"], *request["arguments"]]
    sys.executable = request["python"]


if __name__ == "__main__":
    sys.exit(serve())
