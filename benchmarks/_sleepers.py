"""Real processes instead of a simulated machine: each sleeps for what its work would take.

A resident worker is one process that sleeps for its loading, says so, and then sleeps once for each
attempt it is told to run; a cold attempt is a process of its own. Only time is scaled. On a busy
machine a sleep takes longer than it should: a process says how long it really took, and the lower
bound is made of that. What passes between the processes, and deciding, is the scheduler's.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any

import trio

from batch.schedule.model import QueuedFile, Start
from benchmarks._simulator import Broken, Outcome, Simulation

SLEEPER = """
import sys, time
time.sleep(float(sys.argv[1]))
print("ready", flush=True)
for line in sys.stdin:
    begin = time.monotonic()
    time.sleep(float(line))
    print(time.monotonic() - begin, flush=True)
"""


class RealRun(Simulation):
    """The same bookkeeping and the same decisions; with a ``scale`` of 0.01, 100 s take 1 s."""

    def __init__(self, *arguments: Any, scale: float, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._scale = scale
        self._sleepers: dict[str, trio.Process] = {}
        self._took: dict[tuple[str, str], float] = {}

    def run(self) -> Outcome:
        """Raises: Broken."""
        return trio.run(self._run)

    async def _run(self) -> Outcome:
        async with trio.open_nursery() as self._nursery:
            self._over = trio.Event()
            self._began = trio.current_time()
            self._act()
            await self._over.wait()
            self._nursery.cancel_scope.cancel()
        for process in self._sleepers.values():
            process.kill()
            await process.wait()
        return self.outcome

    def _at(self, seconds: float, event: Callable[[], None]) -> None:
        self._then(partial(trio.sleep, seconds * self._scale), event)

    def _begin_attempt(self, start: Start, seconds: float) -> None:
        step = self._jobs[start.file].steps[0]
        beside = seconds - step.run_s  # loading in a cold process, or more threads

        async def work() -> None:
            if start.worker is None:
                took = await self._run_cold(seconds)
            else:
                took = await self._run_warm(self._sleepers[start.worker], seconds)
            self._took[start.file, step.stage] = took / self._scale - beside

        self._then(work, partial(self._ended, start))

    def really(self) -> list[QueuedFile]:
        """The files with the times that the processes say they took."""
        return [
            replace(
                file,
                steps=tuple(
                    replace(step, run_s=self._took[file.file, step.stage]) for step in file.steps
                ),
            )
            for file in self._files
        ]

    def _begin_loading(self, name: str, seconds: float) -> None:
        self._then(partial(self._load, name, seconds), partial(self._loaded, name))

    def _begin_ending(self, name: str) -> None:
        self._then(partial(self._end, self._sleepers.pop(name)), partial(self._gone, name))

    def _then(self, work: Callable[[], Awaitable[object]], event: Callable[[], None]) -> None:
        """Do ``work`` in the background; then note what it came to, and decide anew."""

        async def both() -> None:
            await work()
            self.now = (trio.current_time() - self._began) / self._scale
            event()
            if self.finished:
                self.outcome.makespan = self.now
                self._over.set()
            else:
                self._act()

        self._nursery.start_soon(both)

    async def _load(self, name: str, seconds: float) -> None:
        self._sleepers[name] = process = await _start(seconds * self._scale)
        await _answer(process)

    async def _run_warm(self, process: trio.Process, seconds: float) -> float:
        assert process.stdin is not None
        await process.stdin.send_all(f"{seconds * self._scale}\n".encode())
        return float(await _answer(process))

    async def _run_cold(self, seconds: float) -> float:
        process = await _start(0.0)
        await _answer(process)
        took = await self._run_warm(process, seconds)
        await self._end(process)
        return took

    async def _end(self, process: trio.Process) -> None:
        assert process.stdin is not None
        await process.stdin.aclose()
        await process.wait()


async def _start(seconds: float) -> trio.Process:
    return await trio.lowlevel.open_process(
        [sys.executable, "-I", "-S", "-c", SLEEPER, str(seconds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


async def _answer(process: trio.Process) -> bytes:
    assert process.stdout is not None
    answer = await process.stdout.receive_some()
    if not answer:
        raise Broken(f"process {process.pid} died")
    return bytes(answer)
