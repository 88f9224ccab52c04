"""One job, with stages that really run: what it leaves behind when all goes well, and when not."""

import errno
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.contract.errors import ErrorInfo, Failure
from orchestrator.contract.files import sha256_file
from orchestrator.contract.job import JobResult, read_job_result, write_job
from orchestrator.contract.locks import ProcessLock
from orchestrator.contract.paths import JobFolder
from orchestrator.job import run as run_module
from orchestrator.job.artefacts import ArtefactStore
from orchestrator.job.link import Link
from orchestrator.job.manifest import Intent, open_manifest, read_manifest
from orchestrator.job.plan import Selection
from orchestrator.job.process import run_stage
from orchestrator.job.publish import publish
from orchestrator.job.run import run_job

from .conftest import MakeJob, fake_stage, relay_stage


def statuses(result: JobResult) -> list[tuple[str, str]]:
    return [(account.name, account.status) for account in result.stages]


def run(folder: JobFolder, selection: Selection = Selection()) -> JobResult:
    return run_job(folder, Link(None), "run-1", selection)


def error_of(result: JobResult) -> ErrorInfo:
    assert result.status == "failed"
    assert result.error is not None
    return ErrorInfo.from_json(result.error)


def test_a_job_publishes_what_its_stages_made(make_job: MakeJob, tmp_path: Path) -> None:
    folder, job = make_job(fake_stage(), relay_stage())
    before = os.stat(job.source.path)

    result = run(folder)

    assert result.status == "done"
    assert statuses(result) == [("fake", "ran"), ("relay", "ran")]
    library = tmp_path / "library"
    assert sorted(os.listdir(library)) == ["film.en.srt", "film.en.vtt", "film.mkv"]
    assert (library / "film.en.vtt").read_text().startswith("hello en\n1\n00:00:00,000")
    assert [published.path for published in result.published] == [
        str(library / "film.en.srt"),
        str(library / "film.en.vtt"),
    ]
    assert os.stat(job.source.path) == before
    assert read_job_result(folder) == result


def test_the_manifest_says_how_each_stage_went(make_job: MakeJob) -> None:
    folder, _ = make_job(fake_stage())
    run(folder)
    manifest = read_manifest(folder)
    assert manifest is not None
    record = manifest.stages["fake"]
    assert (manifest.status, record.status) == ("done", "ran")
    assert record.metrics == {"lines": 1.0}
    assert record.facts == {"language": "en", "audio_seconds": 1.0}
    assert record.environment == {"name": "bare", "key": "test", "packages": {}}
    assert record.peak_rss_bytes is None or record.peak_rss_bytes > 1_000_000
    assert [one.file for one in record.outputs] == ["words.srt", "bulk.bin"]
    events = [json.loads(line) for line in folder.events.read_text().splitlines()]
    assert [event["type"] for event in events] == ["started", "started", "release", "finished"]


def test_a_second_run_reuses_everything(make_job: MakeJob) -> None:
    folder, _ = make_job(fake_stage(), relay_stage())
    first = run(folder)
    again = run(folder)
    assert statuses(again) == [("fake", "reused"), ("relay", "reused")]
    assert again.published == first.published


def test_another_job_of_the_same_media_reuses_the_artefacts(make_job: MakeJob) -> None:
    run(make_job(fake_stage(), relay_stage(), keep="all")[0])
    result = run(make_job(fake_stage(), relay_stage("good evening"), keep="all")[0])
    assert statuses(result)[0] == ("fake", "reused")
    assert "done before" in result.stages[0].reason
    # The first job's file is not this job's.
    assert [one.code for one in result.warnings] == ["kept_existing"]
    assert [Path(one.path).name for one in result.published] == ["film.en.srt"]


def test_a_file_we_published_is_replaced_when_settings_change(
    make_job: MakeJob, tmp_path: Path
) -> None:
    first = run(make_job(fake_stage(), relay_stage())[0])
    owned = {Path(one.path).name: one.sha256 for one in first.published}
    folder, job = make_job(fake_stage(), relay_stage("good evening"))
    changed = replace(job, publication=replace(job.publication, owned=owned))
    folder.spec.unlink()
    write_job(folder, changed)

    result = run(folder)

    assert result.status == "done"
    text = (tmp_path / "library" / "film.en.vtt").read_text()
    assert text.startswith("good evening")


def test_a_dropped_output_is_made_again_only_when_it_is_needed(make_job: MakeJob) -> None:
    run(make_job(fake_stage(), relay_stage())[0])
    result = run(make_job(fake_stage(), relay_stage("good evening"))[0])
    assert statuses(result) == [("fake", "ran"), ("relay", "ran")]
    assert "bulk.bin, which was dropped" in result.stages[0].reason


