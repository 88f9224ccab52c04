from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from batch.decide import Decision, Failed, Policy, Reason, Skip, Work
from batch.events import Discovered, FileFinished, Skipped
from batch.file_record import FAILED, STARTED, Content
from batch.ownership import DiskLibrary
from batch.scan import Candidate, Places, Scan, news_of
from batch.state import State
from orchestrator.contract.errors import ErrorInfo, Failure
from orchestrator.contract.files import sha256_file
from orchestrator.contract.job import JobOutput, Published
from orchestrator.contract.paths import JobFolder
from orchestrator.job.manifest import Intent, open_manifest

from .conftest import OLD_NS, Ear, add, walk

POLICY = Policy("key-1", (JobOutput("srt", "a.srt", publish="srt"),), ("en",), settle_seconds=5.0)
ERROR = ErrorInfo("no_audio_track", "silence", "Add sound.")


def scanned(
    library: Path, state: State, ear: Ear, policy: Policy = POLICY, output: Path | None = None
) -> list[Candidate]:
    places = Places(str(library), str(output) if output else None)
    return list(Scan(places, policy, state, ear, lambda: OLD_NS + 3 * 10**9).run(walk(library)))


def content(path: Path) -> Content:
    status = path.stat()
    return Content(status.st_size, status.st_mtime_ns, "print")


def published(path: Path) -> Published:
    status = path.stat()
    return Published(str(path), status.st_size, status.st_mtime_ns, sha256_file(path))


def test_what_needs_a_look_comes_out_in_order_and_the_rest_is_reported(
    library: Path, state: State, ear: Ear
) -> None:
    an_hour_ago = OLD_NS - 3600 * 10**9
    for name in ("c.mkv", "a.mkv", "sub/b.mkv", "covered.mkv", "half.mkv", "done.mkv", "bad.mkv"):
        add(library, name, mtime_ns=an_hour_ago)
    add(library, "growing.mkv")
    (library / "covered.en.srt").touch()
    (library / "half.mkv.part").touch()
    (library / "empty.mkv").touch()
    srt = add(library, "done.en.srt")
    done, bad = library / "done.mkv", library / "bad.mkv"
    state.record_done(str(done), content(done), "key-1", [published(srt)], 1.0)
    state.record_failed(str(bad), content(bad), "key-1", ERROR, 1.0)

    candidates = scanned(library, state, ear)

    assert [(one.item.name, one.deferred) for one in candidates] == [
        ("a.mkv", False),
        ("c.mkv", False),
        ("growing.mkv", True),
        ("b.mkv", False),
    ]
    assert {os.path.basename(one.path): one.reason for one in ear.of(Skipped)} == {
        "covered.mkv": "subtitle_exists",
        "done.mkv": "already_done",
        "half.mkv": "partial",
    }
    assert {
        os.path.basename(one.path): (one.error.code, one.earlier)
        for one in ear.of(FileFinished)
        if one.error
    } == {"empty.mkv": ("empty_file", False), "bad.mkv": ("no_audio_track", True)}
    (found,) = ear.of(Discovered)
    assert (found.media, found.folders) == (8, 2)
    assert found.size_bytes == sum(
        path.stat().st_size for path in library.rglob("*.mkv") if path.name != "half.mkv"
    )


def test_outputs_elsewhere_are_looked_for_there(
    library: Path, state: State, ear: Ear, tmp_path: Path
) -> None:
    media = add(library, "s1/a.mkv", mtime_ns=1)
    taken = add(tmp_path / "out", "s1/a.en.srt")
    assert scanned(library, state, ear, output=tmp_path / "out") == []
    assert [one.reason for one in ear.of(Skipped)] == ["name_taken"]
    state.record_done(str(media), content(media), "key-0", [published(taken)], 1.0)
    (candidate,) = scanned(library, state, ear, output=tmp_path / "out")
    assert candidate.view.target == str(tmp_path / "out" / "s1")


def test_a_new_time_stamp_of_the_same_content_is_remembered(
    library: Path, state: State, ear: Ear
) -> None:
    media = add(library, "a.mkv", mtime_ns=1)
    state.record_done(str(media), content(media), "key-1", [], 1.0)
    os.utime(media, ns=(2, 2))
    scan = Scan(Places(str(library), None), POLICY, state, ear, lambda: OLD_NS)
    (candidate,) = scan.run(walk(library))
    skip = Skip(Reason.ALREADY_DONE, "same", restamp=True)
    assert scan.must_record(candidate.item, candidate.view, skip)
    scan.record(candidate.item, candidate.view, skip)
    record = state.record(str(media))
    assert record is not None
    assert record.mtime_ns == 2


@pytest.mark.parametrize(
    ("decision", "recorded"),
    [
        (Skip(Reason.SUBTITLE_EXISTS, "there"), False),
        (Failed(replace(ERROR, retryable=True)), False),
        (Failed(ERROR), True),
    ],
)
def test_only_what_lasts_is_recorded(
    library: Path, state: State, ear: Ear, decision: Decision, recorded: bool
) -> None:
    media = add(library, "a.mkv", mtime_ns=1)
    scan = Scan(Places(str(library), None), POLICY, state, ear, lambda: OLD_NS)
    (candidate,) = scan.run(walk(library))
    assert scan.must_record(candidate.item, candidate.view, decision) == recorded
    scan.record(candidate.item, candidate.view, decision)
    assert (state.record(str(media)) is not None) == recorded


