"""What an attempt left is believed only where it is what it states."""

from pathlib import Path
from typing import Any

import pytest

from orchestrator.contract.atomic import write_json
from orchestrator.contract.errors import ErrorClass, ErrorInfo, Failure
from orchestrator.contract.exchange import RESULT_VERSION, StageRequest, StageResult
from orchestrator.contract.files import FileRecord
from orchestrator.contract.paths import AttemptFolder
from orchestrator.contract.records import changed, to_json
from orchestrator.job.judge import judge, last_words
from orchestrator.job.stageprocess import Ended

from .conftest import fake_stage


def request_of(folder: AttemptFolder) -> StageRequest:
    return StageRequest(
        run_id="r1",
        job_id="j1",
        stage="fake",
        attempt=folder.root.name,
        media="/film.mkv",
        inputs={},
        outputs={"words": "words.srt", "bulk": "bulk.bin"},
        outputs_dir=str(folder.outputs),
        scratch_dir=str(folder.scratch),
        settings={},
    )


@pytest.fixture
def judged(tmp_path: Path) -> AttemptFolder:
    """An attempt whose outputs are there, but not its result."""
    folder = AttemptFolder(tmp_path / "fake-001")
    folder.outputs.mkdir(parents=True)
    (folder.outputs / "words.srt").write_text("hello")
    (folder.outputs / "bulk.bin").write_bytes(b"much")
    return folder


def judging(folder: AttemptFolder, ended: Ended = Ended(), **changes: Any) -> StageResult:
    request = request_of(folder)
    outputs = tuple(
        FileRecord.of(name, request.output(name))
        for name in request.outputs
        if request.output(name).exists()
    )
    result = StageResult(RESULT_VERSION, "r1", "fake", folder.root.name, ok=True, outputs=outputs)
    write_json(folder.result, to_json(changed(result, **changes)))
    return judge(fake_stage(), request, folder, ended)


def refused(folder: AttemptFolder, **changes: Any) -> ErrorInfo:
    with pytest.raises(Failure) as caught:
        judging(folder, **changes)
    assert caught.value.info.hint
    return caught.value.info


def test_a_true_result_is_believed(judged: AttemptFolder) -> None:
    assert [record.name for record in judging(judged).outputs] == ["words", "bulk"]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"version": 2}, "another attempt"),
        ({"run_id": "r0"}, "another attempt"),
        ({"attempt": "fake-000"}, "another attempt"),
        ({"outputs": ()}, "output words"),
        ({"outputs": (FileRecord("words", "../words.srt", 5, "0"),)}, "output words"),
        ({"outputs": (FileRecord("words", "words.srt", 5, "0" * 64),)}, "output words"),
        ({"outputs": "none"}, "expected a list"),
        ({"ok": False}, "without saying why"),
        ({"ok": False, "error": {}}, "no error record"),
        ({"ok": False, "error": {"code": "a", "message": "b", "class": "c"}}, "no error record"),
    ],
)
def test_a_result_that_cannot_be_trusted_is_refused(
    judged: AttemptFolder, changes: dict[str, Any], why: str
) -> None:
    info = refused(judged, **changes)
    assert (info.code, info.retryable) == ("result_invalid", True)
    assert why in info.message


def test_the_stage_s_own_error_is_passed_on(judged: AttemptFolder) -> None:
    error = ErrorInfo("no_audio", "It has none.", "Skip it.", ErrorClass.INPUT)
    assert refused(judged, ok=False, error=error.to_json()) == error


def test_no_result_is_a_crash_with_its_last_words(judged: AttemptFolder) -> None:
    judged.log.write_text("line\n\nterminate called after CUDA error\n\n")
    with pytest.raises(Failure, match="terminate called after CUDA error") as caught:
        judge(fake_stage(), request_of(judged), judged, Ended(-6))
    assert caught.value.info.code == "stage_crashed"


def test_without_a_result_the_error_that_was_told_counts(judged: AttemptFolder) -> None:
    full = ErrorInfo("disk_full", "no space", "Free some.", ErrorClass.STORAGE, retryable=True)
    with pytest.raises(Failure) as caught:
        judge(fake_stage(), request_of(judged), judged, Ended(1, full))
    assert caught.value.info == full


@pytest.mark.parametrize("cut_short", [b"", b'{"version": 1, "run_'])
def test_the_error_that_was_told_counts_where_its_result_was_cut_short(
    judged: AttemptFolder, cut_short: bytes
) -> None:
    """A full disk left an empty result, and was told as a bug in the stage."""
    full = ErrorInfo("disk_full", "no space", "Free some.", ErrorClass.STORAGE, retryable=True)
    judged.result.write_bytes(cut_short)
    with pytest.raises(Failure) as caught:
        judge(fake_stage(), request_of(judged), judged, Ended(1, full))
    assert caught.value.info == full
    with pytest.raises(Failure) as caught:
        judge(fake_stage(), request_of(judged), judged, Ended(1))
    assert caught.value.info.code == "result_invalid"


def test_an_error_that_was_written_down_counts_before_what_was_told_last(
    judged: AttemptFolder,
) -> None:
    error = ErrorInfo("no_audio", "It has none.", "Skip it.", ErrorClass.INPUT)
    died = Ended(1, ErrorInfo("worker_died", "it died"))
    assert refused(judged, ended=died, ok=False, error=error.to_json()) == error


def test_a_result_counts_although_its_process_died_afterwards(judged: AttemptFolder) -> None:
    died = ErrorInfo("worker_died", "it died")
    result = judging(judged, Ended(1, died))
    assert [warning.code for warning in result.warnings] == ["crashed_at_exit"]


def test_last_words_are_few(tmp_path: Path) -> None:
    log = tmp_path / "stage.log"
    assert last_words(log) == "(none)"
    log.write_bytes(b"")
    assert last_words(log) == "(none)"
    log.write_bytes(b"x" * 10_000 + b"\xff")
    assert last_words(log) == "x" * 200
