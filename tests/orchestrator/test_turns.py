from __future__ import annotations

import threading
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
    told = threading.Event()
    order: list[str] = []

    def report(text: str) -> None:
        order.append(text)
        told.set()

    def waits() -> None:
        with turn(work, purpose, report):
            order.append("turn")

    waiting = threading.Thread(target=waits)
    with turn(work, BY_HAND, silent):
        waiting.start()
        assert told.wait(60)
        order.append("by hand ends")
    waiting.join(60)
    assert order[0].startswith("waiting for run-pipeline, process ")
    assert order[1:] == ["by hand ends", "turn"]


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
