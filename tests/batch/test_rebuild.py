from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from batch.file_record import DONE, FAILED, INTERRUPTED, STARTED, Content
from batch.rebuild import catch_up, stories, story_of
from batch.state import State
from orchestrator.contract.errors import ErrorClass, ErrorInfo
from orchestrator.contract.exchange import Clip
from orchestrator.contract.job import Publication, Published, Source, write_job
from orchestrator.contract.paths import JobFolder, WorkFolder
from orchestrator.job.manifest import MANIFEST_VERSION, Manifest
from orchestrator.jobs import BY_HAND_RUN
from orchestrator.prepare import JobMaker

from .conftest import make_recipe

FILM = "/lib/Film.mkv"
CONTENT = Content(1000, 5, "f" * 32)
SRT = Published("/lib/Film.en.srt", 10, 6, "0" * 64)
VTT = Published("/lib/Film.en.vtt", 11, 7, "1" * 64)
BAD = ErrorInfo("bad_media", "not to our taste", "another", ErrorClass.INPUT)
CRASH = ErrorInfo("stage_crashed", "it crashed", "", ErrorClass.INTERNAL, retryable=True)

Make = Callable[..., JobFolder]


@pytest.fixture
def work(tmp_path: Path) -> WorkFolder:
    work = WorkFolder(tmp_path / "work")
    work.root.mkdir()
    return work


@pytest.fixture
def job(work: WorkFolder) -> Make:
    """A job of ``FILM`` as a run left it; ``minute`` is when."""

    def make(
        status: str,
        minute: int,
        published: tuple[Published, ...] = (),
        *,
        path: str = FILM,
        key: str = "key",
        error: ErrorInfo | None = None,
        run_id: str = "20260131T220000Z-1a2b3c",
        clip: Clip | None = None,
    ) -> JobFolder:
        folder, spec = JobMaker(work, "me").make(
            replace(make_recipe(), settings_key=key, versions={"batch-subtitles": "1.2"}),
            Source(path, *CONTENT),
            Publication(os.path.dirname(path), "Film", ("srt",)),
            clip,
        )
        write_job(folder, spec)
        manifest = Manifest(
            MANIFEST_VERSION,
            spec.id,
            run_id,
            status,
            published=published,
            error=None if error is None else error.to_json(),
        )
        manifest.save(folder)
        data = json.loads(folder.manifest.read_text())
        data["updated"] = f"2026-01-31T22:{minute:02}:00Z"
        folder.manifest.write_text(json.dumps(data))
        return folder

    return make


def a_run(work: WorkFolder, name: str) -> None:
    (work.runs / name).mkdir(parents=True)


def test_what_is_done_is_known_again(work: WorkFolder, job: Make, state: State) -> None:
    folder = job("done", 1, (SRT,))
    assert catch_up(state, work) == 1
    record = state.record(FILM)
    assert record is not None
    assert (record.status, record.settings_key) == (DONE, "key")
    assert Content(*record[:3]) == CONTENT
    assert record.job_dir == os.fsencode(folder.root)
    assert record.published("/lib") == [SRT]


def test_what_earlier_settings_made_stays_ours(work: WorkFolder, job: Make, state: State) -> None:
    job("done", 1, (SRT,), key="one")
    job("done", 2, (VTT,), key="two")
    job("running", 3, key="three")
    assert catch_up(state, work) == 1
    record = state.record(FILM)
    assert record is not None
    assert (record.status, record.settings_key) == (STARTED, "three")
    assert record.output_paths == ["Film.en.vtt"]
    assert record.published("/lib") == [VTT, SRT]


def test_a_later_run_of_an_earlier_job_counts(work: WorkFolder, job: Make, state: State) -> None:
    job("done", 9, (SRT,))
    job("interrupted", 3)
    catch_up(state, work)
    record = state.record(FILM)
    assert record is not None
    assert record.status == DONE


