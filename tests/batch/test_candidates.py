from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from batch import candidates as module
from batch.candidates import Candidates
from batch.decide import Policy
from batch.events import AllDecided, Discovered, FileFinished, Queued, Skipped
from batch.file_record import Content
from batch.filejob import Task
from batch.listing import DirectoryListing
from batch.queue import Queue
from batch.scan import Places, Scan
from batch.state import State
from orchestrator.contract.errors import ErrorClass, ErrorInfo, Failure, fail
from orchestrator.contract.job import JobOutput
from orchestrator.contract.keys import fingerprint
from orchestrator.contract.media import AudioTrack, ProbeResult
from orchestrator.contract.paths import JobFolder

from .conftest import OLD_NS, Ear, add, walk

POLICY = Policy("key-1", (JobOutput("srt", "a.srt", publish="srt"),), ("en",), settle_seconds=5.0)
SECOND = 10**9


class FakeProber:
    """Tells by the name what is in a file, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.errors: dict[str, ErrorInfo] = {}

    async def probe(self, path: str) -> ProbeResult:
        await trio.lowlevel.checkpoint()
        name = os.path.basename(path)
        self.asked[name] += 1
        audio = () if name.startswith("silent") else (AudioTrack(0, "aac", "en"),)
        error = self.errors.get(name)
        if name.startswith(("stalls", "text")):
            error = ErrorInfo("bad", name, retryable=name.startswith("stalls"))
        return ProbeResult(fingerprint(Path(path)), 60.0, "mkv", audio, error=error)


@pytest.fixture
def prober() -> FakeProber:
    return FakeProber()


Make = Callable[..., Candidates[str]]


@pytest.fixture
def queue() -> Queue:
    return Queue()


@pytest.fixture
def make(library: Path, state: State, ear: Ear, prober: FakeProber, queue: Queue) -> Make:
    """``Candidates`` of the library; the wall clock starts at OLD_NS and runs with Trio's."""

    def make(limit: int | None = None) -> Candidates[str]:
        started = trio.current_time()

        def now_ns() -> int:
            return OLD_NS + round((trio.current_time() - started) * SECOND)

        scan = Scan(Places(str(library), None), POLICY, state, ear, lambda: OLD_NS)
        return Candidates(
            scan,
            POLICY,
            state,
            prober,  # type: ignore[arg-type]
            ear,
            lambda task: task.item.name,
            queue,
            limit,
            now_ns=now_ns,
        )

    return make


def add_settled(library: Path, *names: str) -> None:
    for name in names:
        add(library, name, mtime_ns=OLD_NS - 3600 * SECOND)


async def tasks(candidates: Candidates[str], library: Path, queue: Queue) -> list[Task]:
    await candidates.survey(walk(library))
    return await take_all(candidates, queue)


async def take_all(candidates: Candidates[str], queue: Queue) -> list[Task]:
    found = []
    while queue.front:
        waiting = queue.take(queue.front[0].path)
        if (taken := await candidates.take(waiting.candidate)) is not None:
            assert taken[1] == taken[0].item.name
            found.append(taken[0])
    return found


def names(events: Sequence[Queued | FileFinished | Skipped]) -> list[str]:
    return [os.path.basename(event.path) for event in events]


async def test_each_file_that_needs_work_becomes_a_task(
    library: Path, make: Make, ear: Ear, prober: FakeProber, queue: Queue
) -> None:
    add_settled(library, "b.mkv", "a.mkv", "silent.mkv", "text.mkv")

    found = await tasks(make(), library, queue)

    assert [task.item.name for task in found] == ["a.mkv", "b.mkv"]
    assert found[0].target_folder == str(library)
    assert found[0].fingerprint == fingerprint(library / "a.mkv")
    assert (found[0].audio_seconds, found[0].record, found[0].work.language) == (60.0, None, "en")
    assert [(one.audio_seconds, one.reason) for one in ear.of(Queued)] == [(60.0, "new")] * 2
    assert {
        os.path.basename(one.path): one.error.code for one in ear.of(FileFinished) if one.error
    } == {"silent.mkv": "no_audio_track", "text.mkv": "bad"}
    assert isinstance(ear.events[-1], AllDecided)
    assert ear.of(Discovered)


