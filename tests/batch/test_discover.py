from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from batch import discover as discover_module
from batch.discover import discover, is_settled
from batch.listing import DirectoryListing, DiscoveryRules
from orchestrator.contract.errors import Failure

EXTENSIONS = frozenset({"mkv", "mp4"})
RULES = DiscoveryRules(EXTENSIONS)


def make(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"media")


def found(root: Path, rules: DiscoveryRules = RULES) -> list[str]:
    """Every media file, relative to ``root``, in the order of discovery."""
    return [
        os.path.relpath(item.path, root)
        for listing in discover(str(root), rules)
        for item in listing.media
    ]


def left_out(root: Path, rules: DiscoveryRules = RULES) -> list[tuple[str, str]]:
    return [
        (os.path.relpath(left.path, root), left.reason)
        for listing in discover(str(root), rules)
        for left in listing.left_out
    ]


def problems(root: Path) -> dict[str, str | None]:
    return {
        item.name: item.problem for listing in discover(str(root), RULES) for item in listing.media
    }


@pytest.fixture(params=["by descriptor", "by path"])
def walk_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    way: str = request.param
    if way == "by path":
        monkeypatch.setattr(discover_module, "_BY_DESCRIPTOR", False)
    return way


@pytest.mark.usefixtures("walk_way")
def test_finds_media_by_extension_in_a_fixed_order(tmp_path: Path) -> None:
    make(tmp_path, "b.mkv", "a.MP4", "notes.txt", "b/z.mkv", "a/y.mkv", "a/b/x.mkv", "mkv")
    assert found(tmp_path) == ["a.MP4", "b.mkv", "a/y.mkv", "a/b/x.mkv", "b/z.mkv"]


def test_size_and_time_come_along(tmp_path: Path) -> None:
    make(tmp_path, "a.mkv")
    (listing,) = discover(str(tmp_path), RULES)
    (item,) = listing.media
    status = (tmp_path / "a.mkv").stat()
    assert (item.size, item.mtime_ns) == (5, status.st_mtime_ns)
    assert item.problem is None
    assert item.error is None


def test_the_names_of_a_folder_include_what_is_not_media(tmp_path: Path) -> None:
    make(tmp_path, "a.mkv", "a.en.srt", ".hidden.txt", "sub/none.txt")
    (listing,) = discover(str(tmp_path), RULES)
    assert listing.names == {"a.mkv", "a.en.srt", ".hidden.txt"}


def test_hidden_and_system_folders_are_never_entered(tmp_path: Path) -> None:
    make(tmp_path, ".a.mkv", ".cache/b.mkv", ".x.mp4/c.mkv", "lost+found/d.mkv", "@eaDir/e.mkv")
    (tmp_path / ".x.mp4" / "c.mkv").unlink()
    assert found(tmp_path) == []


def test_a_folder_named_like_media_is_a_folder(tmp_path: Path) -> None:
    make(tmp_path, "x.mp4/inside.mkv")
    assert found(tmp_path) == ["x.mp4/inside.mkv"]


def test_unfinished_files_are_left_out_and_said_so(tmp_path: Path) -> None:
    make(
        tmp_path,
        "a.mkv.part",
        "b.tmp.mkv",
        "c.mkv",
        "c.mkv.aria2",
        "d.part.mp4",
        "e.mkv",
        "f.mkv.!qB",
        "The Best Part.mkv",
        "Some.Part.mkv",
    )
    assert found(tmp_path) == ["Some.Part.mkv", "The Best Part.mkv", "e.mkv"]
    assert sorted(left_out(tmp_path)) == [
        ("b.tmp.mkv", "partial"),
        ("c.mkv", "partial"),
        ("d.part.mp4", "partial"),
    ]


@pytest.mark.parametrize("marker", [".nosubtitles", ".subgen_skip"])
def test_a_marker_leaves_out_a_folder_and_all_below(tmp_path: Path, marker: str) -> None:
    make(tmp_path, "a.mkv", f"quiet/{marker}", "quiet/b.mkv", "quiet/deep/c.mkv")
    assert found(tmp_path) == ["a.mkv"]
    assert left_out(tmp_path) == [("quiet", "marked")]


