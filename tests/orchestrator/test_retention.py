"""What is freed, and what never is."""

import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.contract.locks import ProcessLock
from orchestrator.contract.paths import WorkFolder
from orchestrator.retention import Kept, choose, free, freeable

NOW = 1_000_000.0
DAY = 86_400.0


def kept(name: str, size: int, age: float) -> Kept:
    path = Path("artefacts") / name
    return Kept(path, size, NOW - age, path / "lock")


OLD, MIDDLE, NEW = kept("old", 10, 30 * DAY), kept("middle", 20, 10 * DAY), kept("new", 30, 0.0)


def test_what_is_too_old_goes() -> None:
    assert choose([NEW, OLD, MIDDLE], NOW, 20 * DAY, None) == [OLD]
    assert choose([NEW, OLD, MIDDLE], NOW, 10 * DAY, None) == [OLD]
    assert choose([NEW, OLD, MIDDLE], NOW, 1e9, None) == []


def test_then_the_oldest_until_the_rest_fits() -> None:
    assert choose([NEW, OLD, MIDDLE], NOW, 1e9, 60) == []
    assert choose([NEW, OLD, MIDDLE], NOW, 1e9, 50) == [OLD]
    assert choose([NEW, OLD, MIDDLE], NOW, 1e9, 49) == [OLD, MIDDLE]
    assert choose([NEW, OLD, MIDDLE], NOW, 20 * DAY, 0) == [OLD, MIDDLE, NEW]
    assert choose([], NOW, 0.0, 0) == []


THINGS = st.lists(
    st.builds(kept, st.text("abc", min_size=1), st.integers(0, 100), st.floats(0.0, 50 * DAY)),
    max_size=12,
)


@given(THINGS, st.floats(0.0, 50 * DAY), st.none() | st.integers(0, 600))
def test_the_rule_holds(things: list[Kept], max_age: float, max_bytes: int | None) -> None:
    chosen = choose(things, NOW, max_age, max_bytes)
    rest = list(things)
    for one in chosen:
        rest.remove(one)
    assert all(NOW - one.used <= max_age for one in rest)
    if max_bytes is not None:
        assert sum(one.size for one in rest) <= max_bytes
    assert all(one.used <= other.used for one in chosen for other in rest)
    if chosen:
        last = chosen[-1]
        too_old = NOW - last.used > max_age
        over = sum(one.size for one in rest) + last.size
        assert too_old or (max_bytes is not None and over > max_bytes)


def fill(work: WorkFolder) -> None:
    artefact = work.artefact("f0", "k0")
    artefact.mkdir(parents=True)
    (artefact / "audio.wav").write_bytes(b"x" * 1000)
    os.utime(artefact / "audio.wav", (NOW, NOW))
    (work.artefacts / "stray file").write_bytes(b"")
    job = work.day("20260131", "ann") / "20260131-000001"
    job.mkdir(parents=True)
    (job / "job.json").write_bytes(b"{}")
    os.utime(job / "job.json", (NOW - DAY, NOW - DAY))
    (job / "dangling").symlink_to("nowhere")


def test_artefacts_and_jobs_can_be_freed(tmp_path: Path) -> None:
    work = WorkFolder(tmp_path)
    assert list(freeable(work)) == []
    fill(work)
    artefacts, job = freeable(work)
    assert (artefacts.path, artefacts.size, artefacts.used) == (work.artefacts / "f0", 1000, NOW)
    assert (job.path.name, job.size, job.used) == ("20260131-000001", 2, NOW - DAY)
    assert free([artefacts, job]) == (2, 1002)
    assert not artefacts.path.exists()
    assert not job.path.exists()
    assert list(freeable(work)) == []


def test_what_is_in_use_stays(tmp_path: Path) -> None:
    work = WorkFolder(tmp_path)
    fill(work)
    artefacts, job = freeable(work)
    with ProcessLock(artefacts.lock):
        assert free([artefacts, job]) == (1, 2)
    assert (artefacts.path / "k0" / "audio.wav").exists()


def test_what_cannot_be_removed_is_not_counted(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    odd = Kept(tmp_path / "file" / "job", 5, NOW, tmp_path / "file" / "job" / "job.lock")
    assert free([odd]) == (0, 0)


def test_an_empty_folder_is_new(tmp_path: Path) -> None:
    work = WorkFolder(tmp_path)
    (work.artefacts / "f0").mkdir(parents=True)
    (empty,) = freeable(work)
    assert empty.size == 0
    assert choose([empty], empty.used, 0.0, None) == []
