"""What run-pipeline says when it cannot say it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.contract.errors import ExitCode


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
