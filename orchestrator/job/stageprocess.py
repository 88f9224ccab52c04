"""Run one attempt of one stage in its own environment, and judge it by what it left behind."""

from __future__ import annotations

import os
import queue
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import IO

from orchestrator.contract import bootstrap
from orchestrator.contract.atomic import read_json, write_json
from orchestrator.contract.channel import Sender, start_reader
from orchestrator.contract.errors import ErrorClass, ErrorInfo, Failure, fail
from orchestrator.contract.exchange import RESULT_VERSION, StageRequest, StageResult, StageWarning
from orchestrator.contract.job import JobStage
from orchestrator.contract.messages import (
    Cancel,
    Heartbeat,
    Message,
    Progress,
    Warning,
)
from orchestrator.contract.paths import AttemptFolder
from orchestrator.contract.records import BadRecord, from_json, to_json
from orchestrator.job.link import FromStage, Link

# Some native libraries hang at interpreter exit after all work is done.
EXIT_SECONDS = 10.0

# Variables that would leak the base environment, or a secret, into a stage; and the one that makes
# every start of a stage compile its imports anew (pyannote.audio: 14.4 s instead of 5.4 s).
_DROPPED_VARIABLES = (
    "PYTHONPATH",
    "PYTHONHOME",
    "VIRTUAL_ENV",
    "PYTHONDONTWRITEBYTECODE",
    "HF_TOKEN",
    "HUGGING_FACE_HUB_TOKEN",
)


class Interrupted(Exception):
    """The attempt was stopped on request; nothing is wrong with the file."""


def stage_environment(base: Mapping[str, str], threads: int, scratch: Path) -> dict[str, str]:
    """The stage's environment variables: offline, without telemetry, threads as granted."""
    environment = {name: value for name, value in base.items() if name not in _DROPPED_VARIABLES}
    environment.update(
        {
            "HF_HUB_OFFLINE": "1",
            "TRANSFORMERS_OFFLINE": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "PYANNOTE_METRICS_ENABLED": "0",
            "OMP_NUM_THREADS": str(threads),
            "OPENBLAS_NUM_THREADS": str(threads),
            "MKL_NUM_THREADS": str(threads),
            "CUDA_DEVICE_ORDER": "PCI_BUS_ID",  # the order in which GPUs were counted
            "TMPDIR": str(scratch),
            "TEMP": str(scratch),
            "TMP": str(scratch),
        }
    )
    return environment


def stage_argv(python: Path | str, stage_folder: Path | str) -> list[str]:
    """Command line of a resident stage process; with an attempt folder added, of one attempt."""
    entry = str(Path(bootstrap.__file__).resolve())
    return [str(python), "-X", "utf8", "-I", entry, str(stage_folder)]


def run_attempt(
    stage: JobStage, request: StageRequest, folder: AttemptFolder, link: Link
) -> StageResult:
    """Start the stage process, relay its messages upward, wait for its end, check its result.

    Raises:
        Failure: the attempt failed; the error is the stage's own or says what is wrong with it.
        Interrupted: told to stop while it ran.
        OSError: the attempt's folder cannot be written.
    """
    folder.outputs.mkdir(parents=True)
    folder.scratch.mkdir()
    write_json(folder.request, to_json(request))
    returncode = _Attempt(stage, request, folder, link).run()
    result = check_result(stage, request, folder)
    if returncode != 0:
        crash = StageWarning("crashed_at_exit", f"ended with status {returncode} after its work")
        result = replace(result, warnings=(*result.warnings, crash))
    return result


