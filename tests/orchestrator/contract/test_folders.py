"""Where things lie, and the records of what lies there."""

import os
from pathlib import Path

import pytest

from orchestrator.contract.channel import Sender
from orchestrator.contract.errors import Failure
from orchestrator.contract.exchange import Clip, StageRequest
from orchestrator.contract.files import FileRecord, sha256_file
from orchestrator.contract.job import JobResult, read_job, read_job_result, write_job_result
from orchestrator.contract.messages import Progress, decode
from orchestrator.contract.paths import AttemptFolder, JobFolder, WorkFolder
from orchestrator.contract.report import PROGRESS_SECONDS, Cancelled, Report


def test_a_work_folder_is_laid_out_as_documented() -> None:
    work = WorkFolder(Path("w"))
    layout = {
        "out": work.jobs,
        "artefacts": work.artefacts,
        "artefacts/f/k": work.artefact("f", "k"),
        "environments": work.environments,
        "models": work.models,
        "runs": work.runs,
        "batch.db": work.database,
        "coordinator.lock": work.lock,
        "latest-job": work.latest_job,
        "out/2026/01/31/ann": work.day("20260131", "ann"),
    }
    assert {Path("w", name): path for name, path in layout.items()} == {
        path: path for path in layout.values()
    }


def test_a_job_folder_is_laid_out_as_documented() -> None:
    job = JobFolder(Path("j"))
    names = [job.spec, job.manifest, job.result, job.events, job.log, job.lock, job.attempts]
    assert [path.name for path in names] == [
        "job.json",
        "manifest.json",
        "job_result.json",
        "events.jsonl",
        "job.log",
        "job.lock",
        "attempts",
    ]
    assert job.outputs == Path("j/outputs")
    attempt = job.attempt("asr", 2)
    assert attempt == AttemptFolder(Path("j/attempts/asr-002"))
    names = [attempt.request, attempt.result, attempt.log, attempt.outputs, attempt.scratch]
    assert [path.name for path in names] == [
        "request.json",
        "result.json",
        "stage.log",
        "outputs",
        "scratch",
    ]


def test_a_file_record_knows_its_file_again(tmp_path: Path) -> None:
    path = tmp_path / "words.srt"
    path.write_bytes(b"hello")
    record = FileRecord.of("words", path)
    assert record == FileRecord("words", "words.srt", 5, sha256_file(path))
    assert record.sha256.startswith("2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e7304")
    assert record.matches(tmp_path)
    path.write_bytes(b"hallo")
    assert not record.matches(tmp_path)
    path.write_bytes(b"hello!")
    assert not record.matches(tmp_path)
    path.unlink()
    assert not record.matches(tmp_path)


def test_a_request_names_its_files() -> None:
    request = StageRequest(
        run_id="r",
        job_id="j",
        stage="asr",
        attempt="asr-001",
        media="/m/film.mkv",
        inputs={"audio": "/a/audio.wav"},
        outputs={"words": "words.json"},
        outputs_dir="/o",
        scratch_dir="/s",
        settings={},
        clip=Clip(1.0),
    )
    assert request.input("audio") == Path("/a/audio.wav")
    assert request.output("words") == Path("/o/words.json")
    with pytest.raises(KeyError):
        request.input("video")


def test_a_job_result_survives_and_an_unreadable_one_is_none(tmp_path: Path) -> None:
    folder = JobFolder(tmp_path)
    result = JobResult(1, "j", "r", "done", ())
    assert read_job_result(folder) is None
    write_job_result(folder, result)
    assert read_job_result(folder) == result
    write_job_result(folder, JobResult(2, "j", "r", "done", ()))
    assert read_job_result(folder) is None
    folder.result.write_bytes(b'{"version": 1')
    assert read_job_result(folder) is None


@pytest.mark.parametrize("content", [b"", b"{}", b'{"version": 1}', b"[]"])
def test_a_job_that_cannot_be_read_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "job.json").write_bytes(content)
    with pytest.raises(Failure) as caught:
        read_job(JobFolder(tmp_path))
    assert caught.value.info.code == "job_unreadable"
    assert str(tmp_path) in caught.value.info.message


def test_progress_is_sent_a_few_times_a_second_and_at_the_end() -> None:
    now = [0.0]
    receiving, sending = os.pipe()
    report = Report(Sender(sending, "r"), "asr", clock=lambda: now[0])
    report.progress(1, 10)
    report.progress(2, 10)
    now[0] += PROGRESS_SECONDS
    report.progress(3, 10)
    report.progress(10, 10)
    report.progress(11)
    os.close(sending)
    said = [decode(line) for line in os.read(receiving, 65536).splitlines()]
    os.close(receiving)
    assert said == [Progress("asr", done, 10) for done in (1, 3, 10)]


def test_a_report_remembers_warnings_metrics_and_the_cancel() -> None:
    receiving, sending = os.pipe()
    os.close(receiving)
    report = Report(Sender(sending, "r"), "asr")
    report.check_cancelled()
    report.warning("odd", "It is odd.")
    report.metric("speed", 8.0, "x")
    report.beat()
    report.cancel()
    with pytest.raises(Cancelled):
        report.check_cancelled()
    os.close(sending)
    assert [warning.code for warning in report.warnings] == ["odd"]
    assert report.metrics == {"speed": 8.0}