def test_no_speech_publishes_nothing_and_says_so(make_job: MakeJob, tmp_path: Path) -> None:
    result = run(make_job(fake_stage("no_speech"))[0])
    assert result.status == "done"
    assert result.published == ()
    assert [warning.code for warning in result.warnings] == ["no_speech"]
    assert os.listdir(tmp_path / "library") == ["film.mkv"]


@pytest.mark.parametrize("fault", ["noisy_stdout", "reads_stdin"])
def test_what_a_stage_prints_or_reads_disturbs_nothing(make_job: MakeJob, fault: str) -> None:
    folder, _ = make_job(fake_stage(fault))
    assert run(folder).status == "done"
    if fault == "noisy_stdout":
        log = (folder.attempt("fake", 1)).log.read_bytes()
        assert b"a stray line" in log
        assert b"from a child" in log


def test_a_crash_after_the_result_is_a_success_with_a_warning(make_job: MakeJob) -> None:
    result = run(make_job(fake_stage("crashes_at_exit"))[0])
    assert result.status == "done"
    assert [warning.code for warning in result.warnings] == ["crashed_at_exit"]


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("raises", "stage_raised"),
        ("fails", "bad_media"),
        ("dies", "stage_crashed"),
        ("lies_about_output", "result_invalid"),
        ("misses_output", "output_missing"),
        ("bad_json", "result_invalid"),
        ("out_of_memory", "out_of_memory"),
    ],
)
def test_a_stage_that_fails_fails_the_job_with_its_cause(
    make_job: MakeJob, tmp_path: Path, fault: str, code: str
) -> None:
    folder, _ = make_job(fake_stage(fault), relay_stage())
    result = run(folder)
    assert error_of(result).code == code
    assert error_of(result).hint
    assert statuses(result) == [("fake", "failed")]
    assert os.listdir(tmp_path / "library") == ["film.mkv"]
    manifest = read_manifest(folder)
    assert manifest is not None
    assert manifest.stages["fake"].status == "failed"


def test_a_stage_without_progress_is_stopped(make_job: MakeJob) -> None:
    result = run(make_job(fake_stage("silent", stall_seconds=0.6))[0])
    assert error_of(result).code == "stage_stalled"


def test_a_missing_environment_says_so(make_job: MakeJob, tmp_path: Path) -> None:
    stage = fake_stage()
    gone = replace(stage.environment, python=str(tmp_path / "gone" / "python"))
    result = run(make_job(replace(stage, environment=gone))[0])
    assert error_of(result).code == "environment_missing"


def test_force_and_from_run_again_what_is_done(make_job: MakeJob) -> None:
    folder, _ = make_job(fake_stage(), relay_stage(), keep="all")
    run(folder)
    assert statuses(run(folder, Selection(force=True))) == [("fake", "ran"), ("relay", "ran")]
    again = run(folder, Selection(start_from="relay"))
    assert statuses(again) == [("fake", "reused"), ("relay", "ran")]


def test_run_stage_runs_one_stage_and_what_it_needs(make_job: MakeJob) -> None:
    folder, _ = make_job(fake_stage(), relay_stage())
    assert run_stage(folder.root, "relay") == 0
    assert run_stage(folder.root, "fake") == 0
    failing, _ = make_job(fake_stage("raises"))
    assert run_stage(failing.root, "fake") == 5


def test_a_changed_source_is_refused(make_job: MakeJob) -> None:
    folder, job = make_job(fake_stage())
    with open(job.source.path, "ab") as media:
        media.write(b"more")
    assert error_of(run(folder)).code == "source_changed"
    os.unlink(job.source.path)
    assert error_of(run(folder)).code == "source_unreadable"


def test_what_this_job_published_before_is_replaced(make_job: MakeJob, tmp_path: Path) -> None:
    """Its results were lost in a power cut, and come out differently now."""
    ours = tmp_path / "library" / "film.en.srt"
    folder, _ = make_job(fake_stage())
    (published,) = run(folder).published
    made = ours.read_text()
    ours.write_text("as it came out the first time")
    manifest = open_manifest(folder, "1")
    manifest.published = (replace(published, sha256=sha256_file(ours)),)
    manifest.save(folder)
    assert run(folder).status == "done"
    assert ours.read_text() == made


def test_a_person_s_subtitle_is_never_touched(make_job: MakeJob, tmp_path: Path) -> None:
    theirs = tmp_path / "library" / "film.en.srt"
    folder, _ = make_job(fake_stage())
    theirs.write_text("mine, all mine")
    result = run(folder)
    assert error_of(result).code == "name_taken"
    assert theirs.read_text() == "mine, all mine"
    assert len(os.listdir(tmp_path / "library")) == 2


