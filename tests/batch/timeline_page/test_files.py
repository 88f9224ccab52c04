from __future__ import annotations

from batch.timeline_page.buckets import Buckets
from batch.timeline_page.files import Files
from tests.batch.timeline_page.building import attempt, ended


def test_a_file_waits_loads_and_runs() -> None:
    files = Files(Buckets())
    files.attempt(attempt("/a", asked=1.0, start=3.0, runs_from=4.0, end=9.0))
    files.ended(ended("/a", 0.5, 10.0))
    assert files.rows is not None
    row = files.rows["/a"]
    assert (row.start, row.end, row.status) == (0.5, 10.0, "done")
    assert [(one.state, one.start, one.end) for one in row.spans] == [
        ("waiting", 1.0, 3.0),
        ("load", 3.0, 4.0),
        ("run", 4.0, 9.0),
    ]
    assert (row.waited, row.ran) == (2.0, 6.0)
    assert files.unfinished == 0


def test_a_parked_file_goes_on_in_its_row() -> None:
    files = Files(Buckets())
    files.attempt(attempt("/a", start=1.0, end=2.0))
    files.ended(ended("/a", 0.0, 3.0, "parked"))
    assert files.unfinished == 1
    files.attempt(attempt("/a", asked=8.0, start=9.0, end=10.0))
    files.ended(ended("/a", 7.0, 11.0))
    assert files.rows is not None
    (row,) = files.rows.values()
    assert [(one.state, one.start, one.end) for one in row.spans] == [
        ("run", 1.0, 2.0),
        ("parked", 3.0, 8.0),
        ("waiting", 8.0, 9.0),
        ("run", 9.0, 10.0),
    ]
    assert (row.start, row.end, row.status) == (0.0, 11.0, "done")


def test_a_file_that_was_merely_made_ready_is_not_shown() -> None:
    files = Files(Buckets())
    files.ended(ended("/a", 0.0, 3.0, "interrupted"))
    files.ended(ended("/b", 0.0, 0.1, "failed"))
    assert list(files.rows or ()) == ["/b"]


def test_a_killed_run_leaves_files_without_an_end() -> None:
    files = Files(Buckets())
    files.attempt(attempt("/a"))
    assert files.unfinished == 1
    assert files.rows is not None
    assert files.rows["/a"].status == ""


def test_of_many_files_numbers_and_the_longest_are_left() -> None:
    buckets = Buckets()
    files = Files(buckets, max_rows=5, longest=2)
    for number in range(10):
        files.attempt(attempt(f"/{number}", asked=0.0, start=1.0, end=2.0 + number))
        files.ended(ended(f"/{number}", 0.0, 2.0 + number))
    assert files.rows is None
    assert [row.file for row in files.longest()] == ["/9", "/8"]
    assert not any(row.spans for row in files.longest())
    assert sum(buckets.sums(("files", "waiting", ""), 12.0)) == 10.0
    assert sum(buckets.sums(("files", "run", "asr"), 12.0)) == sum(range(1, 11))


def test_a_file_that_is_tried_again_is_one_row() -> None:
    files = Files(Buckets())
    for start in (0.0, 10.0):
        files.attempt(attempt("/a", start=start, end=start + 1.0))
        files.ended(ended("/a", start, start + 2.0))
    assert files.rows is not None
    assert len(files.rows) == 1
    assert len(files.rows["/a"].spans) == 2
