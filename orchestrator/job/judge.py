"""Whether an attempt has succeeded: judged by the result it left, not by how its process ended."""

from __future__ import annotations

from pathlib import Path

from orchestrator.contract.atomic import read_json
from orchestrator.contract.errors import ErrorClass, ErrorInfo, Failure, fail
from orchestrator.contract.exchange import RESULT_VERSION, StageRequest, StageResult, StageWarning
from orchestrator.contract.job import JobStage
from orchestrator.contract.paths import AttemptFolder
from orchestrator.contract.records import BadRecord, changed, from_json
from orchestrator.job.stageprocess import Ended

RESULT_INVALID = "result_invalid"


def judge(
    stage: JobStage, request: StageRequest, folder: AttemptFolder, ended: Ended
) -> StageResult:
    """The attempt's result, if it can be believed.

    Raises:
        Failure: the attempt failed; the error is the stage's own or says what is wrong with it.
    """
    try:
        result = check_result(stage, request, folder)
    except Failure as failure:
        if failure.info.code == RESULT_INVALID and ended.error is not None:
            raise Failure(ended.error) from failure  # it could say why, but not write it down
        raise
    except FileNotFoundError:
        if ended.error is not None:
            raise Failure(ended.error) from None
        raise fail(
            "stage_crashed",
            f"stage {stage.name} ended without a result; its last words: {last_words(folder.log)}",
            f"See {folder.log}; run again, and report it if it happens again.",
            error_class=ErrorClass.INTERNAL,
            retryable=True,
        ) from None
    if ended.status == 0:
        return result
    crash = StageWarning("crashed_at_exit", f"ended with status {ended.status} after its work")
    return changed(result, warnings=(*result.warnings, crash))


def check_result(stage: JobStage, request: StageRequest, folder: AttemptFolder) -> StageResult:
    """The valid result of this attempt, every declared output present as it states.

    Raises:
        FileNotFoundError: there is none.
        Failure: the stage's own error, or :data:`RESULT_INVALID`.
    """
    try:
        result = from_json(StageResult, read_json(folder.result))
    except FileNotFoundError:
        raise
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
        RESULT_INVALID,
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
