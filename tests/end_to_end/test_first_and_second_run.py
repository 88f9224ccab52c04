"""A library is worked through once; what is done stays done."""

import json

import pytest

from .conftest import Batch, tree

pytestmark = pytest.mark.real


def test_each_file_gets_its_subtitles_and_the_second_run_changes_nothing(batch: Batch) -> None:
    batch.add("a.wav", "series/s1/b.wav")

    first = batch.run()

    assert first.code == 0
    assert batch.names() == [
        "a.en.srt",
        "a.en.vtt",
        "a.wav",
        "series/s1/b.en.srt",
        "series/s1/b.en.vtt",
        "series/s1/b.wav",
    ]
    assert (batch.library / "a.en.vtt").read_text().endswith("Hello from b'a.wav'\n")
    before = tree(batch.library)
    jobs = tree(batch.work.jobs)

    second = batch.json()

    assert second.code == 0
    assert second.skipped == {"a.wav": "already_done", "b.wav": "already_done"}
    assert tree(batch.library) == before
    assert tree(batch.work.jobs) == jobs
    assert batch.summaries()[1]["totals"]["skipped"] == {"already_done": 2}


def test_the_summary_tells_all_of_it(batch: Batch) -> None:
    batch.add("a.wav", "b.wav")
    (batch.library / "empty.mkv").touch()
    assert batch.run().code == 5

    (summary,) = batch.summaries()

    assert summary["version"] == 1
    assert summary["exit_code"] == 5
    assert summary["totals"] == {
        "media": 3,
        "queued": 2,
        "done": 2,
        "failed": 1,
        "failed_earlier": 0,
        "quarantined": 0,
        "interrupted": 0,
        "not_begun": 0,
        "skipped": {},
        "partial": 0,
        "length_unverifiable": 0,
    }
    assert summary["audio_seconds"] == 2.0
    assert {name: one["count"] for name, one in summary["stages"].items()} == {
        "fake": 2,
        "relay": 2,
    }
    (cause,) = summary["failures"]
    assert (cause["code"], cause["count"]) == ("empty_file", 1)
    assert cause["hint"]
    done = {one["path"]: one for one in summary["files"]}[str(batch.library / "a.wav")]
    assert done["status"] == "done"
    assert [stage["status"] for stage in done["stages"]] == ["ran", "ran"]
    assert done["published"] == [str(batch.library / f"a.en.{end}") for end in ("srt", "vtt")]


def test_json_is_one_object_a_line_and_nothing_else(batch: Batch) -> None:
    batch.add("a.wav")
    outcome = batch.json()
    events = [json.loads(line)["event"] for line in outcome.out.splitlines()]
    assert events[0] == "run_started"
    assert events[-1] == "run_finished"
    assert {"discovered", "queued", "all_decided", "file_started", "file_finished"} < set(events)


def test_without_a_terminal_there_are_no_control_characters(batch: Batch) -> None:
    batch.add("a.wav", "tricky\x1b[31m\n.wav")
    batch.environ |= {"NO_COLOR": "1", "TERM": "xterm-256color"}
    outcome = batch.run()
    assert outcome.code == 0
    assert all(one.isprintable() or one == "\n" for one in outcome.out + outcome.err)


def test_a_limit_bounds_the_files_worked_on(batch: Batch) -> None:
    batch.add("a.wav", "b.wav", "c.wav")
    assert batch.json("--limit", "2").finished == {"a.wav": "done", "b.wav": "done"}
    assert batch.json("--limit", "2").finished == {"c.wav": "done"}


def test_chosen_stages_run_and_later_the_others(batch: Batch) -> None:
    batch.add("a.wav")
    only = ["a.en.srt", "a.wav"]
    both = ["a.en.srt", "a.en.vtt", "a.wav"]
    for arguments, names in (
        (("--stages", "fake"), only),
        ((), both),
        (("--stages", "fake"), both),
    ):
        outcome = batch.json(*arguments)
        assert (outcome.code, outcome.errors) == (0, {})
        assert batch.names() == names
    assert batch.json().errors == {}


def test_no_resume_makes_everything_again(batch: Batch) -> None:
    batch.add("a.wav")
    batch.run()
    before = (batch.library / "a.en.srt").read_bytes()
    outcome = batch.json("--no-resume")
    assert outcome.code == 0
    assert outcome.finished == {"a.wav": "done"}
    assert [one["reason"] for one in outcome.of("queued")] == ["not_resumed"]
    assert (batch.library / "a.en.srt").read_bytes() == before


@pytest.mark.parametrize("earlier", [False, True], ids=["new", "after a run"])
def test_a_dry_run_changes_nothing_at_all(batch: Batch, earlier: bool) -> None:
    batch.add("a.wav", "b.wav")
    if earlier:
        batch.run("--limit", "1")
    before = tree(batch.library), tree(batch.work.root)

    outcome = batch.json("--dry-run", "--set", "stages.relay.greeting=moin")

    assert outcome.code == 0
    assert len(outcome.of("queued")) == 2
    assert (tree(batch.library), tree(batch.work.root)) == before


def test_a_dry_run_may_look_on_while_a_run_is_going_on(batch: Batch) -> None:
    batch.add("a.wav")
    batch.fault("waits")
    running = batch.start("--json")
    batch.wait_for_waiting(1)
    assert batch.run("--dry-run").code == 0
    batch.gate.touch()
    assert running.end().code == 0
