"""What run-pipeline says when it cannot say it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.cli.run_pipeline import _conclude
from orchestrator.contract.errors import ErrorClass, ErrorInfo, ExitCode
from orchestrator.contract.job import JOB_RESULT_VERSION, JobResult
from orchestrator.contract.paths import JobFolder


@pytest.mark.parametrize(
    ("error_class", "retryable", "code"),
    [
        (ErrorClass.STORAGE, True, ExitCode.RESUMABLE),
        (ErrorClass.STORAGE, False, ExitCode.SOME_FAILED),
        (ErrorClass.INPUT, True, ExitCode.SOME_FAILED),
    ],
)
def test_what_a_job_failed_of_tells_whether_it_can_go_on(
    error_class: ErrorClass, retryable: bool, code: ExitCode, tmp_path: Path
) -> None:
    """A full disk that the job could still write down was told as a file that failed."""
    error = ErrorInfo("disk_full", "no space", "Free some.", error_class, retryable)
    result = JobResult(JOB_RESULT_VERSION, "1", "r1", "failed", (), error=error.to_json())
    assert _conclude(result, JobFolder(tmp_path), ExitCode.OK) is code


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk always full")
def test_a_full_disk_under_the_output_is_told(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "orchestrator.cli.run_pipeline", "clean"]
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            [*command, "--older-than", "0", "--work-dir", str(tmp_path)],
            check=False,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert ended.returncode == ExitCode.RESUMABLE
    assert "(disk_full)" in ended.stderr
    assert "Traceback" not in ended.stderr
