"""States that look the same to the next night are one class, and no others."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from batch.state import State
from tests.faults.crash_states import Tree
from tests.faults.state_class import Classes

RUN, TEMPORARY = b"work/runs/20260101T000000Z-1", b"library/.batch-subtitles-1.srt.tmp"
WHOLE = b"a whole output"
BASE: Tree = {
    b"library": None,
    b"library/a.wav": b"sound",
    TEMPORARY: WHOLE,
    b"work": None,
    b"work/runs": None,
    b"work/artefacts": None,
    b"work/artefacts/out": WHOLE,
}


@pytest.fixture
def database(tmp_path: Path) -> bytes:
    """It knows of the run."""
    path = tmp_path / "batch.db"
    with closing(State.open(path)) as state:
        state.begin_run(RUN.rpartition(b"/")[2].decode(), 1.0)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({}, True),
        ({RUN: None}, True),
        ({b"work/runs/20260101T000000Z-2": None}, False),
        ({b"work/.batch-subtitles-2.json.tmp": b"half"}, True),
        ({b"work/artefacts/out": b"ha"}, False),
        ({b"work/job.json": b"{"}, True),
        ({b"library/a.en.srt": b""}, False),
        ({TEMPORARY: b"ha"}, False),
        ({b"work/batch.db": b"no database"}, False),
    ],
)
def test_what_the_next_night_can_tell(database: bytes, change: Tree, same: bool) -> None:
    class_of = Classes(frozenset({WHOLE}))
    base = {**BASE, b"work/batch.db": database}
    assert (class_of({**base, **change}) == class_of(base)) == same


def test_a_torn_file_is_as_good_as_any_other(database: bytes) -> None:
    class_of = Classes(frozenset({WHOLE}))
    torn = ({**BASE, b"work/artefacts/out": data, TEMPORARY: data} for data in (b"", b"a", b"a w"))
    assert len({class_of(state) for state in torn}) == 1


def test_without_a_database_every_run_is_unknown() -> None:
    class_of = Classes(frozenset())
    assert class_of(BASE) != class_of({**BASE, RUN: None})
