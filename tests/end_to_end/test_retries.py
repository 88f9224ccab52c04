"""What failed: who is tried again, when, and who is not; and when a run gives up."""

from __future__ import annotations

import json
import os

import pytest

from .conftest import OLD, Batch, Outcome

pytestmark = pytest.mark.real


def held(outcome: Outcome) -> dict[str, str]:
    """Why each file that failed earlier was not tried, by name."""
    return {
        os.path.basename(one["path"]): one["held"]
        for one in outcome.of("file_finished")
        if one["earlier"]
    }


def quarantine(batch: Batch) -> dict[str, bool]:
    """The names on the list, and whether they are left alone."""
    lines = batch.start_module("batch", "--quarantine", "--json").end().out.splitlines()
    entries = [json.loads(line) for line in lines]
    return {os.path.basename(one["path"]): one["quarantined"] for one in entries}


def test_a_package_that_is_missing_ends_the_run_before_all_files_have_failed(
    batch: Batch,
) -> None:
    names = [f"{number}.wav" for number in range(12)]
    batch.add(*names)
    batch.fault("package_missing")

    broken = batch.json("--max-workers", "1")

    assert broken.code == 4
    assert set(broken.errors.values()) == {"environment_broken"}
    assert 3 <= len(broken.errors) <= 5, "three, and those that were ready by then"
    (end,) = broken.of("run_finished")
    assert "all others" in end["error"]["message"]
    assert "verify_install.py --build" in end["error"]["hint"]
    assert len(broken.finished) + end["not_begun"] == len(names)
    assert quarantine(batch) == dict.fromkeys(broken.errors, False)

    batch.gate.touch()  # somebody has installed it
    mended = batch.json()
    assert mended.code == 0
    assert mended.finished == dict.fromkeys(names, "done")


def test_a_file_that_failed_for_good_is_left_alone_until_something_changes(batch: Batch) -> None:
    batch.add("bad.wav", "good.wav")
    batch.fault("fails_for_bad_names")
    assert batch.json().errors == {"bad.wav": "bad_media"}
    assert batch.attempts("fake") == 2

    again = batch.json()
    assert again.code == 5, "it still has no subtitles"
    assert held(again) == {
        "bad.wav": "left alone until the file or the settings change; --retry-failed tries again"
    }
    assert batch.attempts("fake") == 2
    assert quarantine(batch) == {"bad.wav": True}
    assert batch.summaries()[-1]["totals"]["quarantined"] == 1

    bad = batch.library / "bad.wav"
    os.utime(bad, (OLD + 9, OLD + 9))
    assert batch.json().errors == {"bad.wav": "bad_media"}
    assert batch.attempts("fake") == 2, "another time stamp is no other file"
    bad.write_bytes(bad.read_bytes()[:-100])
    os.utime(bad, (OLD, OLD))
    assert held(batch.json()) == {}, "but other content is"
    assert batch.attempts("fake") == 3

    batch.gate.touch()  # what failed it is mended, which nobody can see from outside
    assert list(held(batch.json())) == ["bad.wav"]
    released = batch.start_module("batch", "--release", bad).end()
    assert (released.code, "tries it again" in released.out) == (0, True)
    assert batch.json().finished == {"bad.wav": "done"}
    assert quarantine(batch) == {}


def test_a_file_that_crashes_is_tried_less_and_less_often_and_then_no_more(batch: Batch) -> None:
    batch.add("odd.wav")
    batch.fault("dies")

    def attempts() -> int:
        return batch.attempts("fake")

    assert batch.json().errors == {"odd.wav": "stage_crashed"}
    assert attempts() == 2, "once more in the same run"
    assert held(batch.json()) == {}, "and by the next one"
    assert attempts() == 4
    waits = held(batch.json())["odd.wav"]
    assert waits.startswith("next try not before 20")
    assert attempts() == 4
    explained = batch.run("--dry-run")
    assert waits.partition(";")[0] in explained.out
    for _ in range(2):
        assert held(batch.json("--retry-failed")) == {}
    assert attempts() == 8
    assert "it failed in 4 runs" in held(batch.json())["odd.wav"]
    assert quarantine(batch) == {"odd.wav": True}


def test_a_lost_state_costs_neither_work_nor_a_persons_subtitle(batch: Batch) -> None:
    batch.add("a.wav", "b.wav", "c.wav")
    assert batch.run().code == 0
    edited = batch.library / "a.en.srt"
    edited.write_text("mine\n")
    attempts = batch.attempts("relay")
    batch.work.database.write_bytes(b"rubbish" * 9999)

    after = batch.json()

    assert (after.code, after.finished) == (0, {})
    assert batch.attempts("relay") == attempts
    assert len(list(batch.work.root.glob("batch.db.damaged-*"))) == 1
    assert edited.read_text() == "mine\n"
    assert batch.json("--set", "stages.relay.greeting=moin").code == 0
    assert edited.read_text() == "mine\n", "what a person changed is theirs"
    assert "moin" in (batch.library / "b.en.vtt").read_text(), "what is ours is known as ours"
