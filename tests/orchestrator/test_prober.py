"""A resident child that answers, dies, hangs and is replaced."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest
import trio
import trio.testing

from orchestrator import prober as module
from orchestrator.contract.errors import ErrorClass
from orchestrator.prober import Prober, open_prober

PATIENCE = 60.0
STAGE = Path(__file__).parents[1] / "fakes" / "stages" / "opens"


@asynccontextmanager
async def prober(tmp_path: Path) -> AsyncIterator[Prober]:
    with trio.fail_after(PATIENCE):
        async with open_prober(Path(sys.executable), STAGE, tmp_path, "r1") as opened:
            yield opened


async def child_of(opened: Prober, path: str = "a.mkv") -> int:
    """Process id of the child, which the fake tells as the container."""
    return int((await opened.probe(path)).container)


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


async def test_one_child_answers_all_questions(tmp_path: Path) -> None:
    async with prober(tmp_path) as opened:
        first = await opened.probe("/media/a.mkv")
        second = await opened.probe("/media/\udcff b.mkv")
    assert (first.fingerprint, second.fingerprint) == ("a.mkv", "\udcff b.mkv")
    assert first.container == second.container
    assert first.audio[0].language == "en"
    assert gone(int(first.container))


async def test_questions_at_the_same_time_get_their_own_answers(tmp_path: Path) -> None:
    answers = {}
    async with prober(tmp_path) as opened, trio.open_nursery() as nursery:

        async def ask(name: str) -> None:
            answers[name] = (await opened.probe(name)).fingerprint

        for number in range(5):
            nursery.start_soon(ask, f"{number}.mkv")
    assert answers == {f"{number}.mkv": f"{number}.mkv" for number in range(5)}


async def test_a_file_that_is_refused_is_an_error_in_the_answer(tmp_path: Path) -> None:
    async with prober(tmp_path) as opened:
        answer = await opened.probe("refused.mkv")
        assert answer.error is not None
        assert answer.error.code == "no_audio_track"
        assert (await opened.probe("a.mkv")).error is None


async def test_a_file_that_kills_the_child_costs_only_itself(tmp_path: Path) -> None:
    async with prober(tmp_path) as opened:
        before = await child_of(opened)
        answer = await opened.probe("dies.mkv")
        assert answer.error is not None
        assert (answer.error.code, answer.error.error_class) == ("probe_crashed", ErrorClass.INPUT)
        assert "dies.mkv" in answer.error.message
        assert await child_of(opened) != before


@pytest.mark.parametrize("python", ["/no/such/python", "/bin/false"])
async def test_a_child_that_cannot_be_started_is_not_the_files_fault(
    tmp_path: Path, python: str
) -> None:
    with trio.fail_after(PATIENCE):
        async with open_prober(Path(python), STAGE, tmp_path, "r1") as opened:
            answer = await opened.probe("a.mkv")
    assert answer.error is not None
    assert answer.error.code == "environment_broken"
    assert answer.error.error_class is ErrorClass.ENVIRONMENT


async def test_a_child_that_died_between_questions_is_replaced(tmp_path: Path) -> None:
    async with prober(tmp_path) as opened:
        first = psutil.Process(await child_of(opened))
        first.kill()
        first.wait(PATIENCE)
        answer = await opened.probe("a.mkv")
    assert answer.error is None, "the file has nothing to do with it"


async def test_a_child_that_lacks_a_library_is_replaced(tmp_path: Path) -> None:
    """The disk of its environment was away for a moment, which the dynamic linker remembers."""
    async with prober(tmp_path) as opened:
        before = await child_of(opened)
        answer = await opened.probe("lacks-a-library.mkv")
        assert answer.error is not None
        assert answer.error.code == "environment_broken"
        assert await child_of(opened) != before


async def test_a_file_that_stalls_the_child_costs_only_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with prober(tmp_path) as opened:
        before = await child_of(opened)
        with monkeypatch.context() as patch:
            patch.setattr(module, "PROBE_SECONDS", 0.2)
            answer = await opened.probe("hangs.mkv")
        assert answer.error is not None
        assert (answer.error.code, answer.error.retryable) == ("probe_stalled", True)
        assert gone(before)
        assert (await opened.probe("a.mkv")).error is None


async def test_the_answer_to_an_abandoned_question_is_not_given_to_the_next(
    tmp_path: Path,
) -> None:
    async with prober(tmp_path) as opened:
        before = await child_of(opened)
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(opened.probe, "hangs.mkv")
                while not (tmp_path / "hanging").exists():  # noqa: ASYNC110 (it is another process)
                    await trio.sleep(0.01)
                scope.cancel()
        assert gone(before)
        assert (await opened.probe("b.mkv")).fingerprint == "b.mkv"


async def test_a_prober_never_asked_starts_no_child(tmp_path: Path) -> None:
    opened = Prober(["/no/such/python"], tmp_path, "r1")
    await opened.close()


async def test_a_child_that_waits_for_a_dead_disk_is_not_waited_for(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """The kernel lets it die when the disk answers."""
    sender, receiver = trio.testing.memory_stream_one_way_pair()

    class Undying:
        stdin, stdout = sender, receiver

        def kill(self) -> None: ...

        async def wait(self) -> None:
            await trio.sleep_forever()

    opened = Prober([], tmp_path, "r1")
    opened._process = Undying()  # type: ignore[assignment]
    with trio.fail_after(60):
        await opened.close()
