from __future__ import annotations

import errno
import os
from contextlib import ExitStack
from pathlib import Path

import pytest

from orchestrator.contract.errors import ExitCode, Failure, exit_code_of
from orchestrator.contract.locks import ProcessLock
from orchestrator.contract.paths import WorkFolder
from orchestrator.turns import BATCH, BY_HAND, batch_is_running, turn


@pytest.fixture
def work(tmp_path: Path) -> WorkFolder:
    return WorkFolder(tmp_path)


def silent(text: str) -> None:
    pytest.fail(f"nothing is to be said: {text}")


@pytest.mark.parametrize("purpose", [BATCH, BY_HAND])
def test_a_batch_is_waited_for_by_nobody(work: WorkFolder, purpose: str) -> None:
    with (
        turn(work, BATCH, silent),
        pytest.raises(Failure) as caught,
        turn(work, purpose, silent),
    ):
        pass
    info = caught.value.info
    assert (info.code, exit_code_of(info)) == ("already_running", ExitCode.ALREADY_RUNNING)
    assert "batch-subtitles, process " in info.message
    with turn(work, purpose, silent):
        pass


def test_who_does_not_say_what_it_does_is_taken_for_a_batch(work: WorkFolder) -> None:
    with ProcessLock(work.lock), pytest.raises(Failure), turn(work, BATCH, silent):
        pass


@pytest.mark.parametrize("purpose", [BATCH, BY_HAND])
def test_a_job_by_hand_is_waited_for(work: WorkFolder, purpose: str) -> None:
    order: list[str] = []
    by_hand = ExitStack()

    def sleep(seconds: float) -> None:
        order.append(f"{seconds} s")
        if len(order) == 3:
            by_hand.close()

    by_hand.enter_context(turn(work, BY_HAND, silent))
    with turn(work, purpose, order.append, sleep):
        order.append("turn")
    assert order[0].startswith("waiting for run-pipeline, process ")
    assert order[1:] == ["0.5 s", "0.5 s", "turn"], "it is told once"


def test_a_batch_that_comes_first_is_not_waited_for(work: WorkFolder) -> None:
    """Both waited for a job by hand: the other one would sit there silently all night."""
    told: list[str] = []
    with ExitStack() as holders:
        holders.enter_context(turn(work, BY_HAND, silent))

        def sleep(_seconds: float) -> None:
            holders.close()
            holders.enter_context(turn(work, BATCH, silent))

        with pytest.raises(Failure) as caught, turn(work, BY_HAND, told.append, sleep):
            pass
    assert caught.value.info.code == "already_running"
    assert "batch-subtitles, process " in caught.value.info.message
    assert len(told) == 1


def test_a_disk_without_locks_is_told(work: WorkFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def take(_descriptor: int, *, wait: bool) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("orchestrator.contract.locks._take", take)
    with pytest.raises(Failure) as caught, turn(work, BATCH, silent):
        pass
    info = caught.value.info
    assert info.code == "storage_error"
    assert os.strerror(errno.ENOLCK) in info.message
    assert "local disk" in info.hint


def test_a_look_disturbs_nobody(work: WorkFolder) -> None:
    assert not batch_is_running(work)
    with turn(work, BY_HAND, silent):
        assert not batch_is_running(work)
    with turn(work, BATCH, silent):
        assert batch_is_running(work)


def test_a_lock_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    work = WorkFolder(tmp_path / "file")
    with pytest.raises(Failure) as caught, turn(work, BATCH, silent):
        pass
    assert "coordinator.lock could not be made" in caught.value.info.message
    assert not batch_is_running(work)
