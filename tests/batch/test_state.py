from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from batch.file_record import DONE, FAILED, INTERRUPTED, STARTED, Content, Failing
from batch.retry import Count
from batch.state import State
from batch.state_schema import _MIGRATIONS, SCHEMA_VERSION, translate_error
from orchestrator.contract.errors import ErrorClass, ErrorInfo, Failure
from orchestrator.contract.job import Published
from orchestrator.contract.media import PROBE_VERSION, AudioTrack, ProbeResult

CONTENT = Content(1000, 5, "f" * 32)
ERROR = ErrorInfo("not_media", "it is text", "remove it", ErrorClass.INPUT)
SRT = Published("/lib/Film.en.srt", 10, 6, "0" * 64)
VTT = Published("/lib/Film.en.vtt", 11, 7, "1" * 64)
FAR = Published("/out/Film.en.srt", 12, 8, "2" * 64)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "batch.db"


@pytest.fixture
def state(path: Path) -> Iterator[State]:
    with closing(State.open(path)) as state:
        yield state


def test_a_finished_file_is_remembered_over_runs(path: Path) -> None:
    with closing(State.open(path)) as state:
        state.record_started("/lib/Film.mkv", CONTENT, "key", "out/1", 1.0)
        state.record_done("/lib/Film.mkv", CONTENT, "key", [SRT, FAR], 2.0, audio_seconds=60)
    with closing(State.open(path)) as state:
        record = state.record("/lib/Film.mkv")
        assert record is not None
        assert record.status == DONE
        assert (record.size, record.mtime_ns, record.fingerprint) == CONTENT
        assert record.settings_key == "key"
        assert record.job_dir == b"out/1"
        assert record.output_paths == ["Film.en.srt", "/out/Film.en.srt"]
        assert record.published("/lib") == [SRT, FAR]
        assert record.error is None