async def test_each_file_is_looked_into_once_for_all_runs(
    library: Path, make: Make, prober: FakeProber, monkeypatch: pytest.MonkeyPatch, queue: Queue
) -> None:
    monkeypatch.setattr(module, "PROBES_PER_COMMIT", 2)
    add_settled(library, *(f"{number}.mkv" for number in range(5)), "text.mkv", "stalls.mkv")
    for _ in range(2):
        assert len(await tasks(make(), library, queue)) == 5
    assert prober.asked.pop("stalls.mkv") == 2, "another look may find something else"
    assert set(prober.asked.values()) == {1}


async def test_the_survey_runs_ahead_of_the_work(
    library: Path, make: Make, ear: Ear, queue: Queue
) -> None:
    add_settled(library, *(f"{number}.mkv" for number in range(9)))
    candidates = make()
    await candidates.survey(walk(library))
    assert len(ear.of(Queued)) == 9
    assert (await take_all(candidates, queue))[0].item.name == "0.mkv"


async def test_a_limit_counts_what_needs_work(
    library: Path, make: Make, ear: Ear, queue: Queue
) -> None:
    add_settled(library, "a.mkv", "silent.mkv", "b.mkv", "c.mkv")
    add(library, "growing.mkv")
    found = await tasks(make(limit=2), library, queue)
    assert [task.item.name for task in found] == ["a.mkv", "b.mkv"]
    assert names(ear.of(Queued)) == ["a.mkv", "b.mkv"]
    assert ear.of(Discovered)[0].media == 5


async def test_a_file_just_written_comes_last_when_it_has_settled(
    autojump_clock: MockClock, library: Path, make: Make, queue: Queue
) -> None:
    add(library, "a.mkv", mtime_ns=OLD_NS - SECOND)
    add_settled(library, "b.mkv")
    found = await tasks(make(), library, queue)
    assert [task.item.name for task in found] == ["b.mkv", "a.mkv"]
    assert trio.current_time() == pytest.approx(4.0)


async def test_a_file_that_grew_meanwhile_is_left_for_the_next_run(
    library: Path, make: Make, ear: Ear, mock_clock: MockClock, queue: Queue
) -> None:
    growing = add(library, "growing.mkv", mtime_ns=OLD_NS)
    gone = add(library, "went.mkv", mtime_ns=OLD_NS)
    candidates = make()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(candidates.survey, walk(library))
        while not ear.of(Discovered):
            await trio.lowlevel.checkpoint()
        await wait_all_tasks_blocked()
        growing.write_text("more of it")
        gone.unlink()
        mock_clock.jump(6.0)
    assert [(one.reason, one.detail) for one in ear.of(Skipped)] == [
        ("still_growing", "it is still being written to; run again later")
    ]
    assert [one.error.code for one in ear.of(FileFinished) if one.error] == ["source_unreadable"]
    assert len(queue) == 0


async def test_each_file_is_decided_again_at_its_turn(
    library: Path, make: Make, ear: Ear, prober: FakeProber, state: State, queue: Queue
) -> None:
    add_settled(library, "a.mkv", "changed.mkv", "covered.mkv", "gone.mkv", "growing.mkv")
    candidates = make()
    await candidates.survey(walk(library))
    assert len(ear.of(Queued)) == 5
    add(library, "changed.mkv", "another cut", mtime_ns=OLD_NS - 60 * SECOND)
    (library / "covered.en.srt").touch()
    (library / "gone.mkv").unlink()
    add(library, "growing.mkv", "a copy has begun", mtime_ns=OLD_NS)

    found = await take_all(candidates, queue)

    assert [task.item.name for task in found] == ["a.mkv", "changed.mkv"]
    assert found[1].fingerprint == fingerprint(library / "changed.mkv")
    assert found[1].item.size == len("another cut")
    assert prober.asked == Counter(
        {"a.mkv": 1, "changed.mkv": 2, "covered.mkv": 1, "gone.mkv": 1, "growing.mkv": 2}
    )
    assert {os.path.basename(one.path): one.reason for one in ear.of(Skipped)} == {
        "covered.mkv": "name_taken",
        "growing.mkv": "still_growing",
    }
    assert names(ear.of(FileFinished)) == ["gone.mkv"]


