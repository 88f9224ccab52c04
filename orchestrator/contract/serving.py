"""Serve attempts of one stage: load its model where that is to be done, run it, write the result.

The same code serves the one attempt of a fresh process and the many of a resident one, so that both
make the same.
"""

from __future__ import annotations

import contextlib
import sys
import time
import traceback
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from orchestrator.contract.atomic import put_json, read_json
from orchestrator.contract.bootstrap import import_stage
from orchestrator.contract.errors import (
    ErrorClass,
    ErrorInfo,
    Failure,
    describe_os_error,
    fail,
)
from orchestrator.contract.exchange import (
    RESULT_VERSION,
    StageOutcome,
    StageRequest,
    StageResult,
    load_settings,
)
from orchestrator.contract.files import FileRecord
from orchestrator.contract.memory import PeakMeter, rss_bytes, tensor_bytes
from orchestrator.contract.messages import Finished
from orchestrator.contract.paths import AttemptFolder
from orchestrator.contract.records import from_json, to_json
from orchestrator.contract.report import Cancelled, Report
from orchestrator.contract.surroundings import prints_to, surroundings, variables_kept

NewReport = Callable[[str], Report]
"""Makes the report of one attempt of the stage of that name."""

_NO_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory", "bad_alloc")
"""What CUDA, PyTorch on a CPU, the C library and C++ say when memory has run out."""

_NO_GPU = (
    "driver version is insufficient",
    "no cuda-capable device",
    "no cuda gpus are available",
    "nvidia driver",
    "driver initialization failed",
    "no kernel image is available",
    "not compiled with cuda",
    "is not found or cannot be loaded",
)
"""What CUDA, PyTorch and CTranslate2 say where the driver, a library of CUDA's or the GPU itself is
not there, or they were built for another one."""


class StageServer:
    """One stage in this process: imported once, and its model kept until another is wanted."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stage: types.ModuleType | None = None
        self._model: Any = None
        self._loaded_with: Mapping[str, Any] | None = None
        self.load_seconds = 0.0
        self.run_seconds = 0.0

    def load(self, settings: Mapping[str, Any], threads: int) -> None:
        """Have the model of these settings; the one that is there goes first.

        A stage that fails to load leaves no model behind.
        """
        self.load_seconds = 0.0
        if self._loaded_with == settings:
            return
        self._model = self._loaded_with = None
        started = time.perf_counter()
        if self._stage is None:
            self._stage = import_stage(self._folder)
        limit_threads(threads)
        self._model = self._stage.load({**settings, "threads": threads})
        self._loaded_with = settings
        self.load_seconds = time.perf_counter() - started

    def run(self, request: StageRequest, report: Report) -> StageOutcome:
        """Load what the request wants, then run the stage."""
        self.run_seconds = 0.0
        self.load(load_settings(request), request.threads)
        assert self._stage is not None
        limit_threads(request.threads)  # torch may have been imported by ``load``
        started = time.perf_counter()
        with variables_kept():
            outcome: StageOutcome = self._stage.run(request, self._model, report)
        self.run_seconds = time.perf_counter() - started
        return outcome


def limit_threads(threads: int) -> None:
    """Keep torch to the threads of the lease; OpenMP libraries read theirs at their start."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.get_num_threads() != threads:
        torch.set_num_threads(threads)


def serve_attempt(server: StageServer, attempt: Path, new_report: NewReport) -> Finished:
    """Serve the attempt in this folder, leave ``result.json``, and return what to say about it.

    An attempt whose result cannot be written (disk full) has failed, and only the message says so.
    """
    folder = AttemptFolder(attempt)
    stage = ""
    try:
        request = from_json(StageRequest, read_json(folder.request))
        stage = request.stage
        with prints_to(folder.log), surroundings(folder.scratch):
            result = _serve(server, request, new_report(stage))
        put_json(folder.result, to_json(result))
    except (OSError, ValueError) as error:
        return Finished(stage, False, error_of(error))
    return Finished(
        stage,
        result.ok,
        result.error,
        {
            "load_seconds": result.load_seconds,
            "run_seconds": result.run_seconds,
            "rss_bytes": rss_bytes(),
            "tensor_bytes": tensor_bytes(),
            "peak_rss_bytes": result.peak_rss_bytes,
            "peak_vram_bytes": result.peak_vram_bytes,
        },
    )


