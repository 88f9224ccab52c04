from __future__ import annotations

import os
import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from batch.file_record import DONE, Content, Restored
from batch.open_state import open_state
from batch.state import State
from batch.summary.model import Error
from orchestrator.contract.errors import Failure, fail
from orchestrator.contract.job import Published
from orchestrator.contract.paths import WorkFolder

FILES = 100


@pytest.fixture
def work(tmp_path: Path) -> WorkFolder:
    return WorkFolder(tmp_path)


@pytest.fixture
def filled(work: WorkFolder) -> WorkFolder:
    with closing(State.open(work.database)) as state:
        state.restore(map(_record, range(FILES)), [("an earlier run", 1.0)])
    return work


def _record(number: int) -> Restored:
    output = Published(f"/lib/{number}.en.srt", 10, 6, "0" * 64)
    content = Content(number, number, "f" * 32)
    path = f"/lib/{number}.mkv"
    return Restored(path, content, DONE, "key", "out/1", (output,), (), None, 0, "", 1.0)


def set_aside(work: WorkFolder) -> list[Path]:
    return sorted(work.root.glob("batch.db.damaged-*"))


def silent(text: str) -> None:
    pytest.fail(f"nothing is to be said: {text}")


def test_a_sound_database_is_opened_and_nothing_is_said(filled: WorkFolder) -> None:
    with open_state(filled, report=silent) as opened:
        assert len(opened.state.records_in("/lib")) == FILES
        assert opened.told == ()
    assert set_aside(filled) == []


def test_a_first_run_makes_one(work: WorkFolder) -> None:
    with open_state(work, report=silent) as opened:
        assert opened.told == ()
    assert work.database.exists()


