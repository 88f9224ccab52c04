"""What stages made: whole or absent."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.contract import atomic
from orchestrator.contract.exchange import StageWarning
from orchestrator.contract.files import FileRecord
from orchestrator.contract.job import Published
from orchestrator.contract.paths import JobFolder
from orchestrator.job import artefacts as module
from orchestrator.job.artefacts import ARTEFACT_VERSION, Artefact, ArtefactStore, discard
from orchestrator.job.manifest import (
    MANIFEST_VERSION,
    Intent,
    Manifest,
    StageRecord,
    open_manifest,
    read_manifest,
)
from orchestrator.job.plan import Stored


@pytest.fixture
def store(tmp_path: Path) -> ArtefactStore:
    return ArtefactStore(tmp_path / "artefacts", "f0")


def attempt(tmp_path: Path, **files: bytes) -> tuple[Artefact, Path]:
    """An attempt's outputs and the artefact to make of them."""
    folder = tmp_path / "attempt"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, content in files.items():
        (folder / f"{name}.bin").write_bytes(content)
    records = tuple(FileRecord.of(name, folder / f"{name}.bin") for name in files)
    return Artefact(ARTEFACT_VERSION, "asr", "k0", "j1", records, {"language": "en"}), folder


def test_what_was_committed_is_found(store: ArtefactStore, tmp_path: Path) -> None:
    artefact, folder = attempt(tmp_path, words=b"hello", bulk=b"much")
    assert store.find("k0") is None
    store.commit(artefact, folder)
    assert store.find("k0") == artefact
    assert store.path("k0", artefact.outputs[0]).read_bytes() == b"hello"
    assert not folder.exists()
    assert artefact.stored == Stored(frozenset({"words", "bulk"}))


def test_a_repeat_takes_the_place_of_what_was_there(store: ArtefactStore, tmp_path: Path) -> None:
    store.commit(*attempt(tmp_path, words=b"hello", bulk=b"much"))
    again, folder = attempt(tmp_path, words=b"hello again")
    store.commit(again, folder)
    assert store.find("k0") == again
    assert os.listdir(tmp_path / "artefacts" / "f0") == ["k0"]


def damaged(path: Path) -> None:
    path.write_bytes(b"hallo")


def truncated(path: Path) -> None:
    path.write_bytes(b"hell")


def no_record(path: Path) -> None:
    path.with_name("artefact.json").unlink()


def half_a_record(path: Path) -> None:
    path.with_name("artefact.json").write_bytes(b'{"version": 1, "st')


def another_version(path: Path) -> None:
    record = path.with_name("artefact.json")
    record.write_text(record.read_text().replace('"version": 1', '"version": 2'))


@pytest.mark.parametrize("fault", [damaged, truncated, Path.unlink])
def test_an_output_that_is_not_whole_is_not_there(
    store: ArtefactStore, tmp_path: Path, fault: Callable[[Path], None]
) -> None:
    artefact, folder = attempt(tmp_path, words=b"hello", more=b"more")
    store.commit(artefact, folder)
    fault(store.path("k0", artefact.outputs[0]))
    found = store.find("k0")
    assert found is not None
    assert found.stored == Stored(frozenset({"more"}), frozenset({"words"}))


@pytest.mark.parametrize("fault", [no_record, half_a_record, another_version])
def test_what_has_no_record_is_absent(
    store: ArtefactStore, tmp_path: Path, fault: Callable[[Path], None]
) -> None:
    artefact, folder = attempt(tmp_path, words=b"hello")
    store.commit(artefact, folder)
    fault(store.path("k0", artefact.outputs[0]))
    assert store.find("k0") is None