def test_exclude_patterns_drop_files_and_whole_folders(tmp_path: Path) -> None:
    make(tmp_path, "a.mkv", "a.mp4", "extras/b.mkv", "x/extras/c.mkv", "x/d.mkv")
    rules = DiscoveryRules(EXTENSIONS, exclude=("extras/", "*.mp4"))
    assert found(tmp_path, rules) == ["a.mkv", "x/d.mkv"]
    assert sorted(left_out(tmp_path, rules)) == [
        ("a.mp4", "excluded"),
        ("extras", "excluded"),
        ("x/extras", "excluded"),
    ]


def test_include_patterns_keep_only_what_matches(tmp_path: Path) -> None:
    make(tmp_path, "series/a.mkv", "films/b.mkv", "films/c.mp4")
    rules = DiscoveryRules(EXTENSIONS, include=("films/",), exclude=("*.mp4",))
    assert found(tmp_path, rules) == ["films/b.mkv"]


def test_a_pattern_that_makes_no_sense_is_named(tmp_path: Path) -> None:
    with pytest.raises(Failure) as caught:
        list(discover(str(tmp_path), DiscoveryRules(EXTENSIONS, exclude=("ok", "a[z-a]"))))
    assert caught.value.info.code == "bad_pattern"
    assert "a[z-a]" in caught.value.info.message


def test_our_own_folders_are_never_entered(tmp_path: Path) -> None:
    make(tmp_path, "a.mkv", "out/b.mkv", "work/c.mkv")
    (tmp_path / "alias").symlink_to(tmp_path / "work")
    folders = (str(tmp_path / "out"), str(tmp_path / "alias"), str(tmp_path / "not made yet"))
    assert found(tmp_path, DiscoveryRules(EXTENSIONS, skip_folders=folders)) == ["a.mkv"]


def test_an_input_that_is_also_the_output_is_walked(tmp_path: Path) -> None:
    make(tmp_path, "a.mkv")
    rules = DiscoveryRules(EXTENSIONS, skip_folders=(str(tmp_path),))
    assert found(tmp_path, rules) == ["a.mkv"]


@pytest.mark.usefixtures("walk_way")
def test_links_are_followed_once_and_after_real_folders(tmp_path: Path) -> None:
    make(tmp_path, "lib/real/a.mkv", "elsewhere/b.mkv", "elsewhere/c.mp4")
    library = tmp_path / "lib"
    (library / "another name").symlink_to(library / "real")
    (library / "loop").symlink_to(library)
    (library / "real" / "up").symlink_to(tmp_path)
    (library / "away.mp4").symlink_to(tmp_path / "elsewhere")
    (library / "file.mkv").symlink_to(tmp_path / "elsewhere" / "b.mkv")
    assert found(library) == ["file.mkv", "real/a.mkv", "away.mp4/b.mkv", "away.mp4/c.mp4"]


def test_links_to_folders_can_be_left_alone(tmp_path: Path) -> None:
    make(tmp_path, "lib/a.mkv", "elsewhere/b.mkv")
    (tmp_path / "lib" / "away").symlink_to(tmp_path / "elsewhere")
    rules = DiscoveryRules(EXTENSIONS, follow_symlinks=False)
    assert found(tmp_path / "lib", rules) == ["a.mkv"]


def test_what_cannot_be_worked_on_comes_with_its_problem(tmp_path: Path) -> None:
    make(tmp_path, "good.mkv")
    (tmp_path / "empty.mkv").touch()
    (tmp_path / "gone.mkv").symlink_to(tmp_path / "nowhere")
    (tmp_path / "self.mkv").symlink_to(tmp_path / "self.mkv")
    os.mkfifo(tmp_path / "pipe.mkv")
    assert problems(tmp_path) == {
        "empty.mkv": "empty_file",
        "gone.mkv": "broken_symlink",
        "good.mkv": None,
        "pipe.mkv": "not_a_regular_file",
        "self.mkv": "broken_symlink",
    }
    (listing,) = discover(str(tmp_path), RULES)
    for item in listing.media:
        if item.problem is not None:
            error = item.error
            assert error is not None
            assert error.code == item.problem
            assert item.path in error.message
            assert error.hint


def test_a_socket_is_not_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # socket paths are short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s.mkv")
        assert problems(tmp_path) == {"s.mkv": "not_a_regular_file"}


