from __future__ import annotations

from pathlib import Path

import pytest

from batch import cli
from batch.timeline_page.make import NAME
from orchestrator.contract.errors import ExitCode
from tests.batch.timeline_page.building import attempt_line, record


def test_the_page_of_a_run_is_made_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = record(tmp_path / "runs" / "20260131T220000Z-1a2b3c", [attempt_line()])
    for more in ([], [folder.name]):
        assert cli.main(["--work-dir", str(tmp_path), "--timeline", *more]) == ExitCode.OK
        assert capsys.readouterr().out == f"{folder / NAME}\n"
        (folder / NAME).unlink()


def test_a_run_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--work-dir", str(tmp_path), "--timeline", "nosuch"]) == ExitCode.NO_INPUT
    assert "timeline_not_found" in capsys.readouterr().err
