"""What is freed, and what never is."""

import hashlib
import os
import shutil
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.contract.locks import LockHeld, ProcessLock
from orchestrator.contract.paths import JobFolder, WorkFolder
from orchestrator.job.manifest import Intent, open_manifest, read_manifest
from orchestrator.retention import Kept, _measured, choose, free, freeable

NOW = 1_000_000.0
DAY = 86_400.0


def kept(name: str, size: int, age: float) -> Kept:
    path = Path("artefacts") / name
    return Kept(path, size, NOW - age, path / "lock")


OLD, MIDDLE, NEW = kept("old", 10, 30 * DAY), kept("middle", 20, 10 * DAY), kept("new", 30, 0.0)


def test_what_is_too_old_goes() -> None:
    assert choose([NEW, OLD, MIDDLE], NOW, 20 * DAY, None) == [OLD]
    assert choose([NEW, OLD, MIDDLE], NOW, 10 * DAY, None) == [OLD]
    assert choose([NEW, OLD, MIDDLE], NOW, 1e9, None) == []


def test_then_the_oldest_until_the_rest_fits() -> None:
    assert choose([NEW, OLD, MIDDLE], NOW, 1e9, 60) == []
    assert choose([NEW, OLD, MIDDLE], NOW, 1e9, 50) == [OLD]
    assert choose([NEW, OLD, MIDDLE], NOW, 1e9, 49) == [OLD, MIDDLE]
    assert choose([NEW, OLD, MIDDLE], NOW, 20 * DAY, 0) == [OLD, MIDDLE, NEW]
    assert choose([], NOW, 0.0, 0) == []


THINGS = st.lists(
    st.builds(kept, st.text("abc", min_size=1), st.integers(0, 100), st.floats(0.0, 50 * DAY)),
    max_size=12,
)


@given(THINGS, st.floats(0.0, 50 * DAY), st.none() | st.integers(0, 600))
def test_the_rule_holds(things: list[Kept], max_age: float, max_bytes: int | None) -> None:
    chosen = choose(things, NOW, max_age, max_bytes)
    rest = list(things)
    for one in chosen:
        rest.remove(one)
    assert all(NOW - one.used <= max_age for one in rest)
    if max_bytes is not None:
        assert sum(one.size for one in rest) <= max_bytes
    assert all(one.used <= other.used for one in chosen for other in rest)
    if chosen:
        last = chosen[-1]
        too_old = NOW - last.used > max_age
        over = sum(one.size for one in rest) + last.size
        assert too_old or (max_bytes is not None and over > max_bytes)


def fill(work: WorkFolder) -> None:
    artefact = work.artefact("f0", "k0")
    artefact.mkdir(parents=True)
    (artefact / "audio.wav").write_bytes(b"x" * 1000)
    os.utime(artefact / "audio.wav", (NOW, NOW))
    (work.artefacts / "stray file").write_bytes(b"")
    job = work.day("20260131", "ann") / "20260131-000001"
    job.mkdir(parents=True)
    (job / "job.json").write_bytes(b"{}")
    os.utime(job / "job.json", (NOW - DAY, NOW - DAY))
    (job / "dangling").symlink_to("nowhere")


def test_artefacts_and_jobs_can_be_freed(tmp_path: Path) -> None:
    work = WorkFolder(tmp_path)
    assert list(freeable(work)) == []
    fill(work)
    artefacts, job = freeable(work)
    assert (artefacts.path, artefacts.size, artefacts.used) == (work.artefacts / "f0", 1000, NOW)
    assert (job.path.name, job.size, job.used) == ("20260131-000001", 2, NOW - DAY)
    assert free([artefacts, job]) == (2, 1002)
    assert not artefacts.path.exists()
    assert not job.path.exists()
    assert list(freeable(work)) == []