def test_a_decision_to_work_is_no_news_of_the_scan(library: Path, state: State, ear: Ear) -> None:
    add(library, "a.mkv", mtime_ns=1)
    scan = Scan(Places(str(library), None), POLICY, state, ear, lambda: OLD_NS)
    (candidate,) = scan.run(walk(library))
    work = Work(Reason.NEW)
    assert not scan.must_record(candidate.item, candidate.view, work)
    with pytest.raises(AssertionError):
        news_of(candidate.item, candidate.view, work)


@pytest.mark.parametrize("status", [STARTED, FAILED])
@pytest.mark.parametrize("recorded", [True, False], ids=["published", "only intended"])
def test_what_an_unfinished_job_published_is_ours(
    library: Path, state: State, ear: Ear, tmp_path: Path, status: str, recorded: bool
) -> None:
    media = add(library, "a.mkv", mtime_ns=1)
    srt = add(library, "a.en.srt")
    job = JobFolder(tmp_path / "job")
    job.root.mkdir()
    manifest = open_manifest(job, "1")
    if recorded:
        manifest.published = (published(srt),)
    manifest.intents = (Intent(str(srt), sha256_file(srt), "temporary"),)
    manifest.save(job)
    state.record_started(str(media), content(media), "key-1", str(job.root), 1.0)
    if status == FAILED:
        error = replace(ERROR, retryable=True)
        state.record_failed(str(media), content(media), "key-1", error, 2.0)

    (candidate,) = scanned(library, state, ear)

    record = candidate.view.records["a.mkv"]
    assert record.published(str(library)) == [published(srt)]


@pytest.mark.parametrize("look_only", [False, True])
def test_what_a_job_left_goes_where_a_person_has_made_the_subtitle(
    library: Path, state: State, ear: Ear, tmp_path: Path, look_only: bool
) -> None:
    """Else our temporary file would stay for ever: nobody goes on with that job."""
    media = add(library, "a.mkv", mtime_ns=1)
    theirs, left = add(library, "a.en.srt"), library / ".batch-subtitles-1.srt.tmp"
    left.write_text("ha")
    job = JobFolder(tmp_path / "job")
    job.root.mkdir()
    manifest = open_manifest(job, "1")
    manifest.intents = (Intent(str(theirs), "0" * 64, str(left)),)
    manifest.save(job)
    state.record_started(str(media), content(media), "key-1", str(job.root), 1.0)

    places = Places(str(library), None)
    scan = Scan(places, POLICY, state, ear, lambda: OLD_NS, look_only=look_only)

    assert list(scan.run(walk(library))) == []
    assert ear.of(Skipped)[0].reason == Reason.SUBTITLE_EXISTS.value
    assert theirs.exists()
    assert left.exists() == look_only


@pytest.mark.parametrize("there", ["nothing", "something else", "a folder", "no manifest"])
def test_what_an_unfinished_job_only_meant_to_publish_is_not_ours(
    library: Path, state: State, ear: Ear, tmp_path: Path, there: str
) -> None:
    media = add(library, "a.mkv", mtime_ns=1)
    target = library / "a.fr.srt"
    job = JobFolder(tmp_path / "job")
    job.root.mkdir()
    if there == "something else":
        target.write_text("of a person")
    elif there == "a folder":
        target.mkdir()
    if there != "no manifest":
        manifest = open_manifest(job, "1")
        manifest.intents = (Intent(str(target), "0" * 64, "temporary"),)
        manifest.save(job)
    state.record_started(str(media), content(media), "key-1", str(job.root), 1.0)

    (candidate,) = scanned(library, state, ear)

    assert candidate.view.records["a.mkv"].published(str(library)) == []


def test_a_walk_that_lost_its_disk_goes_on_when_it_is_back(
    library: Path, state: State, ear: Ear
) -> None:
    for name in ("a/a.mkv", "b/b.mkv", "c/c.mkv"):
        add(library, name, mtime_ns=OLD_NS - 3600 * 10**9)
    away = library.with_name("unmounted")
    asked: list[str] = []

    def comes_back(error: ErrorInfo) -> bool:
        asked.append(error.code)
        away.rename(library)
        return True

    scan = Scan(Places(str(library), None), POLICY, state, ear, lambda: OLD_NS, comes_back)
    found = scan.run(walk(library))
    names = [next(found).item.name]
    library.rename(away)
    names += [candidate.item.name for candidate in found]
    assert (names, asked) == (["a.mkv", "b.mkv", "c.mkv"], ["storage_lost"])


def test_a_walk_whose_disk_stays_away_fails(library: Path, state: State, ear: Ear) -> None:
    for name in ("a/a.mkv", "b/b.mkv"):
        add(library, name)
    scan = Scan(Places(str(library), None), POLICY, state, ear, lambda: OLD_NS)
    found = scan.run(walk(library))
    next(found)
    library.rename(library.with_name("unmounted"))
    with pytest.raises(Failure, match="went away"):
        list(found)


def test_a_target_that_was_away_is_looked_at_again(
    library: Path, state: State, ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(library, "a.mkv", mtime_ns=OLD_NS - 3600 * 10**9)
    answers = iter([False, True])
    monkeypatch.setattr(DiskLibrary, "writable", lambda self, folder: next(answers))
    scan = Scan(Places(str(library), None), POLICY, state, ear, lambda: OLD_NS, lambda error: True)
    (candidate,) = scan.run(walk(library))
    assert candidate.view.writable
    assert ear.of(FileFinished) == []