class _Attempt:
    def __init__(
        self, stage: JobStage, request: StageRequest, folder: AttemptFolder, link: Link
    ) -> None:
        self._stage = stage
        self._request = request
        self._folder = folder
        self._link = link
        self._clock: Callable[[], float] = time.monotonic
        self._last_sign = self._clock()

    def run(self) -> int:
        """The exit status of the stage process. Raises: Interrupted, Failure."""
        with self._folder.log.open("ab", buffering=0) as log, self._start(log) as process:
            try:
                self._relay(process, log.write)
                process.wait(EXIT_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
            except BaseException:
                process.kill()
                raise
        return process.returncode

    def _start(self, log: IO[bytes]) -> subprocess.Popen[bytes]:
        python = self._stage.environment.python
        try:
            return subprocess.Popen(
                [*stage_argv(python, self._stage.folder), str(self._folder.root)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=self._folder.scratch,
                env=stage_environment(os.environ, self._request.threads, self._folder.scratch),
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
        start_reader(
            process.stdout.fileno(),
            lambda message: inbox.put(FromStage(message)),
            on_end=lambda: inbox.put(FromStage(None)),
            on_text=lambda line: log(line + b"\n"),
        )
        cancel_at: float | None = None
        while True:
            item = self._next(cancel_at)
            if isinstance(item, FromStage):
                if item.message is None:
                    break
                self._pass_on(item.message)
                continue
            self._link.note(item)
            if isinstance(item, Cancel) and cancel_at is None:
                control.send(item)
                cancel_at = self._clock() + self._stage.grace_seconds
        if self._link.cancelled:
            raise Interrupted

    def _next(self, cancel_at: float | None) -> Message | FromStage:
        """The next message; enforces the limits on silence and on the time to stop."""
        limit = cancel_at or self._last_sign + self._stage.stall_seconds
        try:
            return self._link.inbox.get(timeout=max(0.0, limit - self._clock()))
        except queue.Empty:
            if cancel_at is not None:
                raise Interrupted from None
            raise fail(
                "stage_stalled",
                f"stage {self._stage.name} made no progress for {self._stage.stall_seconds:.0f} s",
                "Run again; if it stalls again, report it with the job's stage.log.",
                error_class=ErrorClass.INTERNAL,
                retryable=True,
            ) from None

    def _pass_on(self, message: Message) -> None:
        if not isinstance(message, Heartbeat):
            self._last_sign = self._clock()
        if isinstance(message, Progress | Warning | Heartbeat):
            self._link.send(message)


def check_result(stage: JobStage, request: StageRequest, folder: AttemptFolder) -> StageResult:
    """The valid result of this attempt, every declared output present as it states.

    Raises:
        Failure: the stage's own error, ``stage_crashed`` (no result), or ``result_invalid``.
    """
    try:
        result = from_json(StageResult, read_json(folder.result))
    except FileNotFoundError:
        raise fail(
            "stage_crashed",
            f"stage {stage.name} ended without a result; its last words: {last_words(folder.log)}",
            f"See {folder.log}; run again, and report it if it happens again.",
            error_class=ErrorClass.INTERNAL,
            retryable=True,
        ) from None
    except (OSError, BadRecord, ValueError) as error:
        raise _invalid(stage, folder, str(error)) from error
    if (result.version, result.run_id, result.attempt) != (
        RESULT_VERSION,
        request.run_id,
        request.attempt,
    ):
        raise _invalid(stage, folder, "it belongs to another attempt")
    if not result.ok:
        if result.error is None:
            raise _invalid(stage, folder, "it failed without saying why")
        try:
            stated_error = ErrorInfo.from_json(result.error)
        except (KeyError, ValueError):
            raise _invalid(stage, folder, "its error is no error record") from None
        raise Failure(stated_error)
    stated = {record.name: record for record in result.outputs}
    for output in stage.outputs:
        record = stated.get(output.name)
        if record is None and output.optional:
            continue
        if record is None or record.file != output.file or not record.matches(folder.outputs):
            raise _invalid(stage, folder, f"output {output.name} is not what it states")
    return result


def _invalid(stage: JobStage, folder: AttemptFolder, what: str) -> Failure:
    return fail(
        "result_invalid",
        f"stage {stage.name} left a result that cannot be trusted: {what}",
        f"See {folder.root}; run again, and report it if it happens again.",
        error_class=ErrorClass.INTERNAL,
        retryable=True,
    )


def last_words(log: Path) -> str:
    """The end of a log, for an error message; at most 200 characters of its last line."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - 4096))
            lines = stream.read().decode("utf-8", "replace").strip().splitlines()
    except OSError:
        return "(none)"
    return lines[-1][:200] if lines else "(none)"