async def test_a_lost_disk_ends_the_survey(library: Path, make: Make, queue: Queue) -> None:
    lost = fail("storage_lost", "the disk went away")

    def walking() -> Iterator[DirectoryListing]:
        yield from walk(library)
        raise lost

    add_settled(library, "a.mkv")
    candidates = make()
    with pytest.RaisesGroup(Failure, flatten_subgroups=True):
        await candidates.survey(walking())


class Disk:
    """Storage that is lost, and back as soon as anybody asks; ``then`` happens meanwhile."""

    def __init__(self, then: Callable[[], object]) -> None:
        self.asked: list[str] = []
        self._then = then

    async def comes_back(self, error: ErrorInfo, since: float) -> bool:
        self.asked.append(error.code)
        self._then()
        return len(self.asked) == 1


async def test_a_file_on_a_disk_that_was_away_is_looked_into_again(
    library: Path, state: State, ear: Ear, queue: Queue, prober: FakeProber
) -> None:
    add_settled(library, "a.mkv")
    stalled = ErrorInfo("probe_stalled", "slow", error_class=ErrorClass.STORAGE, retryable=True)
    prober.errors["a.mkv"] = stalled
    disk = Disk(lambda: prober.errors.pop("a.mkv"))
    candidates = Candidates[str](
        Scan(Places(str(library), None), POLICY, state, ear, lambda: OLD_NS),
        POLICY,
        state,
        prober,  # type: ignore[arg-type]
        ear,
        lambda task: task.item.name,
        queue,
        comes_back=disk.comes_back,
    )
    await candidates.survey(walk(library))
    assert disk.asked == ["probe_stalled"]
    assert names(ear.of(Queued)) == ["a.mkv"]
    assert ear.of(FileFinished) == []


async def test_a_file_that_is_away_at_its_turn_is_taken_when_its_disk_is_back(
    library: Path, state: State, ear: Ear, queue: Queue, prober: FakeProber
) -> None:
    add_settled(library, "a.mkv")
    disk = Disk(lambda: library.with_name("unmounted").rename(library))
    candidates = Candidates[str](
        Scan(Places(str(library), None), POLICY, state, ear, lambda: OLD_NS),
        POLICY,
        state,
        prober,  # type: ignore[arg-type]
        ear,
        lambda task: task.item.name,
        queue,
        comes_back=disk.comes_back,
    )
    await candidates.survey(walk(library))
    os.rename(library, library.with_name("unmounted"))
    (task,) = await take_all(candidates, queue)
    assert (task.item.name, disk.asked) == ("a.mkv", ["source_unreadable"])
    assert ear.of(FileFinished) == []


async def test_what_a_job_left_is_cleared_up_beside_the_event_loop(
    library: Path,
    make: Make,
    ear: Ear,
    state: State,
    queue: Queue,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its outputs are read whole, on a disk that may hang; meanwhile all other jobs are heard."""
    add_settled(library, "a.mkv")
    media = library / "a.mkv"
    candidates = make()
    content = Content(media.stat().st_size, media.stat().st_mtime_ns)
    state.record_started(str(media), content, "key-1", str(library.parent / "job"), 1.0)
    await candidates.survey(walk(library))
    (library / "a.en.srt").touch()
    begun, answers = threading.Event(), threading.Event()

    def hangs(folder: JobFolder) -> None:
        begun.set()
        assert answers.wait(60)

    monkeypatch.setattr("batch.scan.clear_up", hangs)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(take_all, candidates, queue)
        with trio.fail_after(30):
            await trio.to_thread.run_sync(begun.wait)
        assert ear.of(Skipped) == []
        answers.set()
    assert names(ear.of(Skipped)) == ["a.mkv"]