def test_what_is_in_use_stays(tmp_path: Path) -> None:
    work = WorkFolder(tmp_path)
    fill(work)
    artefacts, job = freeable(work)
    with ProcessLock(artefacts.lock):
        assert free([artefacts, job]) == (1, 2)
    assert (artefacts.path / "k0" / "audio.wav").exists()


def test_what_cannot_be_removed_is_not_counted(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    odd = Kept(tmp_path / "file" / "job", 5, NOW, tmp_path / "file" / "job" / "job.lock")
    assert free([odd]) == (0, 0)


def test_an_empty_folder_is_as_old_as_itself(tmp_path: Path) -> None:
    """Who was making the job was killed before anything was in its folder."""
    work = WorkFolder(tmp_path)
    half_made = work.day("20260131", "ann") / "20260131-000001"
    half_made.mkdir(parents=True)
    os.utime(half_made, (NOW - DAY, NOW - DAY))
    (empty,) = freeable(work)
    assert (empty.size, empty.used) == (0, NOW - DAY)
    assert free(choose([empty], NOW, DAY / 2, None)) == (1, 0)
    assert not half_made.exists()


def test_a_folder_that_goes_away_meanwhile_is_new(tmp_path: Path) -> None:
    before = time.time()
    assert _measured(tmp_path / "gone", tmp_path / "gone" / "lock").used >= before


OURS = b"our older subtitles"


class Library:
    """Media, and a job that was killed while it put a new file in the place of its older one."""

    def __init__(self, tmp_path: Path) -> None:
        self.root = tmp_path / "library"
        self.root.mkdir()
        self.target = self.root / "a.srt"
        self.temporary = self.root / ".batch-subtitles-1.srt.tmp"
        self.work = WorkFolder(tmp_path / "work")
        self.job = JobFolder(self.work.day("20260131", "ann") / "20260131-000001")
        self.job.root.mkdir(parents=True)
        manifest = open_manifest(self.job, "1")
        names = str(self.target), hashlib.sha256(OURS).hexdigest(), str(self.temporary)
        manifest.intents = (Intent(*names), Intent(*names, displaces=True))
        manifest.save(self.job)

    def clean(self) -> tuple[int, int]:
        return free(list(freeable(self.work)))


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path)


def test_what_a_killed_job_left_in_the_library_goes_with_it(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []

    def sync(folder: Path) -> None:
        assert library.job.manifest.exists()
        assert not library.temporary.exists()
        synced.append(folder)

    monkeypatch.setattr("orchestrator.job.leftovers.fsync_folder", sync)
    library.temporary.write_bytes(OURS)
    assert library.clean()[0] == 1
    assert synced == [library.root]
    assert not library.job.root.exists()


def test_what_a_person_edited_in_the_last_moment_is_given_back(library: Library) -> None:
    library.temporary.write_text("edited")
    assert library.clean()[0] == 1
    assert library.target.read_text() == "edited"
    assert not library.job.root.exists()


def test_a_job_whose_leftovers_cannot_be_removed_is_kept(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.temporary.write_text("edited")

    def refused(*_arguments: object) -> None:
        raise PermissionError

    monkeypatch.setattr("orchestrator.job.publish._put_back", refused)
    assert library.clean() == (0, 0)
    manifest = read_manifest(library.job)
    assert manifest is not None
    assert len(manifest.intents) == 2


def test_a_job_is_kept_while_the_library_is_away(library: Library) -> None:
    library.temporary.write_bytes(OURS)
    away = library.root.with_name("away")
    library.root.rename(away)
    assert library.clean() == (0, 0)
    away.rename(library.root)
    assert library.clean()[0] == 1


def test_the_lock_of_a_job_is_removed_last(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it others could go on with a job that is half gone."""
    library.job.attempts.mkdir()
    rmtree = shutil.rmtree

    def remove(path: Path) -> None:
        with pytest.raises(LockHeld), ProcessLock(library.job.lock):
            pass
        rmtree(path)

    monkeypatch.setattr(shutil, "rmtree", remove)
    assert library.clean()[0] == 1
    assert not library.job.root.exists()