def serve_inline(server: StageServer, request: StageRequest, report: Report) -> Finished:
    """Serve a request that leaves no files; the answer is the outcome's ``data``."""
    try:
        outcome = server.run(request, report)
    except Exception as error:
        print_traceback()
        return Finished(request.stage, False, error_of(error))
    return Finished(request.stage, True, None, outcome.data)


def serve_load(server: StageServer, settings: Mapping[str, Any], threads: int) -> Finished:
    """Have the model of these settings before anybody needs it."""
    try:
        server.load(settings, threads)
    except Exception as error:
        print_traceback()
        return Finished("", False, error_of(error))
    return Finished("", True, None, {"load_seconds": server.load_seconds, "rss_bytes": rss_bytes()})


def _serve(server: StageServer, request: StageRequest, report: Report) -> StageResult:
    peak = PeakMeter()
    outputs: tuple[FileRecord, ...] = ()
    outcome, error = StageOutcome(), None
    try:
        outcome = server.run(request, report)
        outputs = outputs_of(request)
    except Exception as raised:
        print_traceback()
        error = error_of(raised)
    return StageResult(
        version=RESULT_VERSION,
        run_id=request.run_id,
        stage=request.stage,
        attempt=request.attempt,
        ok=error is None,
        outputs=outputs,
        facts=outcome.facts,
        metrics={**report.metrics, **outcome.metrics},
        warnings=tuple(report.warnings),
        error=error,
        load_seconds=server.load_seconds,
        run_seconds=server.run_seconds,
        peak_rss_bytes=peak.rss_bytes(),
        peak_vram_bytes=peak.vram_bytes(),
    )


def outputs_of(request: StageRequest) -> tuple[FileRecord, ...]:
    """Size and hash of every output. Raises: Failure (a declared one is missing), OSError."""
    records = []
    for name in request.outputs:
        path = request.output(name)
        if path.is_file():
            records.append(FileRecord.of(name, path))
        elif name not in request.optional:
            raise fail(
                "output_missing",
                f"stage {request.stage} ended without its output {name} ({path.name})",
                "This is a bug in the stage: please report it.",
                error_class=ErrorClass.INTERNAL,
                retryable=True,
            )
    return tuple(records)


def error_of(error: BaseException) -> dict[str, Any]:
    """What a stage raised, as an error record. A failure that the stage names is kept as it is."""
    if isinstance(error, Failure):
        return error.info.to_json()
    if isinstance(error, Cancelled):
        return ErrorInfo("cancelled", "stopped on request", retryable=True).to_json()
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, MemoryError) or any(sign in str(error).lower() for sign in _NO_MEMORY):
        return ErrorInfo(
            "out_of_memory",
            text,
            "Use a smaller model or batch size, or free memory, then run again.",
            ErrorClass.OUT_OF_MEMORY,
            retryable=True,
        ).to_json()
    if any(sign in str(error).lower() for sign in _NO_GPU):
        return ErrorInfo(
            "gpu_unusable",
            text,
            "Check the driver (nvidia-smi must list the GPU), or work on the processor: --device"
            " cpu. verify_install.py says what else is wrong.",
            ErrorClass.ENVIRONMENT,
        ).to_json()
    if isinstance(error, ImportError):
        return ErrorInfo(
            "environment_broken",
            text,
            "Run verify_install.py --build: it rebuilds a broken environment.",
            ErrorClass.ENVIRONMENT,
        ).to_json()
    if isinstance(error, OSError) and error.errno is not None:
        return describe_os_error(error, "while the stage was running").to_json()
    return ErrorInfo(
        "stage_raised",
        text,
        "This is a bug: please report it with the job's stage.log.",
        retryable=True,
    ).to_json()


def print_traceback() -> None:
    with contextlib.suppress(OSError):  # a full disk must not hide what happened
        traceback.print_exc()