def test_only_what_was_renamed_is_synced(work: WorkFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    monkeypatch.setattr("batch.open_state.fsync_folder", synced.append)
    with open_state(work, report=silent):
        pass
    assert synced == [], "a first run has nothing to put aside"
    work.database.unlink()
    work.database.with_name("batch.db-wal").write_bytes(b"of another one")
    with open_state(work, report=silent):
        pass
    assert synced == [work.root]


def test_a_damaged_one_is_put_aside_and_told(filled: WorkFolder) -> None:
    rubbish = b"rubbish" * 5000
    filled.database.write_bytes(rubbish)
    said: list[str] = []
    with open_state(filled, report=said.append) as opened:
        assert opened.state.records_in("/lib") == {}
        ((key, value, reason),) = opened.told
    (aside,) = set_aside(filled)
    assert aside.read_bytes() == rubbish
    assert (key, value) == ("batch.db", "rebuilt")
    assert str(aside) in reason
    assert "file is not a database" in said[0]
    with open_state(filled, report=silent):
        pass


def test_what_belongs_to_a_lost_one_is_put_aside_as_well(filled: WorkFolder) -> None:
    filled.database.unlink()
    log = filled.database.with_name("batch.db-wal")
    log.write_bytes(b"of another database")
    with open_state(filled, report=silent):
        pass
    (aside,) = set_aside(filled)
    assert aside.name.endswith("-wal")
    assert aside.read_bytes() == b"of another database"


def test_no_name_is_taken_twice(filled: WorkFolder) -> None:
    for _ in range(2):
        filled.database.write_bytes(b"rubbish" * 5000)
        with open_state(filled, report=lambda text: None):
            pass
    assert len(set_aside(filled)) == 2


@pytest.mark.parametrize("seed", range(30))
def test_a_file_cut_off_anywhere_is_noticed(filled: WorkFolder, seed: int) -> None:
    content = filled.database.read_bytes()
    filled.database.write_bytes(content[: random.Random(seed).randrange(1, len(content))])
    with open_state(filled, report=lambda text: None) as opened:
        assert opened.state.records_in("/lib") == {}
    assert len(set_aside(filled)) == 1


@pytest.mark.parametrize("seed", range(30))
def test_rubbish_anywhere_does_no_harm(filled: WorkFolder, seed: int) -> None:
    """It is noticed, or what can still be read is what was written or nothing."""
    generator = random.Random(seed)
    content = bytearray(filled.database.read_bytes())
    place, size = generator.randrange(len(content)), generator.choice([16, 4096])
    content[place : place + size] = generator.randbytes(len(content[place : place + size]))
    filled.database.write_bytes(content)
    with open_state(filled, report=lambda text: None) as opened:
        for record in opened.state.records_in("/lib").values():
            for output in record.published("/lib"):
                assert output.path.startswith("/")


def test_records_that_are_no_records_are_damage(filled: WorkFolder) -> None:
    with closing(sqlite3.connect(filled.database)) as connection, connection:
        connection.execute("UPDATE files SET outputs = '[[' WHERE size = 7")
    said: list[str] = []
    with open_state(filled, report=said.append):
        pass
    assert "a record of outputs cannot be read" in said[0]
    assert len(set_aside(filled)) == 1


def test_text_that_cannot_be_decoded_is_damage(filled: WorkFolder) -> None:
    """SQLite finds nothing wrong with it; whoever reads it does, and says so."""
    with closing(sqlite3.connect(filled.database)) as connection, connection:
        connection.execute("UPDATE files SET status = CAST(x'ff64' AS TEXT) WHERE size = 7")
    said: list[str] = []
    with open_state(filled, report=said.append):
        pass
    assert "decode" in said[0]
    assert len(set_aside(filled)) == 1


def test_one_that_nobody_touched_is_not_looked_through(
    filled: WorkFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_state(filled, report=silent):
        pass
    looked: list[State] = []
    monkeypatch.setattr(State, "check", lambda self: looked.append(self))
    with open_state(filled, report=silent) as opened:
        opened.state.begin_run("20260131T220000Z-1a2b3c", 1.0)
    with open_state(filled, report=silent):
        pass
    assert looked == []
    os.utime(filled.database, ns=(1, 1))
    with open_state(filled, report=silent):
        pass
    assert len(looked) == 1


def test_damage_that_only_its_reader_meets(filled: WorkFolder) -> None:
    """A disk that changes what it keeps changes no time stamp."""
    with open_state(filled, report=silent):
        pass
    stamp = filled.database.stat()
    with closing(sqlite3.connect(filled.database)) as connection, connection:
        connection.execute("UPDATE files SET status = CAST(x'ff64' AS TEXT) WHERE size = 7")
    os.utime(filled.database, ns=(stamp.st_mtime_ns, stamp.st_mtime_ns))
    with pytest.raises(Failure) as caught, open_state(filled, report=silent) as opened:
        opened.state.records_in("/lib")
    assert caught.value.info.code == "state_damaged"
    assert len(set_aside(filled)) == 1, "the next run begins with a new one"


def test_a_run_that_ended_with_it_puts_it_aside(filled: WorkFolder) -> None:
    ended = fail("state_damaged", "what").info.to_json()
    with open_state(filled, report=silent) as opened:
        opened.note(None)
        opened.note(Error.model_validate(ended))
    assert len(set_aside(filled)) == 1


def test_another_failure_is_not_its_fault(filled: WorkFolder) -> None:
    with pytest.raises(Failure), open_state(filled, report=silent):
        raise fail("disk_full", "no space")
    assert set_aside(filled) == []


def test_a_newer_one_is_refused_and_stays(filled: WorkFolder) -> None:
    with closing(sqlite3.connect(filled.database)) as connection:
        connection.execute("PRAGMA user_version = 99")
    for dry_run in (False, True):
        with pytest.raises(Failure, match="newer"), open_state(filled, dry_run=dry_run):
            pass
    assert set_aside(filled) == []


def test_a_dry_run_works_on_a_copy(filled: WorkFolder) -> None:
    before = filled.database.read_bytes()
    with open_state(filled, dry_run=True) as opened:
        assert len(opened.state.records_in("/lib")) == FILES
        opened.state.release("/lib/1.mkv")
        opened.state.begin_run("x", 1.0)
        opened.damaged = True
    assert (filled.database.read_bytes(), set_aside(filled)) == (before, [])


def test_a_dry_run_leaves_a_damaged_one_where_it_is(filled: WorkFolder) -> None:
    filled.database.write_bytes(b"rubbish" * 5000)
    with open_state(filled, dry_run=True) as opened:
        assert opened.state.records_in("/lib") == {}
    assert set_aside(filled) == []


def test_a_folder_in_which_nothing_can_be_renamed_is_told(
    filled: WorkFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(self: Path, target: object) -> Path:
        raise PermissionError(13, "Permission denied")

    filled.database.write_bytes(b"rubbish" * 5000)
    monkeypatch.setattr(Path, "rename", refused)
    with pytest.raises(Failure) as caught, open_state(filled, report=silent):
        pass
    assert caught.value.info.code == "permission_denied"
