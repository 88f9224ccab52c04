"""What a job publishes under which name: several languages, films, and what is there already."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.contract.errors import ErrorInfo
from orchestrator.contract.files import FileRecord, sha256_file
from orchestrator.contract.job import SPEECH, Job, JobOutput, JobResult, JobStage, Publication
from orchestrator.contract.paths import JobFolder
from orchestrator.job import publish
from orchestrator.job.link import Link
from orchestrator.job.run import run_job

from .conftest import MakeJob, fake_stage, relay_stage


def translation(language: str) -> JobStage:
    """A relay that makes a subtitle in another language."""
    stage = relay_stage(f"translated to {language}")
    output = JobOutput("copy", "copy.srt", publish="srt", language=language)
    return replace(stage, name=f"relay.{language}", outputs=(output,))


def film() -> JobStage:
    """A relay that makes a film, of which one form only is made."""
    stage = relay_stage("a film")
    made = JobOutput("copy", "film.bin", large=True, publish="mkv", suffix="subtitled")
    other = JobOutput("other", "other.bin", publish="mp4", suffix="subtitled", optional=True)
    return replace(stage, name="mux", outputs=(made, other))


def into(job: Job, present: tuple[str, ...]) -> Publication:
    return replace(job.publication, extensions=("srt", "mkv", "mp4"), present=present)


def run(folder: JobFolder) -> JobResult:
    return run_job(folder, Link(None), "run-1")


@pytest.fixture
def library(tmp_path: Path) -> Path:
    return tmp_path / "library"


def make(make_job: MakeJob, *stages: JobStage, present: tuple[str, ...] = ()) -> JobFolder:
    _, job = make_job(*stages)
    folder, _ = make_job(*stages, publication=into(job, present))
    return folder


def names(result: JobResult) -> list[str]:
    return [os.path.basename(one.path) for one in result.published]


def test_each_output_is_named_by_what_it_is(make_job: MakeJob) -> None:
    folder = make(make_job, fake_stage(), translation("pt"), translation("de"), film())
    result = run(folder)
    assert result.status == "done"
    assert names(result) == [
        "film.en.srt",
        "film.pt.srt",
        "film.de.srt",
        "film.subtitled.mkv",
    ]


def test_a_translation_into_the_language_of_the_speech_is_no_second_file(
    make_job: MakeJob, library: Path
) -> None:
    result = run(make(make_job, fake_stage(), translation("en")))
    assert (result.status, result.warnings, names(result)) == ("done", (), ["film.en.srt"])
    assert "translated" not in (library / "film.en.srt").read_text()


@pytest.mark.parametrize(
    ("present", "published"),
    [
        ((SPEECH,), ["film.pt.srt", "film.subtitled.mkv"]),
        (("pt",), ["film.en.srt", "film.subtitled.mkv"]),
        ((SPEECH, "pt"), ["film.subtitled.mkv"]),
    ],
)
def test_languages_that_are_there_already_are_left_out(
    make_job: MakeJob, present: tuple[str, ...], published: list[str]
) -> None:
    result = run(make(make_job, fake_stage(), translation("pt"), film(), present=present))
    assert (result.status, result.warnings, names(result)) == ("done", (), published)


def test_a_name_that_was_taken_meanwhile_does_not_cost_the_others(
    make_job: MakeJob, library: Path
) -> None:
    folder = make(make_job, fake_stage(), translation("pt"))
    (library / "film.en.srt").write_text("mine, all mine")
    result = run(folder)
    assert (result.status, names(result)) == ("done", ["film.pt.srt"])
    (warning,) = result.warnings
    assert warning.code == "kept_existing"
    assert "film.en.srt" in warning.message
    assert (library / "film.en.srt").read_text() == "mine, all mine"


def test_when_every_name_is_taken_the_job_fails(make_job: MakeJob, library: Path) -> None:
    folder = make(make_job, fake_stage(), translation("pt"))
    for name in ("film.en.srt", "film.pt.srt"):
        (library / name).write_text("mine, all mine")
    result = run(folder)
    assert result.error is not None
    assert ErrorInfo.from_json(result.error).code == "name_taken"


def test_a_dropped_film_is_made_again_only_where_it_is_gone(
    make_job: MakeJob, library: Path, tmp_path: Path
) -> None:
    folder = make(make_job, fake_stage(), film())
    assert run(folder).status == "done"
    assert not list((tmp_path / "artefacts").rglob("film.bin"))

    again = run(folder)
    assert [one.status for one in again.stages] == ["reused", "reused"]
    assert names(again) == ["film.en.srt", "film.subtitled.mkv"]

    (library / "film.subtitled.mkv").unlink()
    once_more = run(folder)
    assert [one.status for one in once_more.stages] == ["ran", "ran"]
    assert once_more.stages[1].reason == (
        "the library needs film.bin, which was dropped to save space"
    )
    assert (library / "film.subtitled.mkv").exists()


def test_a_film_that_cannot_be_read_is_named(
    make_job: MakeJob, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever read the error looked at the disk of the job's folder."""
    folder = make(make_job, fake_stage(), film())
    assert run(folder).status == "done"

    def fails(path: Path) -> str:
        if path == library / "film.subtitled.mkv":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return sha256_file(path)

    monkeypatch.setattr(publish, "sha256_file", fails)
    result = run(folder)
    assert result.error is not None
    info = ErrorInfo.from_json(result.error)
    assert info.code == "storage_error"
    assert info.message == (
        f"{library / 'film.subtitled.mkv'} could not be read: {os.strerror(errno.EIO)}"
    )


def test_a_damaged_artefact_is_made_anew_by_the_next_run(
    make_job: MakeJob, library: Path, tmp_path: Path
) -> None:
    folder = make(make_job, fake_stage(), translation("pt"))
    folder_of_its_own = library / "elsewhere"
    assert run(folder).status == "done"
    (made,) = (tmp_path / "artefacts").rglob("copy.srt")
    _, job = make_job(fake_stage(), translation("pt"))
    moved = replace(job.publication, folder=str(folder_of_its_own), extensions=("srt",))
    folder = make_job(fake_stage(), translation("pt"), publication=moved)[0]

    # It is damaged after the store has looked at it.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FileRecord, "matches", lambda _record, _folder: True)
        data = bytearray(made.read_bytes())
        data[0] ^= 1
        made.write_bytes(data)
        result = run(folder)
    assert result.error is not None
    assert ErrorInfo.from_json(result.error).code == "artefact_damaged"
    assert run(folder).status == "done"
    assert (folder_of_its_own / "film.pt.srt").read_text().startswith("translated to pt")
