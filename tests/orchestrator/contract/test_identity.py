"""Whether a folder is still the one that it was."""

from pathlib import Path

from orchestrator.contract.atomic import temporary_name
from orchestrator.contract.identity import FolderIdentity


def made(folder: Path, *names: str) -> Path:
    folder.mkdir()
    for name in names:
        (folder / name).touch()
    return folder


def test_an_empty_mount_point_is_another_folder(tmp_path: Path) -> None:
    folder = made(tmp_path / "share", "film.mkv")
    identity = FolderIdentity.of(folder)
    folder.rename(tmp_path / "unmounted")
    folder.mkdir()
    assert not identity.is_still(folder)


def test_a_folder_is_the_same_whatever_becomes_of_its_content(tmp_path: Path) -> None:
    folder = made(tmp_path / "share", "film.mkv")
    identity = FolderIdentity.of(folder)
    (folder / "film.mkv").rename(folder / "movie.mkv")
    assert identity.is_still(folder)


def test_a_folder_whose_number_has_changed_is_the_same(tmp_path: Path) -> None:
    folder = made(tmp_path / "share", "film.mkv", "music.mkv")
    identity = FolderIdentity.of(folder)
    folder.rename(tmp_path / "before")
    made(folder, "music.mkv")
    assert identity.is_still(folder)


def test_what_is_only_on_its_way_tells_no_folder_from_another(tmp_path: Path) -> None:
    folder = made(tmp_path / "share", *(f"{number}.mkv" for number in range(100)))
    assert len(FolderIdentity.of(folder).names) == 8
    assert FolderIdentity.of(made(tmp_path / "new", temporary_name("film.srt"))).names == ()
