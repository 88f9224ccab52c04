"""Run the coordinator as it is and note for how long its event loop was ever blocked::

    python -m tests.faults.watched NOTE ARGUMENTS...

``NOTE`` is a file that holds the longest time in seconds. A loop is blocked while one step of one
task waits in a system call or for a lock; a step that merely waits for a processor of a busy
machine is not. The coordinator looks at its disks more often than it would (see ``main``).
"""

from __future__ import annotations

import functools
import runpy
import sys
import threading
import time
from pathlib import Path

import trio

from batch import storage

SAMPLE_SECONDS = 0.02
LOOK_SECONDS = 0.2
ANSWER_SECONDS = 1.5


class Pulse(trio.abc.Instrument):
    """Counts the steps of the loop, and looks from a thread whether one of them is stuck."""

    def __init__(self, note: Path) -> None:
        self._note = note
        self._step = 0
        self._running = False
        self._loop_thread = threading.get_native_id()
        self._over = threading.Event()
        self.longest = 0.0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._step += 1
        self._running = True

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        self._running = False

    def watch(self) -> None:
        """Sample for ever; run it in a daemon thread."""
        since: float | None = None
        step = 0
        while not self._over.wait(SAMPLE_SECONDS):
            now = time.monotonic()
            stuck = self._running and self._waits()
            if not stuck or self._step != step:
                since, step = (now if stuck else None), self._step
            elif since is not None and now - since > self.longest:
                self.longest = now - since
                self._note.write_text(f"{self.longest:.3f}")

    def _waits(self) -> bool:
        status = Path(f"/proc/self/task/{self._loop_thread}/stat").read_text()
        return status.rpartition(")")[2].split()[0] in "SD"


def main(note: Path, arguments: list[str]) -> None:
    """Patience is shortened so that a night with a hanging disk takes seconds."""
    note.write_text("0")
    pulse = Pulse(note)
    threading.Thread(target=pulse.watch, daemon=True).start()
    setattr(trio, "run", functools.partial(trio.run, instruments=[pulse]))  # noqa: B010
    storage.LOOK_SECONDS, storage.ANSWER_SECONDS = LOOK_SECONDS, ANSWER_SECONDS
    sys.argv = ["batch", *arguments]
    runpy.run_module("batch", run_name="__main__")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