def test_what_is_made_again_and_differs_replaces_what_this_job_published(
    make_job: MakeJob, tmp_path: Path
) -> None:
    """A power cut took what a stage had made, and the second time it came to something else."""
    folder, _ = make_job(fake_stage())
    target = tmp_path / "library" / "film.en.srt"
    target.write_text("as it was recognised the first time")
    manifest = open_manifest(folder, "1")
    manifest.intents = (Intent(str(target), sha256_file(target), str(target) + ".tmp"),)
    manifest.save(folder)
    assert run(folder).status == "done"
    assert target.read_text().startswith("1\n00:00:00,000")
    manifest = open_manifest(folder, "1")
    assert [one.sha256 for one in manifest.published] == [sha256_file(target)]
    assert manifest.intents == ()


def test_the_intents_are_recorded_before_the_library_is_touched(
    make_job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = make_job(fake_stage(), relay_stage())
    intended: list[list[str]] = []

    def look(*arguments: Any) -> None:
        manifest = read_manifest(folder)
        assert manifest is not None
        intended.append([Path(intent.target).name for intent in manifest.intents])
        publish(*arguments)

    monkeypatch.setattr(run_module, "publish", look)
    assert run(folder).status == "done"
    assert intended == [["film.en.srt", "film.en.vtt"]] * 2


def test_a_file_of_ours_that_stays_in_the_library_is_told_and_not_forgotten(
    make_job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = make_job(fake_stage())
    there = tmp_path / "library" / ".batch-subtitles-ours.srt.tmp"
    there.touch()
    intent = Intent(str(there.with_name("film.en.srt")), "", str(there))
    monkeypatch.setattr(run_module, "remove_temporaries", lambda intents: (intent,))
    result = run(folder)
    assert result.status == "done"
    [warning] = result.warnings
    assert (warning.code, str(there) in warning.message) == ("left_behind", True)
    assert open_manifest(folder, "").intents == (intent,)


def test_an_earlier_edit_that_stays_beside_the_newest_is_told(
    make_job: MakeJob, tmp_path: Path
) -> None:
    """Made while a run published, which was then killed; and the person has saved again since."""
    folder, _ = make_job(fake_stage())
    theirs = tmp_path / "library" / "film.en.srt"
    earlier = theirs.with_name(".batch-subtitles-ours.srt.tmp")
    theirs.write_text("mine, all mine, once more")
    earlier.write_text("mine, all mine")
    manifest = open_manifest(folder, "1")
    manifest.intents = (Intent(str(theirs), "0" * 64, str(earlier), displaces=True),)
    manifest.save(folder)
    result = run(folder)
    assert error_of(result).code == "name_taken"
    [warning] = result.warnings
    assert (warning.code, str(earlier) in warning.message) == ("left_behind", True)
    assert (theirs.read_text(), earlier.read_text()) == (
        "mine, all mine, once more",
        "mine, all mine",
    )


@pytest.mark.parametrize(("limit", "lasting"), [(0.0, ("words",)), (60.0, ())])
def test_what_took_long_to_make_is_put_on_the_disk_but_nothing_large(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch, limit: float, lasting: tuple[str, ...]
) -> None:
    folder, _ = make_job(fake_stage())
    commit = ArtefactStore.commit
    told: list[tuple[str, ...]] = []

    def look(store: ArtefactStore, *arguments: Any) -> None:
        told.append(arguments[-1])
        commit(store, *arguments)

    monkeypatch.setattr(run_module, "LASTING_SECONDS", limit)
    monkeypatch.setattr(ArtefactStore, "commit", look)
    assert run(folder).status == "done"
    assert told == [lasting]


def test_leftovers_of_a_killed_publication_are_removed(make_job: MakeJob, tmp_path: Path) -> None:
    folder, _ = make_job(fake_stage())
    leftover = tmp_path / "library" / ".batch-subtitles-dead.srt.tmp"
    leftover.write_text("half")
    run(folder)
    manifest = read_manifest(folder)
    assert manifest is not None
    manifest.intents = (Intent("film.en.srt", "0" * 64, str(leftover)),)
    manifest.save(folder)
    run(folder)
    assert not leftover.exists()


def test_one_job_is_run_once_at_a_time(make_job: MakeJob) -> None:
    folder, _ = make_job(fake_stage())
    with ProcessLock(folder.lock), pytest.raises(Failure) as caught:
        run(folder)
    assert caught.value.info.code == "job_running"
    assert str(os.getpid()) in caught.value.info.message


def test_a_job_whose_lock_cannot_be_made_says_why(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk has no room for one more file, so there is no result that could tell of it."""
    folder, _ = make_job(fake_stage())

    def full(_lock: ProcessLock) -> ProcessLock:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(ProcessLock, "__enter__", full)
    with pytest.raises(Failure) as caught:
        run(folder)
    assert (caught.value.info.code, caught.value.info.retryable) == ("disk_full", True)


def test_a_folder_without_a_job_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Failure) as caught:
        run(JobFolder(tmp_path))
    assert caught.value.info.code == "job_unreadable"
