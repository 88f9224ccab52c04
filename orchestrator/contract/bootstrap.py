"""Entry of every stage process: ``PYTHON -I bootstrap.py STAGE_FOLDER [ATTEMPT_FOLDER]``.

It runs in the stage's own environment and loads ``orchestrator.contract`` alone: no folder of the
base environment ever gets onto ``sys.path``, or the base's packages would shadow the stage's.

With an attempt folder it serves that one attempt and leaves ``result.json`` there. Without one it
stays resident: it serves ``run`` messages, one at a time, and answers each with ``finished``.
It ends at once when the pipe it reads from ends, which is how it notices that its job died.
"""

from __future__ import annotations

import importlib
import os
import sys
import threading
import time
import traceback
import types
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.contract.exchange import StageOutcome, StageRequest, StageResult
    from orchestrator.contract.messages import Message
    from orchestrator.contract.report import Report

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_PIPE_CLOSED = 3


def expose_contract() -> None:
    """Make ``orchestrator.contract`` importable, and nothing else of this project."""
    _package("orchestrator", None)
    _package("orchestrator.contract", Path(__file__).parent)
    _package("orchestrator.stages", None)


def import_stage(folder: Path) -> types.ModuleType:
    """Import ``stage.py`` of the folder as ``orchestrator.stages.<folder name>.stage``.

    It has that name also when the folder lies elsewhere, so a stage can import its siblings with
    ``from .sibling import thing``.
    """
    name = f"orchestrator.stages.{folder.name}"
    _package(name, folder)
    return importlib.import_module(f"{name}.stage")


def _package(name: str, folder: Path | None) -> None:
    module = types.ModuleType(name)
    module.__path__ = [str(folder)] if folder else []
    sys.modules[name] = module
    parent, _, child = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], child, module)


class StageServer:
    """Runs one stage: loads its model once, then serves attempts."""

    def __init__(self, folder: Path, report: Report) -> None:
        self._folder = folder
        self._stage: types.ModuleType | None = None
        self._report = report
        self._model: Any = None
        self._loaded_with: Any = None
        self.load_seconds = 0.0
        self.run_seconds = 0.0

    def serve(self, request: StageRequest) -> StageOutcome:
        """Import the stage and load its model where that is still to be done, then run it."""
        if self._stage is None:
            self._stage = import_stage(self._folder)
        wanted = load_settings(request)
        if self._loaded_with != wanted:
            started = time.perf_counter()
            self._model = self._stage.load({**wanted, "threads": request.threads})
            self._loaded_with = wanted
            self.load_seconds = time.perf_counter() - started
        started = time.perf_counter()
        outcome: StageOutcome = self._stage.run(request, self._model, self._report)
        self.run_seconds = time.perf_counter() - started
        return outcome


def load_settings(request: StageRequest) -> dict[str, Any]:
    """What ``load`` gets, and the number of threads; two equal ones mean the same model."""
    from orchestrator.contract.records import to_json

    return {
        **{name: request.settings[name] for name in request.load},
        "model_path": request.model.path if request.model else None,
        "models": [to_json(model) for model in request.models],
        "device": request.device,
    }


