from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from orchestrator.catalogue import EnvironmentSpec
from orchestrator.contract.errors import fail
from orchestrator.preflight import places
from orchestrator.preflight.context import Context, ModelWish

MakeContext = Callable[..., Context]


def test_room_for_what_is_missing(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    wishing = replace(context, models=(ModelWish("mine"), ModelWish("/own/folder")))
    needed = places.WORKING_BYTES + places.ENVIRONMENT_BYTES + 2 * 1000
    for free, ok in [(needed, True), (needed - 1, None), (1000, False)]:
        monkeypatch.setattr(places, "free_bytes", lambda _folder, free=free: free)
        check = places.check_disk_space(wishing)
        assert check.ok is ok
        assert bool(check.fix) is (ok is not True)


def test_an_environment_with_torch_needs_far_more(
    context: Context, spec: EnvironmentSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "free_bytes", lambda _folder: 2_000_000_000)
    assert places.check_disk_space(context).ok is True
    with_torch = replace(context, environments=(replace(spec, torch=True),))
    assert places.check_disk_space(with_torch).ok is None


def test_a_disk_that_cannot_be_asked(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_folder: Path) -> int:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(places, "free_bytes", gone)
    assert places.check_disk_space(context).ok is False


@pytest.mark.parametrize(
    ("kind", "ok"), [("ext4", True), ("nfs4", None), ("cifs", None), ("9p", None), (None, True)]
)
def test_a_network_share_is_no_place_for_state(
    context: Context, monkeypatch: pytest.MonkeyPatch, kind: str | None, ok: bool | None
) -> None:
    mounts = [("/", "overlay"), (str(context.work_dir.parent), kind)] if kind else []
    monkeypatch.setattr(
        "psutil.disk_partitions",
        lambda **_all: [SimpleNamespace(mountpoint=m, fstype=f, opts="rw") for m, f in mounts],
    )
    check = places.check_file_system(context)
    assert check.ok is ok
    if ok is None:
        assert "work_dir" in check.fix


def test_a_windows_share_says_remote(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.platform", "win32")
    mount = SimpleNamespace(mountpoint="/", fstype="NTFS", opts="rw,remote")
    monkeypatch.setattr("psutil.disk_partitions", lambda **_all: [mount])
    assert places.file_system(tmp_path) == "remote"


def test_the_work_folder_is_made_and_written_to(context: Context) -> None:
    assert places.check_work_dir(context).ok is True
    assert list(context.work_dir.iterdir()) == []


def test_a_file_in_the_place_of_the_work_folder(context: Context) -> None:
    context.work_dir.parent.mkdir(exist_ok=True)
    context.work_dir.write_text("")
    assert places.check_work_dir(context).ok is False


@pytest.mark.parametrize("system", ["without names", "with names"])
def test_nothing_is_left_where_writing_was_tried(
    context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str
) -> None:
    seen: list[list[str]] = []
    write = os.write

    def look(descriptor: int, data: bytes) -> int:
        seen.append(os.listdir(tmp_path / "out"))
        return write(descriptor, data)

    (tmp_path / "out").mkdir()
    if system == "with names":
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    monkeypatch.setattr(os, "write", look)
    assert places.check_output(replace(context, output_dir=tmp_path / "out")).ok is True
    (during,) = seen
    assert len(during) == (1 if system == "with names" or sys.platform != "linux" else 0)
    assert os.listdir(tmp_path / "out") == []


def test_an_output_folder_that_cannot_be_written(
    context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(*_arguments: object) -> int:
        raise OSError(errno.EROFS, "Read-only file system")

    output = replace(context, output_dir=tmp_path / "not" / "there yet")
    assert places.check_output(output).ok is True
    monkeypatch.setattr("os.open", read_only)
    check = places.check_output(output)
    assert check.blocks
    assert "--output-dir" in check.fix


def test_beside_the_media(context: Context, tmp_path: Path) -> None:
    media = tmp_path / "media"
    media.mkdir()
    film = media / "film.mkv"
    film.write_bytes(b"x")
    for given in (media, film):
        check = places.check_output(replace(context, input_dir=given))
        assert check.ok is True
        assert str(media) in check.detail
    assert sorted(media.iterdir()) == [film]
    assert places.check_output(context).detail == "beside the media"


@pytest.mark.parametrize(("count", "ok"), [(0, False), (1, True), (2, True)])
def test_how_many_media(context: Context, tmp_path: Path, count: int, ok: bool) -> None:
    check = places.check_input(
        replace(context, input_dir=tmp_path, count_media=lambda _folder: count)
    )
    assert check.ok is ok
    assert ("files" in check.detail) is (count != 1)


def test_an_input_that_cannot_be_read(context: Context, tmp_path: Path) -> None:
    def missing(_folder: Path) -> int:
        raise fail("input_not_found", "There is no such folder", "Check the path")

    check = places.check_input(replace(context, input_dir=tmp_path, count_media=missing))
    assert (check.ok, check.fix) == (False, "Check the path")
    assert places.check_input(context).ok is None