def test_only_what_is_to_last_is_synced(
    store: ArtefactStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def note(descriptor: int) -> None:
        synced.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    store.commit(*attempt(tmp_path, words=b"hello", bulk=b"much"))
    assert synced == []
    store.commit(*attempt(tmp_path, words=b"hello", bulk=b"much"), {"words"})
    assert len(synced) == 5
    words, record, *folders = synced
    assert (words, record.endswith(".json.tmp"), folders) == (
        "words.bin",
        True,
        ["attempt", "f0", "artefacts"],
    )
    store.commit(*attempt(tmp_path, words=b"hello", bulk=b"much"), {"words"})
    assert len(synced) == 5 + 4


def test_what_was_dropped_is_known_and_gone(store: ArtefactStore, tmp_path: Path) -> None:
    artefact, folder = attempt(tmp_path, words=b"hello", bulk=b"much", more=b"more")
    store.commit(artefact, folder)
    store.drop(artefact, ["bulk"])
    found = store.find("k0")
    assert found is not None
    assert found.stored == Stored(frozenset({"words", "more"}), frozenset({"bulk"}))
    store.drop(found, ["more"])
    found = store.find("k0")
    assert found is not None
    assert found.dropped == ("bulk", "more")
    assert sorted(os.listdir(tmp_path / "artefacts" / "f0" / "k0")) == [
        "artefact.json",
        "words.bin",
    ]


def test_a_full_disk_leaves_the_store_without_the_artefact(
    store: ArtefactStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def disk_full(_path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    artefact, folder = attempt(tmp_path, words=b"hello")
    monkeypatch.setattr(module, "fsync_file", disk_full)
    with pytest.raises(OSError, match="No space"):
        store.commit(artefact, folder, {"words"})
    assert store.find("k0") is None


def test_a_discarded_folder_is_gone_even_when_its_files_cannot_be_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "k0").mkdir()
    monkeypatch.setattr(shutil, "rmtree", lambda *_a, **_k: None)
    discard(tmp_path / "k0")
    (left,) = os.listdir(tmp_path)
    assert left.startswith(".k0.")


def test_a_manifest_survives(tmp_path: Path) -> None:
    folder = JobFolder(tmp_path)
    manifest = open_manifest(folder, "j1")
    assert manifest == Manifest(MANIFEST_VERSION, "j1")
    manifest.stages["asr"] = StageRecord(
        "ran",
        "asked for",
        "k0",
        outputs=(FileRecord("words", "words.srt", 1, "0"),),
        metrics={"speed": 8.0},
        warnings=(StageWarning("odd", "It is."),),
        error={"code": "x"},
    )
    manifest.intents = (Intent("/a.srt", "0", "/.tmp"), Intent("/a.srt", "1", "/.tmp", True))
    manifest.published = (Published("/a.srt", 1, 2, "0"),)
    manifest.save(folder)
    assert read_manifest(folder) == manifest
    assert open_manifest(folder, "j1") == manifest
    assert manifest.updated.endswith("Z")


def test_a_manifest_is_synced_for_what_is_in_the_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda _descriptor: synced.append("file"))
    monkeypatch.setattr(atomic, "fsync_folder", lambda _folder: synced.append("folder"))
    folder = JobFolder(tmp_path)
    manifest = open_manifest(folder, "j1")
    manifest.save(folder)
    assert synced == []
    manifest.intents = (Intent("/a.srt", "0", "/.tmp"),)
    manifest.save(folder, lasting=True)
    assert synced == ["file", "folder"]
    manifest.intents, manifest.published = (), (Published("/a.srt", 1, 2, "0"),)
    manifest.save(folder)
    assert synced == ["file", "folder", "file"]


@pytest.mark.parametrize("content", [b"", b"{}", b'{"version": 1, "job_id": 7}', b"[" * 5])
def test_a_manifest_that_cannot_be_read_is_begun_again(tmp_path: Path, content: bytes) -> None:
    folder = JobFolder(tmp_path)
    folder.manifest.write_bytes(content)
    assert read_manifest(folder) is None
    assert open_manifest(folder, "j1") == Manifest(MANIFEST_VERSION, "j1")


def test_a_manifest_of_another_version_is_begun_again(tmp_path: Path) -> None:
    folder = JobFolder(tmp_path)
    Manifest(MANIFEST_VERSION + 1, "j1").save(folder)
    assert read_manifest(folder) is None
