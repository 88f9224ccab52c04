"""Look into media files through a resident child, so that a hostile file cannot take us down."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from orchestrator.contract.channel import LineSplitter
from orchestrator.contract.errors import ErrorClass, ErrorInfo
from orchestrator.contract.exchange import StageRequest
from orchestrator.contract.media import ProbeResult
from orchestrator.contract.messages import Finished, Run, decode, encode
from orchestrator.contract.processes import RUN_VARIABLE
from orchestrator.contract.records import to_json
from orchestrator.job.stageprocess import stage_argv, stage_environment

PROBE_SECONDS = 30.0
"""No healthy file takes this long to open, not on a share that has to wake a disk either."""

DYING_SECONDS = 2.0
"""A killed child is gone in milliseconds."""


class Prober:
    """Asks the child about one file at a time; a child that dies or hangs is replaced."""

    def __init__(self, argv: Sequence[str], scratch: Path, run_id: str) -> None:
        self._argv = argv
        self._scratch = scratch
        self._run_id = run_id
        self._process: trio.Process | None = None
        self._splitter = LineSplitter()
        self._lines: list[bytes] = []
        self._turn = trio.Lock()

    async def probe(self, path: str) -> ProbeResult:
        """What is in the file. A file that kills or stalls the child is an error in the result."""
        async with self._turn:
            return await self._probe(path)

    async def _probe(self, path: str) -> ProbeResult:
        with trio.move_on_after(PROBE_SECONDS):
            answer = await self._answer(path)
            if answer is None:  # it may have been killed, or been dead before: not the file's fault
                answer = await self._answer(path)
            if answer is None and await self._answer(str(self._scratch)) is None:
                return ProbeResult("", error=_broken())
            if answer is None:
                return ProbeResult("", error=_crashed(path))
            if answer.ok:
                return ProbeResult.from_json(answer.data["media"])
            assert answer.error is not None
            error = ErrorInfo.from_json(answer.error)
            if error.error_class is ErrorClass.ENVIRONMENT:
                # A library that was out of reach for a moment stays so for a process that looked.
                await self.close()
            return ProbeResult("", error=error)
        return ProbeResult("", error=_stalled(path))

    async def _answer(self, path: str) -> Finished | None:
        """None: the child died of the question, or cannot be started; the next gets a new one."""
        answer = None
        try:
            answer = await self._ask(path)
        except (trio.BrokenResourceError, trio.ClosedResourceError, OSError):
            pass
        except BaseException:
            # Its late answer must not be taken for the one to the next question.
            await self.close()
            raise
        if answer is None:
            await self.close()
        return answer

    async def _ask(self, path: str) -> Finished | None:
        """None: the child ended without an answer."""
        if self._process is None:
            self._process = await self._start()
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        request = StageRequest(
            run_id=self._run_id,
            job_id="",
            stage="probe",
            attempt="",
            media=path,
            inputs={},
            outputs={},
            outputs_dir="",
            scratch_dir=str(self._scratch),
            settings={},
        )
        await stdin.send_all(encode(Run(to_json(request)), self._run_id))
        while True:
            while self._lines:
                message = decode(self._lines.pop(0))
                if isinstance(message, Finished):
                    return message
            data = bytes(await stdout.receive_some(65536))
            if not data:
                return None
            self._lines += self._splitter.feed(data)

    async def _start(self) -> trio.Process:
        self._splitter = LineSplitter()
        self._lines = []
        return await trio.lowlevel.open_process(
            list(self._argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=self._scratch,
            env={**stage_environment(os.environ, 1, self._scratch), RUN_VARIABLE: self._run_id},
        )

    async def close(self) -> None:
        """End the child and wait for it, but not as long as for a dead disk that it waits for."""
        process, self._process = self._process, None
        if process is None:
            return
        with trio.CancelScope(shield=True):
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            with trio.move_on_after(DYING_SECONDS):
                await process.wait()
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None
                await trio.aclose_forcefully(pipe)


@asynccontextmanager
async def open_prober(
    python: Path, stage_folder: Path, scratch: Path, run_id: str
) -> AsyncIterator[Prober]:
    """A prober on the ``probe`` stage; its child starts with the first question."""
    prober = Prober(stage_argv(python, stage_folder), scratch, run_id)
    try:
        yield prober
    finally:
        await prober.close()


def _crashed(path: str) -> ErrorInfo:
    return ErrorInfo(
        "probe_crashed",
        f"{path}: the media library crashed while opening it",
        "The file is probably damaged: play it, and copy it again if it does not play.",
        ErrorClass.INPUT,
    )


def _broken() -> ErrorInfo:
    """It dies of a folder as well, of which it should say that it is no file."""
    return ErrorInfo(
        "environment_broken",
        "the process that looks into media files cannot be started, or ends at once",
        "Run verify_install.py --build: it rebuilds a broken environment.",
        ErrorClass.ENVIRONMENT,
    )


def _stalled(path: str) -> ErrorInfo:
    return ErrorInfo(
        "probe_stalled",
        f"{path}: opening it took more than {PROBE_SECONDS:.0f} s",
        "Check the disk or the network share, then run again.",
        ErrorClass.STORAGE,
        retryable=True,
    )