@pytest.mark.skipif(sys.platform == "win32", reason="file modes are POSIX's")
def test_nobody_else_can_read_it_nor_its_journals(path: Path) -> None:
    before = os.umask(0)
    try:
        with closing(State.open(path)) as state:
            state.record_started("/lib/Film.mkv", CONTENT, "key", "out/1", 1.0)
            modes = {one.name: one.stat().st_mode & 0o777 for one in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(["batch.db", "batch.db-shm", "batch.db-wal"], 0o600)


def test_one_folder_is_read_at_a_time(state: State) -> None:
    for file in ("/lib/a.mkv", "/lib/b.mkv", "/lib/sub/c.mkv"):
        state.record_started(file, CONTENT, "key", "", 1.0)
    assert set(state.records_in("/lib")) == {"a.mkv", "b.mkv"}
    assert state.records_in("/lib")["a.mkv"] == state.record("/lib/a.mkv")
    assert state.records_in("/other") == {}
    assert state.record("/lib/missing.mkv") is None


def test_names_that_are_not_utf8_survive(state: State) -> None:
    stem = os.fsdecode(b"caf\xe9")
    output = Published(f"/lib/{stem}.en.srt", 1, 2, "3")
    state.record_done(f"/lib/{stem}.mkv", CONTENT, "key", [output], 1.0)
    assert state.records_in("/lib")[f"{stem}.mkv"].published("/lib") == [output]


def test_earlier_outputs_stay_ours(state: State) -> None:
    state.record_done("/lib/Film.mkv", CONTENT, "one", [SRT], 1.0)
    state.record_done("/lib/Film.mkv", CONTENT, "two", [VTT], 2.0)
    record = state.records_in("/lib")["Film.mkv"]
    assert record.output_paths == ["Film.en.vtt"]
    assert record.published("/lib") == [VTT, SRT]
    newer = Published(SRT.path, 99, 9, "9" * 64)
    state.record_done("/lib/Film.mkv", CONTENT, "three", [newer], 3.0)
    assert state.records_in("/lib")["Film.mkv"].published("/lib") == [newer, VTT]


@pytest.mark.parametrize("status", [FAILED, INTERRUPTED])
def test_a_failure_keeps_what_is_ours(state: State, status: str) -> None:
    state.record_done("/lib/Film.mkv", CONTENT, "one", [SRT], 1.0)
    state.record_started("/lib/Film.mkv", CONTENT, "two", "out/2", 2.0)
    assert state.records_in("/lib")["Film.mkv"].status == STARTED
    state.record_failed("/lib/Film.mkv", CONTENT, "two", ERROR, 3.0, status=status)
    record = state.records_in("/lib")["Film.mkv"]
    assert record.status == status
    assert record.error == ERROR
    assert record.published("/lib") == [SRT]


def test_a_success_ends_the_count_of_failures(state: State) -> None:
    past = Count(2, 77.0)
    state.record_failed("/lib/a.mkv", CONTENT, "key", ERROR, 3.0, count=past, version="1.2")
    record = state.record("/lib/a.mkv")
    assert record is not None
    assert (record.past, record.version) == (past, "1.2")
    state.record_started("/lib/a.mkv", CONTENT, "key", "out/1", 4.0)
    record = state.record("/lib/a.mkv")
    assert record is not None
    assert record.past == past, "whether it ends well is not known yet"
    state.record_done("/lib/a.mkv", CONTENT, "key", [], 5.0)
    record = state.record("/lib/a.mkv")
    assert record is not None
    assert record.past == Count()


def test_those_that_failed_the_last_time_are_listed(state: State) -> None:
    for number, name in enumerate("abc"):
        state.record_failed(f"/lib/{name}.mkv", CONTENT, "key", ERROR, float(number))
    state.record_done("/lib/b.mkv", CONTENT, "key", [], 9.0)
    assert state.failing() == [
        Failing("/lib/c.mkv", ERROR, Count(), 2.0),
        Failing("/lib/a.mkv", ERROR, Count(), 0.0),
    ]


def test_one_that_is_released_is_forgotten_with_what_the_probe_said(state: State) -> None:
    state.record_failed("/lib/a.mkv", CONTENT, "key", ERROR, 1.0, count=Count(9, 9.0))
    state.record_probes([("/lib/a.mkv", 1, 1, ProbeResult("", error=ERROR))])
    assert state.release("/lib/a.mkv")
    assert state.probe("/lib/a.mkv", 1, 1) is None
    assert state.failing() == [Failing("/lib/a.mkv", None, Count(), 1.0)]
    assert not state.release("/lib/b.mkv")


def test_attempts_are_counted(state: State, path: Path) -> None:
    for _ in range(3):
        state.record_started("/lib/Film.mkv", CONTENT, "key", "", 1.0)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT attempts FROM files").fetchall() == [(3,)]


def test_a_new_time_stamp_of_the_same_content(state: State) -> None:
    state.record_done("/lib/Film.mkv", CONTENT, "key", [SRT], 1.0)
    state.restamp("/lib/Film.mkv", 1000, 77)
    assert state.records_in("/lib")["Film.mkv"].mtime_ns == 77


PROBE = ProbeResult("f" * 32, 60.0, "mp4", (AudioTrack(0, "aac", "en"),))


def test_a_probe_holds_as_long_as_the_file_is_the_same(state: State) -> None:
    state.record_probes([("/lib/Film.mkv", 1000, 5, PROBE)])
    assert state.probe("/lib/Film.mkv", 1000, 5) == PROBE
    assert state.probe("/lib/Film.mkv", 1000, 6) is None
    assert state.probe("/lib/Film.mkv", 1001, 5) is None
    newer = ProbeResult("g" * 32)
    state.record_probes([("/lib/Film.mkv", 1001, 6, newer)])
    assert state.probe("/lib/Film.mkv", 1001, 6) == newer


@pytest.mark.parametrize(
    "passing",
    [
        ErrorInfo("storage_error", "no", "", ErrorClass.STORAGE, retryable=True),
        ErrorInfo("environment_broken", "no av", "", ErrorClass.ENVIRONMENT),
    ],
)
def test_what_is_not_wrong_with_the_file_itself_is_not_kept(
    state: State, passing: ErrorInfo
) -> None:
    """A package that was missing once would else fail every file for ever."""
    state.record_probes(
        [
            ("/lib/a.mkv", 1, 1, ProbeResult("", error=passing)),
            ("/lib/b.mkv", 1, 1, ProbeResult("", error=ERROR)),
        ]
    )
    assert state.probe("/lib/a.mkv", 1, 1) is None
    assert state.probe("/lib/b.mkv", 1, 1) is not None


@pytest.mark.parametrize(
    ("version", "result"), [(PROBE_VERSION + 1, "{}"), (PROBE_VERSION, "{}"), (PROBE_VERSION, "{")]
)
def test_a_probe_that_cannot_be_read_is_made_again(
    state: State, path: Path, version: int, result: str
) -> None:
    state.record_probes([("/lib/Film.mkv", 1000, 5, PROBE)])
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE probes SET version = ?, result = ?", (version, result))
    assert state.probe("/lib/Film.mkv", 1000, 5) is None


def test_probes_are_kept_all_or_none(state: State) -> None:
    rows = [("/lib/a.mkv", 1, 1, PROBE), ("/lib/b.mkv", 2**70, 1, PROBE)]
    with pytest.raises(OverflowError):
        state.record_probes(rows)
    assert state.probe("/lib/a.mkv", 1, 1) is None
    state.record_probes(rows[:1])
    assert state.probe("/lib/a.mkv", 1, 1) == PROBE


def test_runs_are_remembered(state: State, path: Path) -> None:
    state.begin_run("run-1", 10.0)
    state.end_run("run-1", 20.0, 5)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT * FROM runs").fetchall() == [("run-1", 10.0, 20.0, 5)]


def test_any_thread_may_use_it(state: State) -> None:
    def work(number: int) -> None:
        state.record_started(f"/lib/{number}.mkv", CONTENT, "key", "", 1.0)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(40)))
    assert len(state.records_in("/lib")) == 40