def refusing(
    monkeypatch: pytest.MonkeyPatch, folder: Path, error: OSError, then: Callable[[], object]
) -> None:
    """Make listing ``folder`` fail as a bad disk or a lost share does; ``then`` happens first."""
    monkeypatch.setattr(discover_module, "_BY_DESCRIPTOR", False)
    scandir = os.scandir

    def fails(path: str) -> object:
        if path == str(folder):
            then()
            raise error
        return scandir(path)

    monkeypatch.setattr(os, "scandir", fails)


def test_an_unreadable_folder_is_one_failure_among_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, "a.mkv", "locked/b.mkv", "z/c.mkv")
    refusing(monkeypatch, tmp_path / "locked", PermissionError(13, "denied"), lambda: None)
    assert problems(tmp_path) == {"a.mkv": None, "locked": "unreadable_folder", "c.mkv": None}


def test_a_folder_removed_meanwhile_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, "a.mkv", "gone/b.mkv")
    refusing(monkeypatch, tmp_path / "gone", FileNotFoundError(2, "gone"), lambda: None)
    assert problems(tmp_path) == {"a.mkv": None}


def test_an_input_that_cannot_be_listed_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusing(monkeypatch, tmp_path, PermissionError(13, "denied"), lambda: None)
    with pytest.raises(Failure) as caught:
        list(discover(str(tmp_path), RULES))
    assert caught.value.info.code == "input_unreadable"


def test_a_share_that_vanishes_is_not_a_library_without_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = tmp_path / "library"
    make(library, "a.mkv", "b/b.mkv")
    refusing(
        monkeypatch,
        library / "b",
        FileNotFoundError(2, "gone"),
        lambda: shutil.rmtree(library),
    )
    with pytest.raises(Failure) as caught:
        list(discover(str(library), RULES))
    assert caught.value.info.code == "storage_lost"


def test_an_empty_mount_point_in_place_of_the_share_is_noticed(tmp_path: Path) -> None:
    library = tmp_path / "library"
    make(library, "a.mkv", "b/b.mkv")
    listings = discover(str(library), RULES)
    next(listings)
    library.rename(tmp_path / "unmounted")
    library.mkdir()
    with pytest.raises(Failure) as caught:
        list(listings)
    assert caught.value.info.code == "storage_lost"


def test_a_library_that_gets_another_number_is_the_same(tmp_path: Path) -> None:
    """sshfs and exFAT number it anew when memory is short; the night ended there."""
    library, other = tmp_path / "library", tmp_path / "other"
    for one in (library, other):
        make(one, "a.mkv", "b/b.mkv")
    listings = discover(str(library), RULES)
    next(listings)
    library.rename(tmp_path / "before")
    other.rename(library)
    assert [item.name for listing in listings for item in listing.media] == ["b.mkv"]