@pytest.mark.parametrize(
    ("status", "error", "expected", "failures"),
    [
        ("failed", BAD, FAILED, 0),
        ("failed", CRASH, FAILED, 1),
        ("interrupted", None, INTERRUPTED, 0),
        ("running", None, STARTED, 0),
    ],
)
def test_what_is_not_done_is_known_again(
    work: WorkFolder,
    job: Make,
    state: State,
    status: str,
    error: ErrorInfo | None,
    expected: str,
    failures: int,
) -> None:
    job(status, 1, error=error)
    catch_up(state, work)
    record = state.record(FILM)
    assert record is not None
    assert (record.status, record.error, record.failures) == (expected, error, failures)
    assert record.version == ("1.2" if error else "")


def test_jobs_by_hand_and_clips_and_jobs_never_run_are_left_out(
    work: WorkFolder, job: Make, state: State
) -> None:
    job("done", 1, (SRT,), run_id=f"{BY_HAND_RUN}20260131T220000Z-7")
    job("done", 2, clip=Clip(1.0, 2.0))
    never = job("running", 3)
    never.manifest.unlink()
    assert list(stories(work)) == []
    assert catch_up(state, work) == 0


@pytest.mark.parametrize(
    "spoil",
    [
        lambda job: job.spec.write_text("{"),
        lambda job: job.manifest.write_text("{"),
        lambda job: job.manifest.write_text(job.manifest.read_text().replace("2026-01", "x")),
        lambda job: job.manifest.write_text(job.manifest.read_text().replace("internal", "x")),
    ],
    ids=["job", "manifest", "time", "error"],
)
def test_a_job_that_cannot_be_read_tells_nothing(
    job: Make, spoil: Callable[[JobFolder], object]
) -> None:
    folder = job("failed", 1, error=CRASH)
    assert story_of(folder) is not None
    spoil(folder)
    assert story_of(folder) is None


def test_a_database_that_knows_all_runs_is_left_alone(
    work: WorkFolder, job: Make, state: State
) -> None:
    a_run(work, "20260131T220000Z-1a2b3c")
    (work.runs / "notes").mkdir()
    state.begin_run("20260131T220000Z-1a2b3c", 1.0)
    job("done", 1, (SRT,))
    assert catch_up(state, work) is None
    assert state.record(FILM) is None


def test_a_database_that_lags_behind_learns_what_came_after(
    work: WorkFolder, job: Make, state: State
) -> None:
    state.begin_run("20260131T210000Z-1a2b3c", 1.0)
    state.record_done("/lib/b.mkv", CONTENT, "key", [], 1.0)
    known = job("done", 1, (SRT,), path="/lib/a.mkv")
    state.record_done("/lib/a.mkv", CONTENT, "older", [VTT], 1.0)
    a_run(work, "20260131T220500Z-1a2b3c")
    news = job("done", 6, (SRT,), path="/lib/c.mkv")
    job("failed", 7, path="/lib/b.mkv", error=CRASH)

    assert catch_up(state, work) == 2

    records = state.records_in("/lib")
    assert records["a.mkv"].settings_key == "older", "that run is known"
    assert known.root != news.root
    assert records["b.mkv"].status == FAILED
    assert records["c.mkv"].status == DONE
    assert catch_up(state, work) is None, "now that run is known, too"


@pytest.mark.parametrize(
    ("told", "expected"), [("done", DONE), ("interrupted", STARTED), ("failed", STARTED)]
)
def test_of_a_job_that_is_known_only_the_end_is_news(
    work: WorkFolder, job: Make, state: State, told: str, expected: str
) -> None:
    state.begin_run("20260131T210000Z-1a2b3c", 1.0)
    a_run(work, "20260131T220000Z-1a2b3c")
    folder = job(told, 1, (SRT,), error=CRASH if told == "failed" else None)
    state.record_started(FILM, CONTENT, "key", str(folder.root), 1.0)
    catch_up(state, work)
    record = state.record(FILM)
    assert record is not None
    assert record.status == expected


def test_what_is_ours_by_the_database_stays_ours(work: WorkFolder, job: Make, state: State) -> None:
    state.begin_run("20260131T210000Z-1a2b3c", 1.0)
    state.record_done(FILM, CONTENT, "one", [SRT], 1.0)
    a_run(work, "20260131T220000Z-1a2b3c")
    job("done", 1, (VTT,), key="two")
    catch_up(state, work)
    record = state.record(FILM)
    assert record is not None
    assert record.published("/lib") == [VTT, SRT]