def test_what_became_of_a_file_is_durable_and_the_rest_need_not_be(state: State) -> None:
    def synchronous() -> int:
        (found,) = state._connection.execute("PRAGMA synchronous").fetchone()
        return int(found)

    (mode,) = state._connection.execute("PRAGMA journal_mode").fetchone()
    assert (mode, synchronous()) == ("wal", 1)
    during: list[tuple[str, int]] = []
    state._connection.set_trace_callback(
        lambda statement: during.append((statement.split()[0], statement.count("FULL")))
    )
    state.record_started("/lib/Film.mkv", CONTENT, "key", "", 1.0)
    state.record_started("/lib/Other.mkv", CONTENT, "key", "", 1.0)
    assert synchronous() == 2
    state.begin_run("run", 1.0)
    assert synchronous() == 1
    written = [one for one in during if one[0] != "PRAGMA" or one[1]]
    assert written == [("PRAGMA", 1), ("INSERT", 0), ("INSERT", 0), ("INSERT", 0)]


def test_a_new_job_does_not_forget_what_the_one_before_it_published(state: State) -> None:
    rows = '[["Film.en.srt", 1, 2, "0"]]'
    state.record_started("/lib/Film.mkv", CONTENT, "key", "out/1", 1.0)
    state.record_started("/lib/Film.mkv", CONTENT, "key", "out/2", 2.0, rows)
    state.record_started("/lib/Film.mkv", CONTENT, "key", "out/2", 3.0)
    record = state.record("/lib/Film.mkv")
    assert record is not None
    assert record.published("/lib") == [Published("/lib/Film.en.srt", 1, 2, "0")]


