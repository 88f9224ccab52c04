from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from orchestrator.contract.errors import Failure
from orchestrator.job.ground import Ground


def test_the_same_folder_may_have_got_what_was_missing(tmp_path: Path) -> None:
    ground = Ground.of(tmp_path / "Series" / "Season 1")
    assert ground.folder == tmp_path
    (tmp_path / "Series" / "Season 1").mkdir(parents=True)
    ground.check()


def test_an_empty_mount_point_is_another_folder(tmp_path: Path) -> None:
    folder = tmp_path / "share"
    folder.mkdir()
    ground = Ground.of(folder)
    folder.rename(tmp_path / "unmounted")
    folder.mkdir()
    with pytest.raises(Failure) as caught:
        ground.check()
    assert (caught.value.info.code, caught.value.info.retryable) == ("storage_lost", True)


@pytest.mark.parametrize("number", [errno.ESTALE, errno.ENOTCONN])
def test_a_disk_that_fails_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    ground = Ground.of(tmp_path)

    def stat(path: object, **_: object) -> os.stat_result:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", stat)
        for ask in (ground.check, lambda: Ground.of(tmp_path)):
            with pytest.raises(Failure, match=os.strerror(number)) as caught:
                ask()
            assert caught.value.info.code == "storage_error"
