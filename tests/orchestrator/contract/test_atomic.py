"""Files that change whole or not at all, on every file system at hand and on those simulated."""

import errno
import json
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator.contract import atomic
from orchestrator.contract.atomic import (
    TEMPORARY_MARK,
    exchange,
    fsync_file,
    fsync_folder,
    put_json,
    read_json,
    rename_new,
    temporary_name,
    write_atomic,
    write_json,
)

MEMORY_DISK = Path("/dev/shm")


@pytest.fixture(params=["disk", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """An empty folder on the disk, and one on a file system in memory where there is one."""
    if request.param == "disk":
        yield tmp_path
        return
    if not os.access(MEMORY_DISK, os.W_OK):
        pytest.skip("no file system in memory here")
    import tempfile

    with tempfile.TemporaryDirectory(dir=MEMORY_DISK) as name:
        yield Path(name)


def failing(number: int) -> Callable[..., None]:
    def fail(*_arguments: object, **_options: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


def no_renameat2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atomic, "_native_rename", lambda *_a, **_k: False)


def no_hard_links(monkeypatch: pytest.MonkeyPatch) -> None:
    no_renameat2(monkeypatch)
    monkeypatch.setattr(os, "link", failing(errno.EPERM))


Simulate = Callable[[pytest.MonkeyPatch], None]
FILE_SYSTEMS: list[Simulate] = [lambda _patch: None, no_renameat2, no_hard_links]
on_each_file_system = pytest.mark.parametrize(
    "simulate", FILE_SYSTEMS, ids=["native", "no_renameat2", "no_hard_links"]
)


def test_a_file_is_written_and_replaced(folder: Path) -> None:
    path = folder / "state.json"
    write_atomic(path, b"one")
    write_atomic(path, b"two")
    assert path.read_bytes() == b"two"
    assert os.listdir(folder) == ["state.json"]


def test_our_files_are_not_executable(folder: Path) -> None:
    write_atomic(folder / "state.json", b"one")
    assert not (folder / "state.json").stat().st_mode & (stat.S_IXUSR | stat.S_IXOTH)


@pytest.mark.parametrize(
    ("call", "number"),
    [
        ("write", errno.ENOSPC),
        ("fsync", errno.EIO),
        ("replace", errno.EROFS),
        ("open", errno.EACCES),
    ],
    ids=["disk_full", "disk_error", "read_only", "no_permission"],
)
def test_a_write_that_fails_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    path = tmp_path / "state.json"
    write_atomic(path, b"one")
    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing(number))
        if call == "replace":
            patch.setattr(Path, "replace", failing(number))
        with pytest.raises(OSError, match=os.strerror(number)):
            write_atomic(path, b"two")
    assert path.read_bytes() == b"one"
    assert os.listdir(tmp_path) == ["state.json"]


def test_a_disk_that_writes_in_small_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:3]))
    write_atomic(tmp_path / "a", b"abcdefgh")
    assert (tmp_path / "a").read_bytes() == b"abcdefgh"


def test_the_order_is_write_sync_rename_sync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def noting_fsync(descriptor: int) -> None:
        done.append("sync folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "sync file")
        fsync(descriptor)

    def noting_replace(path: Path, target: Path) -> Path:
        done.append("rename")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", noting_fsync)
    monkeypatch.setattr(Path, "replace", noting_replace)
    write_atomic(tmp_path / "a", b"data")
    assert done == ["sync file", "rename", "sync folder"]
    done.clear()
    write_atomic(tmp_path / "a", b"data", lasting=False)
    assert done == ["sync file", "rename"]
    done.clear()
    write_atomic(tmp_path / "a", b"data", whole=False, lasting=False)
    assert done == ["rename"]


def test_a_share_that_cannot_sync_folders_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", failing(errno.EINVAL))
    fsync_folder(tmp_path)
    monkeypatch.setattr(os, "fsync", failing(errno.EIO))
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        fsync_folder(tmp_path)
    (tmp_path / "a").write_bytes(b"x")
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        fsync_file(tmp_path / "a")


def test_json_keeps_odd_names(tmp_path: Path) -> None:
    value = {"path": b"caf\xe9".decode("utf-8", "surrogateescape"), "n": [1, None]}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json") == value
    (tmp_path / "a.json").write_bytes(b'{"half')
    with pytest.raises(ValueError, match="Unterminated"):
        read_json(tmp_path / "a.json")


def test_json_has_a_key_a_line(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"version": 1, "stages": {"asr": [1, 2]}})
    text = '{\n"version": 1,\n"stages": {"asr": [1, 2]}\n}\n'
    assert (tmp_path / "a.json").read_text() == text
    write_json(tmp_path / "a.json", {})
    assert read_json(tmp_path / "a.json") == {}