def error_of(error: BaseException) -> dict[str, Any]:
    """What a stage raised, as an error record. A failure that the stage names is kept as it is."""
    from orchestrator.contract.errors import ErrorClass, ErrorInfo, Failure, describe_os_error
    from orchestrator.contract.report import Cancelled

    if isinstance(error, Failure):
        return error.info.to_json()
    if isinstance(error, Cancelled):
        return ErrorInfo("cancelled", "stopped on request", retryable=True).to_json()
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, MemoryError) or "out of memory" in str(error).lower():
        return ErrorInfo(
            "out_of_memory",
            text,
            "Use a smaller model or batch size, or free memory, then run again.",
            ErrorClass.OUT_OF_MEMORY,
            retryable=True,
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


def result_of(
    request: StageRequest, server: StageServer, report: Report, outcome: StageOutcome
) -> StageResult:
    """The account of a successful attempt. Raises: Failure (a declared output is missing)."""
    from orchestrator.contract.errors import ErrorClass, fail
    from orchestrator.contract.exchange import RESULT_VERSION, StageResult
    from orchestrator.contract.files import FileRecord

    records = []
    for name in request.outputs:
        path = request.output(name)
        if not path.is_file():
            if name in request.optional:
                continue
            raise fail(
                "output_missing",
                f"stage {request.stage} ended without its output {name} ({path.name})",
                "This is a bug in the stage: please report it.",
                error_class=ErrorClass.INTERNAL,
                retryable=True,
            )
        records.append(FileRecord.of(name, path))
    return StageResult(
        version=RESULT_VERSION,
        run_id=request.run_id,
        stage=request.stage,
        attempt=request.attempt,
        ok=True,
        outputs=tuple(records),
        facts=outcome.facts,
        metrics={**report.metrics, **outcome.metrics},
        warnings=tuple(report.warnings),
        load_seconds=server.load_seconds,
        run_seconds=server.run_seconds,
        peak_rss_bytes=peak_rss_bytes(),
    )


def peak_rss_bytes() -> int | None:
    """Largest resident size of this process so far; None on Windows."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def serve_attempt(stage_folder: Path, attempt: Path, report: Report) -> bool:
    """Serve the attempt in this folder and leave ``result.json``; True when it succeeded."""
    from orchestrator.contract.atomic import read_json, write_json
    from orchestrator.contract.exchange import RESULT_VERSION, StageRequest, StageResult
    from orchestrator.contract.paths import AttemptFolder
    from orchestrator.contract.records import from_json, to_json

    folder = AttemptFolder(attempt)
    request = from_json(StageRequest, read_json(folder.request))
    server = StageServer(stage_folder, report)
    try:
        result = result_of(request, server, report, server.serve(request))
    except Exception as error:
        traceback.print_exc()
        result = StageResult(
            version=RESULT_VERSION,
            run_id=request.run_id,
            stage=request.stage,
            attempt=request.attempt,
            ok=False,
            warnings=tuple(report.warnings),
            metrics=dict(report.metrics),
            error=error_of(error),
            load_seconds=server.load_seconds,
            run_seconds=server.run_seconds,
            peak_rss_bytes=peak_rss_bytes(),
        )
    write_json(folder.result, to_json(result))
    return result.ok


def serve_resident(
    stage_folder: Path, report: Report, incoming: int, answer: Callable[[Message], None]
) -> None:
    """Serve ``run`` messages until the pipe ends; the answer is the outcome's inline data."""
    from orchestrator.contract.channel import read_lines
    from orchestrator.contract.exchange import StageRequest
    from orchestrator.contract.messages import Finished, Run, decode
    from orchestrator.contract.records import from_json

    server = StageServer(stage_folder, report)
    for line in read_lines(incoming):
        message = decode(line)
        if not isinstance(message, Run):
            continue
        try:
            request = from_json(StageRequest, message.request)
            outcome = server.serve(request)
            answer(Finished(request.stage, True, None, outcome.data))
        except Exception as error:
            traceback.print_exc()
            answer(Finished("", False, error_of(error)))


def main(arguments: list[str]) -> int:
    """Serve one attempt, or stay resident; see the module's docstring."""
    stage_folder = Path(arguments[0])
    attempt = Path(arguments[1]) if len(arguments) > 1 else None
    expose_contract()
    from orchestrator.contract.channel import Sender, reserve_stdio, start_reader
    from orchestrator.contract.messages import Cancel, Finished, Started
    from orchestrator.contract.report import HEARTBEAT_SECONDS, Report

    incoming, outgoing = reserve_stdio()
    sender = Sender(outgoing, os.environ.get("BATCH_SUBTITLES_RUN_ID", ""))
    report = Report(sender, stage_folder.name)

    def on_message(message: Message) -> None:
        if isinstance(message, Cancel):
            report.cancel()

    if attempt is None:
        serve_resident(stage_folder, report, incoming, sender.send)
        return EXIT_OK

    start_reader(incoming, on_message, on_end=lambda: os._exit(EXIT_PIPE_CLOSED))
    stop = threading.Event()

    def beat() -> None:
        while not stop.wait(HEARTBEAT_SECONDS):
            report.beat()

    threading.Thread(target=beat, name="heartbeat", daemon=True).start()
    sender.send(Started(stage_folder.name, {"pid": os.getpid(), "python": sys.version.split()[0]}))
    ok = serve_attempt(stage_folder, attempt, report)
    stop.set()
    sender.send(Finished(stage_folder.name, ok))
    return EXIT_OK if ok else EXIT_FAILED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
