"""How much room a disk has, in bytes and in files, and what a file holds."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from orchestrator.contract.files import free_bytes, has_free_files, sha256_file


def test_this_disk_has_room(tmp_path: Path) -> None:
    assert free_bytes(tmp_path) > 0
    assert has_free_files(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="statvfs is POSIX's")
def test_a_disk_without_a_size_is_not_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing could be published on ramfs, nor through a FUSE driver that does not say."""
    nothing = SimpleNamespace(f_blocks=0, f_bavail=0, f_frsize=512)
    monkeypatch.setattr(os, "statvfs", lambda _folder: nothing)
    assert free_bytes(Path("library")) > 1 << 60


@pytest.mark.skipif(sys.platform == "win32", reason="statvfs is POSIX's")
@pytest.mark.parametrize(
    ("files", "free", "room"),
    [(1000, 500, True), (1000, 3, True), (1000, 2, False), (0, 0, True)],
)
def test_files_are_counted_where_the_disk_has_a_limit(
    monkeypatch: pytest.MonkeyPatch, files: int, free: int, room: bool
) -> None:
    """btrfs has none, and says 0."""
    answer = SimpleNamespace(f_files=files, f_favail=free)
    monkeypatch.setattr(os, "statvfs", lambda _folder: answer)
    assert has_free_files(Path("/anywhere")) is room


@pytest.mark.skipif(sys.platform == "win32", reason="named pipes are POSIX's")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a regular file"):
        sha256_file(tmp_path / "pipe")