def test_what_a_power_cut_may_take_is_not_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(_descriptor: int) -> None:
        raise AssertionError("synced")

    monkeypatch.setattr(os, "fsync", never)
    put_json(tmp_path / "a.json", {"n": [1, "\udcff"]})
    assert read_json(tmp_path / "a.json") == {"n": [1, "\udcff"]}
    assert os.listdir(tmp_path) == ["a.json"]
    whole = (tmp_path / "a.json").read_bytes()
    for length in range(len(whole)):
        (tmp_path / "a.json").write_bytes(whole[:length])
        with pytest.raises(json.JSONDecodeError):
            read_json(tmp_path / "a.json")


def test_temporary_names_are_hidden_short_and_never_the_same() -> None:
    names = {temporary_name("x" * 250 + ".srt") for _ in range(100)}
    assert len(names) == 100
    assert all(name.startswith(TEMPORARY_MARK) and name.endswith(".srt.tmp") for name in names)
    assert max(len(temporary_name("a." + "x" * 250).encode()) for _ in range(3)) <= 60


@on_each_file_system
def test_a_new_name_is_taken(
    folder: Path, monkeypatch: pytest.MonkeyPatch, simulate: Simulate
) -> None:
    simulate(monkeypatch)
    (folder / "made").write_bytes(b"subtitles")
    rename_new(folder / "made", folder / "film.srt")
    assert os.listdir(folder) == ["film.srt"]
    assert (folder / "film.srt").read_bytes() == b"subtitles"
    assert not (folder / "film.srt").stat().st_mode & stat.S_IXUSR


def somebodys_file(path: Path) -> None:
    path.write_bytes(b"theirs")


def somebodys_link(path: Path) -> None:
    path.with_name("elsewhere").write_bytes(b"theirs")
    path.symlink_to(path.with_name("elsewhere"))


def dangling_link(path: Path) -> None:
    path.symlink_to(path.with_name("nowhere"))


TAKEN: list[Callable[[Path], None]] = [
    somebodys_file,
    Path.mkdir,
    somebodys_link,
    dangling_link,
]


@on_each_file_system
@pytest.mark.parametrize("take", TAKEN, ids=["file", "folder", "link", "dangling_link"])
def test_a_taken_name_is_never_replaced(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    simulate: Simulate,
    take: Callable[[Path], None],
) -> None:
    simulate(monkeypatch)
    made, target = folder / "made", folder / "film.srt"
    made.write_bytes(b"subtitles")
    take(target)
    before = (os.lstat(target).st_ino, sorted(os.listdir(folder)))
    with pytest.raises(FileExistsError):
        rename_new(made, target)
    assert (os.lstat(target).st_ino, sorted(os.listdir(folder))) == before
    assert made.read_bytes() == b"subtitles"


@on_each_file_system
def test_a_folder_takes_a_new_name_and_replaces_none(
    folder: Path, monkeypatch: pytest.MonkeyPatch, simulate: Simulate
) -> None:
    simulate(monkeypatch)
    for name in ("made", "again", "empty"):
        (folder / name).mkdir()
    (folder / "made" / "words").write_bytes(b"subtitles")
    rename_new(folder / "made", folder / "key")
    assert (folder / "key" / "words").read_bytes() == b"subtitles"
    for target in ("key", "empty"):
        with pytest.raises(FileExistsError):
            rename_new(folder / "again", folder / target)


def test_a_name_that_was_taken_in_vain_is_free_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_hard_links(monkeypatch)
    monkeypatch.setattr(Path, "replace", failing(errno.ENOSPC))
    (tmp_path / "made").write_bytes(b"subtitles")
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        rename_new(tmp_path / "made", tmp_path / "film.srt")
    assert os.listdir(tmp_path) == ["made"]


