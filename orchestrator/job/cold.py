"""Run an attempt in a process of its own: start it, relay what it says, stop it, wait for its end.

A job that runs on workers alone never imports this module: ``subprocess`` costs 6 ms of CPU.
"""

from __future__ import annotations

import contextlib
import os
import queue
import subprocess
import threading
import time
from collections.abc import Callable
from typing import IO

from orchestrator.contract.channel import LAST_WORDS_SECONDS, Sender, start_reader
from orchestrator.contract.devices import visible_to
from orchestrator.contract.errors import ErrorClass, ErrorInfo, fail
from orchestrator.contract.exchange import StageRequest
from orchestrator.contract.job import JobStage
from orchestrator.contract.messages import (
    Cancel,
    Finished,
    Heartbeat,
    Message,
    Progress,
    Warning,
)
from orchestrator.contract.paths import AttemptFolder
from orchestrator.contract.watchdog import Watchdog
from orchestrator.job.link import FromStage, Link
from orchestrator.job.stageprocess import (
    Ended,
    Interrupted,
    error_told,
    stage_argv,
    stage_environment,
)

# Some native libraries hang at interpreter exit after all work is done.
EXIT_SECONDS = 10.0


def run_cold(stage: JobStage, request: StageRequest, folder: AttemptFolder, link: Link) -> Ended:
    """Start a process for the attempt, relay its messages upward, and wait for its end.

    Raises:
        Failure: it cannot be started, or makes no progress.
        Interrupted: told to stop while it ran.
        OSError: the attempt's folder cannot be written.
    """
    return _ColdAttempt(stage, request, folder, link).run()


class _ColdAttempt:
    def __init__(
        self, stage: JobStage, request: StageRequest, folder: AttemptFolder, link: Link
    ) -> None:
        self._stage = stage
        self._request = request
        self._folder = folder
        self._link = link
        self._watchdog = Watchdog(stage.stall_seconds)
        self._error: ErrorInfo | None = None

    def run(self) -> Ended:
        with self._folder.log.open("ab", buffering=0) as log, self._start(log) as process:
            try:
                self._relay(process, log.write)
                process.wait(EXIT_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
            except BaseException:
                process.kill()
                raise
        return Ended(process.returncode, self._error)

    def _start(self, log: IO[bytes]) -> subprocess.Popen[bytes]:
        environment = stage_environment(os.environ, self._request.threads, self._folder.scratch)
        environment.update(visible_to(self._request.device, os.environ))
        python = self._stage.environment.python
        try:
            return subprocess.Popen(
                [*stage_argv(python, self._stage.folder), str(self._folder.root)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=self._folder.scratch,
                env=environment,
            )
        except OSError as error:
            raise fail(
                "environment_missing",
                f"the environment of stage {self._stage.name} cannot be started: {error}",
                "Run verify_install.py --build: it builds what is missing.",
                error_class=ErrorClass.ENVIRONMENT,
            ) from error

    def _relay(self, process: subprocess.Popen[bytes], log: Callable[[bytes], object]) -> None:
        """Pass messages on until the stage's pipe ends.

        Raises:
            Interrupted, Failure ``stage_stalled``: the process is still running.
        """
        assert process.stdin is not None
        assert process.stdout is not None
        inbox = self._link.inbox
        control = Sender(process.stdin.fileno(), self._request.run_id)
        attempt = self._request.attempt
        # A descriptor of its own: what the stage left behind may hold the pipe for longer than we
        # keep ours, whose number would then be given to another file.
        outgoing = os.dup(process.stdout.fileno())

        def end() -> None:
            os.close(outgoing)
            inbox.put(FromStage(attempt, None))

        start_reader(
            outgoing,
            lambda message: inbox.put(FromStage(attempt, message)),
            on_end=end,
            on_text=lambda line: log(line + b"\n"),
        )
        threading.Thread(target=self._end_with, args=(process,), daemon=True).start()
        cancel_at: float | None = None
        while True:
            item = self._next(cancel_at)
            if isinstance(item, FromStage):
                if item.attempt != attempt:
                    continue  # the late words of one that was killed
                if item.message is None:
                    break
                self._pass_on(item.message)
                continue
            self._link.note(item)
            if isinstance(item, Cancel) and cancel_at is None:
                with contextlib.suppress(OSError):  # who cannot be told is killed in time
                    control.send(item)
                cancel_at = time.monotonic() + self._stage.grace_seconds
        if self._link.cancelled:
            raise Interrupted

    def _end_with(self, process: subprocess.Popen[bytes]) -> None:
        """What the stage forked may hold its pipe for longer than the stage lives."""
        process.wait()
        time.sleep(LAST_WORDS_SECONDS)
        self._link.inbox.put(FromStage(self._request.attempt, None))

    def _next(self, cancel_at: float | None) -> Message | FromStage:
        """The next message; enforces the limits on silence and on the time to stop."""
        inbox = self._link.inbox
        if cancel_at is not None:
            try:
                return inbox.get(timeout=max(0.0, cancel_at - time.monotonic()))
            except queue.Empty:
                raise Interrupted from None
        while (patience := self._watchdog.seconds_left()) > 0:
            try:
                return inbox.get(timeout=patience)
            except queue.Empty:
                continue
        raise fail(
            "stage_stalled",
            f"stage {self._stage.name} made no progress for {self._stage.stall_seconds:.0f} s",
            "Run again; if it stalls again, report it with the job's stage.log.",
            error_class=ErrorClass.INTERNAL,
            retryable=True,
        )

    def _pass_on(self, message: Message) -> None:
        if not isinstance(message, Heartbeat):
            self._watchdog.sign()
        if isinstance(message, Progress | Warning | Heartbeat):
            self._link.send(message)
        if isinstance(message, Finished):
            self._error = error_told(message)