def test_a_database_of_the_first_version_is_brought_up_to_date(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(f"{_MIGRATIONS[0]} PRAGMA user_version = 1;")
        connection.execute("INSERT INTO runs (run_id, started) VALUES ('r', 1.0)")
        connection.commit()
    state = State.open(path)
    assert state.history() == []
    assert state._connection.execute("SELECT run_id FROM runs").fetchall() == [("r",)]
    assert state._connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    state.close()


def test_a_newer_database_is_refused(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(Failure) as caught:
        State.open(path)
    assert caught.value.info.code == "state_too_new"


def test_a_file_that_is_no_database_says_how_to_go_on(path: Path) -> None:
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(Failure) as caught:
        State.open(path)
    assert caught.value.info.code == "state_damaged"
    assert "puts batch.db aside" in caught.value.info.hint


def test_the_database_of_another_program_is_refused(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE files (x)")
    with pytest.raises(Failure) as caught:
        State.open(path)
    assert caught.value.info.code == "state_damaged"


def test_a_folder_that_is_missing_says_so(tmp_path: Path) -> None:
    with pytest.raises(Failure) as caught:
        State.open(tmp_path / "missing" / "batch.db")
    assert caught.value.info.code == "storage_error"


def test_damage_met_later_is_reported(state: State) -> None:
    state._connection.execute("DROP TABLE files")
    with pytest.raises(Failure) as caught:
        state.records_in("/lib")
    assert caught.value.info.code == "state_damaged"


def test_a_disk_that_fills_amid_a_commit_is_not_taken_for_damage(state: State) -> None:
    """SQLite has rolled back then, and said of our rollback that there was nothing to roll back."""
    probes = [(f"/lib/{'x' * 5000}{number}", 1, 1, PROBE) for number in range(10)]
    (pages,) = state._connection.execute("PRAGMA page_count").fetchone()
    state._connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(Failure) as caught:
        state.record_probes(probes)
    assert caught.value.info.code == "disk_full"
    state._connection.execute(f"PRAGMA max_page_count = {pages + 1000}")
    state.record_probes(probes)
    assert state.probe(probes[0][0], 1, 1) == PROBE


@pytest.mark.parametrize(
    ("number", "code", "retryable"),
    [
        (sqlite3.SQLITE_BUSY, "state_busy", True),
        (sqlite3.SQLITE_FULL, "disk_full", True),
        (sqlite3.SQLITE_IOERR_WRITE, "storage_error", True),
        (sqlite3.SQLITE_READONLY, "storage_error", True),
        (sqlite3.SQLITE_NOMEM, "storage_error", True),
        (sqlite3.SQLITE_CORRUPT, "state_damaged", True),
    ],
)
def test_errors_of_the_database_say_what_to_do(
    path: Path, number: int, code: str, retryable: bool
) -> None:
    error = sqlite3.OperationalError("simulated")
    error.sqlite_errorcode = number
    info = translate_error(path, error).info
    assert (info.code, info.retryable) == (code, retryable)
    assert str(path) in info.message
    assert info.hint


def test_an_io_error_on_a_full_disk_is_a_full_disk(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batch.state_schema.free_bytes", lambda _folder: 0)
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_SHMSIZE
    assert translate_error(path, error).info.code == "disk_full"


def test_a_disk_without_room_for_one_more_file_is_full(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batch.state_schema.has_free_files", lambda _folder: False)
    error = sqlite3.OperationalError("unable to open database file")
    error.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN
    assert translate_error(path, error).info.code == "disk_full"


def test_some_files_of_a_folder_and_of_those_below_it(state: State) -> None:
    for path in ("/films/a.mkv", "/films/b/c/d.mkv", "/films2/e.mkv", "/film.mkv"):
        state.record_started(path, Content(1, 1), "key", "/job", 1.0)
    known = state.known_below("/films", 10)
    assert sorted(path for path, _ in known) == ["/films/a.mkv", "/films/b/c/d.mkv"]
    assert {record.status for _, record in known} == {"started"}
    assert len(state.known_below("/films", 1)) == 1
    assert len(state.known_below("/", 10)) == 4