def test_who_is_just_replacing_what_we_took_the_name_with_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FUSE drivers take the old file away first; it was told as a failing disk."""
    no_hard_links(monkeypatch)
    close, target = os.close, tmp_path / "film.srt"

    def close_then_take_away(descriptor: int) -> None:
        close(descriptor)
        monkeypatch.undo()
        target.unlink()

    monkeypatch.setattr(os, "close", close_then_take_away)
    (tmp_path / "made").write_bytes(b"subtitles")
    with pytest.raises(FileExistsError):
        rename_new(tmp_path / "made", target)
    assert os.listdir(tmp_path) == ["made"]


def test_what_somebody_wrote_under_a_name_that_we_could_not_use_is_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_hard_links(monkeypatch)
    target = tmp_path / "film.srt"

    def write_and_fail(*_arguments: object) -> None:
        target.write_bytes(b"a person's")
        failing(errno.EPERM)()

    monkeypatch.setattr(Path, "replace", write_and_fail)
    (tmp_path / "made").write_bytes(b"subtitles")
    with pytest.raises(PermissionError):
        rename_new(tmp_path / "made", target)
    assert target.read_bytes() == b"a person's"


def test_what_somebody_writes_under_the_name_we_have_just_taken_is_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_hard_links(monkeypatch)
    close, target = os.close, tmp_path / "film.srt"

    def close_then_write(descriptor: int) -> None:
        close(descriptor)
        monkeypatch.undo()
        target.write_bytes(b"a person's")

    monkeypatch.setattr(os, "close", close_then_write)
    (tmp_path / "made").write_bytes(b"subtitles")
    with pytest.raises(FileExistsError):
        rename_new(tmp_path / "made", target)
    assert target.read_bytes() == b"a person's"


def test_a_file_has_its_name_only_when_it_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without links and without a rename that replaces nothing: a copy could be cut short."""
    no_hard_links(monkeypatch)
    replace, target = Path.replace, tmp_path / "film.srt"
    seen = []

    def look(source: Path, to: Path) -> Path:
        seen.append(target.read_bytes())
        return replace(source, to)

    monkeypatch.setattr(Path, "replace", look)
    (tmp_path / "made").write_bytes(b"subtitles")
    rename_new(tmp_path / "made", target)
    assert (seen, target.read_bytes(), os.listdir(tmp_path)) == (
        [b""],
        b"subtitles",
        ["film.srt"],
    )


@pytest.mark.parametrize("number", [errno.EPERM, errno.EIO, errno.ERANGE, errno.EXDEV])
def test_a_disk_without_links_may_say_so_with_any_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """rclone says EIO and CryFS says ERANGE: nothing could be published there."""
    no_renameat2(monkeypatch)
    monkeypatch.setattr(os, "link", failing(number))
    (tmp_path / "made").write_bytes(b"subtitles")
    told = []
    rename_new(tmp_path / "made", tmp_path / "film.srt", lambda: told.append(os.listdir(tmp_path)))
    assert (told, os.listdir(tmp_path)) == ([["made"]], ["film.srt"])


def test_who_cannot_record_that_a_name_is_taken_does_not_take_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_hard_links(monkeypatch)
    (tmp_path / "made").write_bytes(b"subtitles")
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        rename_new(tmp_path / "made", tmp_path / "film.srt", failing(errno.ENOSPC))
    assert os.listdir(tmp_path) == ["made"]


@pytest.mark.parametrize("number", [errno.EEXIST, errno.EIO])
def test_a_link_whose_answer_was_lost_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    no_renameat2(monkeypatch)
    link = os.link

    def link_and_fail(source: Path, target: Path) -> None:
        link(source, target)
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", link_and_fail)
    (tmp_path / "made").write_bytes(b"subtitles")
    rename_new(tmp_path / "made", tmp_path / "film.srt")
    assert os.listdir(tmp_path) == ["film.srt"]


def test_a_file_that_vanishes_on_its_way_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_renameat2(monkeypatch)
    with pytest.raises(FileNotFoundError):
        rename_new(tmp_path / "made", tmp_path / "film.srt")
    assert os.listdir(tmp_path) == []


def test_two_files_change_places(folder: Path) -> None:
    first, second = folder / "a", folder / "b"
    first.write_bytes(b"1")
    second.write_bytes(b"2")
    if not exchange(first, second):
        pytest.skip("this file system cannot exchange")
    assert (first.read_bytes(), second.read_bytes()) == (b"2", b"1")
    with pytest.raises(FileNotFoundError):
        exchange(first, folder / "gone")


class OldLibrary:
    """A C library from before ``renameat2``."""

    def __init__(self, *_arguments: object, **_options: object) -> None:
        pass


class OldKernel:
    """A kernel or file system that does not know the flags."""

    def __init__(self, *_arguments: object, **_options: object) -> None:
        pass

    def renameat2(self, *_arguments: object) -> int:
        import ctypes

        ctypes.set_errno(errno.EINVAL)
        return -1


@pytest.mark.parametrize("library", [OldLibrary, OldKernel])
def test_a_system_without_the_call_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: type
) -> None:
    import ctypes

    monkeypatch.setattr(ctypes, "CDLL", library)
    (tmp_path / "made").write_bytes(b"subtitles")
    (tmp_path / "other").write_bytes(b"other")
    assert not exchange(tmp_path / "made", tmp_path / "other")
    rename_new(tmp_path / "made", tmp_path / "film.srt")
    assert sorted(os.listdir(tmp_path)) == ["film.srt", "other"]