def test_folders_of_the_same_number_are_all_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The roots of several disks, seen through bindfs: all but one were left out."""
    disks = [tmp_path / "disk 1", tmp_path / "disk 2"]
    for number, disk in enumerate(disks):
        make(disk, f"{number}.mkv")
        os.utime(disk, (number, number))
    (tmp_path / "same").symlink_to(disks[0])
    real = os.stat

    def stat(*arguments: Any, **options: Any) -> Any:
        status = real(*arguments, **options)
        names = [name for name in dir(status) if name.startswith("st_")]
        fields = {name: getattr(status, name) for name in names}
        return SimpleNamespace(**fields | {"st_ino": 2 if status.st_mtime < 2 else status.st_ino})

    monkeypatch.setattr(os, "stat", stat)
    found = [item.name for listing in discover(str(tmp_path), RULES) for item in listing.media]
    assert found == ["0.mkv", "1.mkv"]


def test_a_walk_goes_on_where_its_disk_went_away(tmp_path: Path) -> None:
    library, away = tmp_path / "library", tmp_path / "unmounted"
    make(library, "a.mkv", "b/b.mkv", "b/c/c.mkv", "d/d.mkv")
    listings = discover(str(library), RULES)
    found = [next(listings).folder, next(listings).folder]
    library.rename(away)
    library.mkdir()
    with pytest.raises(Failure, match="went away"):
        next(listings)
    library.rmdir()
    with pytest.raises(Failure, match="Cannot read the input"):
        next(listings)
    shutil.copytree(away, library)  # it has other numbers now, as after a new mount
    found += [listing.folder for listing in listings]
    names = [os.path.relpath(folder, library) for folder in found]
    assert names == [".", "b", "b/c", "d"], "each folder once"


def test_a_folder_in_the_middle_of_which_the_disk_failed_is_listed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, "a.mkv", "b.mkv")
    listings = discover(str(tmp_path), RULES)
    scandir = os.scandir

    def fails(handle: int) -> object:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", fails)
        with pytest.raises(Failure) as caught:
            next(listings)
        assert caught.value.info.code == "input_unreadable"
    assert os.scandir is scandir
    assert [item.name for item in next(listings).media] == ["a.mkv", "b.mkv"]


def test_a_root_that_is_unmounted_before_it_is_listed_is_noticed(tmp_path: Path) -> None:
    library = tmp_path / "library"
    make(library, "a.mkv")
    listings = discover(str(library), RULES)
    library.rename(tmp_path / "unmounted")
    library.mkdir()
    with pytest.raises(Failure, match="not the same folder"):
        next(listings)


def test_an_entry_that_cannot_be_looked_at(tmp_path: Path) -> None:
    class Entry:
        def is_symlink(self) -> bool:
            return False

    entry: os.DirEntry[str] = Entry()  # type: ignore[assignment]
    assert discover_module._stat_problem(entry, PermissionError()) == "unreadable_file"
    assert discover_module._stat_problem(entry, FileNotFoundError()) is None


@pytest.mark.skipif(sys.platform == "darwin", reason="names are UTF-8 there")
def test_names_that_are_not_utf8_survive(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/caf\xe9.mkv"
    Path(os.fsdecode(path)).write_bytes(b"media")
    rules = DiscoveryRules(EXTENSIONS, exclude=("other/",))
    (listing,) = discover(str(tmp_path), rules)
    assert os.fsencode(listing.media[0].path) == path


def test_a_single_file_is_taken_whatever_its_name(tmp_path: Path) -> None:
    make(tmp_path, ".odd.bin", "other.mkv", ".odd.en.srt")
    (listing,) = discover(str(tmp_path / ".odd.bin"), RULES)
    assert [item.name for item in listing.media] == [".odd.bin"]
    assert ".odd.en.srt" in listing.names


def test_a_single_pipe_is_a_problem(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mkv")
    (listing,) = discover(str(tmp_path / "pipe.mkv"), RULES)
    assert listing.media[0].problem == "not_a_regular_file"


def test_a_relative_input_gives_absolute_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, "lib/a.mkv")
    monkeypatch.chdir(tmp_path / "lib")
    (listing,) = discover(".", RULES)
    assert listing.media[0].path == str(tmp_path / "lib" / "a.mkv")


@pytest.mark.parametrize("name", ["missing", "file.txt/inside"])
def test_a_missing_input_is_said_at_once(tmp_path: Path, name: str) -> None:
    make(tmp_path, "file.txt")
    with pytest.raises(Failure) as caught:
        discover(str(tmp_path / name), RULES)
    assert caught.value.info.code == "input_not_found"
    assert str(tmp_path / name) in caught.value.info.message


def test_an_input_behind_a_broken_disk_is_not_called_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(path: str) -> os.stat_result:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "stat", fails)
    with pytest.raises(Failure) as caught:
        discover(str(tmp_path), RULES)
    assert caught.value.info.code == "input_unreadable"


def test_nothing_to_find_yields_nothing(tmp_path: Path) -> None:
    make(tmp_path, "a.txt", "b/c.txt")
    listings: list[DirectoryListing] = list(discover(str(tmp_path), RULES))
    assert listings == []


@pytest.mark.parametrize(
    ("age_seconds", "settled"), [(0, False), (4.9, False), (5, True), (-4.9, False), (-3600, True)]
)
def test_a_file_is_settled_when_it_was_left_alone(age_seconds: float, settled: bool) -> None:
    now_ns = 1_700_000_000 * 10**9
    assert is_settled(now_ns - int(age_seconds * 1e9), now_ns, 5) is settled
