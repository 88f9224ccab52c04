"""What a job that nobody goes on with has left in the library."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from batch.recovery import clear_up
from orchestrator.contract.files import sha256_file
from orchestrator.contract.locks import ProcessLock
from orchestrator.contract.paths import JobFolder
from orchestrator.job.manifest import Intent, open_manifest, read_manifest

LEFT = ".batch-subtitles-1.srt.tmp"


@pytest.fixture
def job(tmp_path: Path, library: Path) -> JobFolder:
    """It was cut off when a.en.vtt was there, and a.en.srt was about to be."""
    folder = JobFolder(tmp_path / "job")
    folder.root.mkdir()
    (library / "a.en.vtt").write_text("ours")
    (library / LEFT).write_text("ha")
    manifest = open_manifest(folder, "1")
    manifest.intents = tuple(
        Intent(str(library / target), sha256, str(library / temporary))
        for target, sha256, temporary in (
            ("a.en.vtt", sha256_file(library / "a.en.vtt"), ".batch-subtitles-0.vtt.tmp"),
            ("a.en.srt", "0" * 64, LEFT),
        )
    )
    manifest.save(folder)
    return folder


def test_it_is_gone_for_good_before_the_job_may_be_forgotten(
    job: JobFolder, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a power cut it would be back, and nobody would know any more that it is ours."""
    calls: list[tuple[Path, list[str]]] = []
    monkeypatch.setattr(
        "orchestrator.job.leftovers.fsync_folder",
        lambda place: calls.append((place, os.listdir(place))),
    )
    clear_up(job)
    assert calls == [(library, ["a.en.vtt"])]


def test_a_name_that_was_taken_already_may_not_be_on_the_disk_either(
    job: JobFolder, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (library / LEFT).unlink()
    synced: list[Path] = []
    monkeypatch.setattr("orchestrator.job.leftovers.fsync_folder", synced.append)
    clear_up(job)
    assert synced == [library]


def test_what_it_published_is_known_and_done_with(job: JobFolder, library: Path) -> None:
    clear_up(job)
    manifest = read_manifest(job)
    assert manifest is not None
    assert [one.path for one in manifest.published] == [str(library / "a.en.vtt")]
    assert manifest.intents == ()
    later = library / "a.en.srt"
    later.touch()
    clear_up(job)
    assert later.exists(), "an empty file that somebody makes later is theirs"


def test_one_that_is_at_work_is_left_alone(job: JobFolder, library: Path) -> None:
    with ProcessLock(job.lock):
        clear_up(job)
    assert (library / LEFT).exists()


def test_where_the_disk_is_away_it_is_left_for_later(job: JobFolder, library: Path) -> None:
    away = library.with_name("away")
    library.rename(away)
    clear_up(job)
    away.rename(library)
    clear_up(job)
    assert os.listdir(library) == ["a.en.vtt"]


def test_what_cannot_be_removed_stays_known(
    job: JobFolder, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(path)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refused)
        clear_up(job)
    manifest = read_manifest(job)
    assert manifest is not None
    assert [one.temporary for one in manifest.intents] == [str(library / LEFT)]
    clear_up(job)
    assert os.listdir(library) == ["a.en.vtt"]


def test_a_job_that_left_nothing_is_not_written_to(job: JobFolder, tmp_path: Path) -> None:
    clear_up(job)
    before = job.manifest.stat()
    clear_up(job)
    clear_up(JobFolder(tmp_path / "no job"))
    assert job.manifest.stat() == before
    assert not (tmp_path / "no job").exists()
