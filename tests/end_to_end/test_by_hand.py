"""One file by hand: ``prepare-job``, then ``run-pipeline`` to run, look at and clean up jobs."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from pathlib import Path

import psutil
import pytest

from .conftest import Batch, Outcome, tree, wait_until, write_wav

pytestmark = pytest.mark.real

FILM = "a film.wav"


class ByHand:
    """The two commands, on the work folder and settings of a ``Batch``."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.film = batch.library / FILM
        batch.add(FILM)

    def prepare(self, *arguments: str | Path, media: Path | None = None) -> Outcome:
        module = "orchestrator.cli.prepare_job"
        return self.batch.start_module(module, media or self.film, *arguments).end()

    def pipeline(self, *arguments: str | Path) -> Outcome:
        return self.batch.start_module("orchestrator.cli.run_pipeline", *arguments).end()

    @property
    def job(self) -> Path:
        return self.batch.jobs()[-1]

    def stages(self, outcome: Outcome) -> dict[str, str]:
        """Status by stage, as printed."""
        rows = [line.split() for line in outcome.out.splitlines()]
        return {row[0]: row[1] for row in rows if row and row[0] in ("fake", "relay")}


@pytest.fixture
def hand(batch: Batch) -> ByHand:
    return ByHand(batch)


def test_a_job_is_prepared_run_and_looked_at(hand: ByHand) -> None:
    prepared = hand.prepare("--language", "en")
    assert (prepared.code, prepared.err) == (0, "")
    assert str(hand.film) in prepared.out
    assert "setting  device = cpu: " in prepared.out
    spec = json.loads((hand.job / "job.json").read_text())
    assert spec["source"]["path"] == str(hand.film)
    assert spec["language"] == "en"
    assert os.stat(hand.job).st_mode & 0o777 == 0o700
    assert "not run" in hand.pipeline("status").out

    ran = hand.pipeline("--job", "latest")

    assert ran.code == 0
    assert hand.stages(ran) == {"fake": "ran", "relay": "ran"}
    assert f"wrote {hand.batch.library / 'a film.en.srt'}" in ran.out
    assert hand.batch.names() == [FILM.replace("wav", "en.srt"), "a film.en.vtt", FILM]
    status = hand.pipeline("status", "--job", hand.job.name)
    assert hand.stages(status) == {"fake": "ran", "relay": "ran"}
    assert f"{hand.job.name}  done" in hand.pipeline("status").out


def test_what_is_done_is_done_again_only_when_asked(hand: ByHand) -> None:
    hand.prepare()
    hand.pipeline()
    assert hand.stages(hand.pipeline("--job", hand.job)) == {"fake": "reused", "relay": "reused"}
    assert hand.stages(hand.pipeline("--from", "relay")) == {"fake": "ran", "relay": "ran"}
    assert hand.stages(hand.pipeline("--stages", "fake", "--force"))["fake"] == "ran"


def test_a_clip_stays_in_its_job(hand: ByHand) -> None:
    write_wav(hand.film, seconds=3.0)
    assert hand.prepare("--start-time", "00:00:01", "--end-time", "0:2.5").code == 0
    assert json.loads((hand.job / "job.json").read_text())["clip"] == {"start": 1.0, "end": 2.5}
    assert hand.pipeline().code == 0
    assert hand.batch.names() == [FILM]
    assert (hand.job / "outputs" / "a film.en.srt").exists()


def test_the_result_goes_where_it_is_wanted(hand: ByHand, tmp_path: Path) -> None:
    hand.prepare("--output-dir", tmp_path / "there")
    assert hand.pipeline().code == 0
    assert (tmp_path / "there" / "a film.en.srt").exists()
    assert hand.batch.names() == [FILM]


def test_the_workflow_can_be_named(hand: ByHand) -> None:
    hand.batch.configure(workflows={"fake-flow": ["fake"], "transcribe": ["fake", "relay"]})
    assert hand.prepare("--transcribe").code == 0
    assert json.loads((hand.job / "job.json").read_text())["workflow"] == "transcribe"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--end-time", "0"], 2, "--end-time must be after --start-time"),
        (["--start-time", "1:75"], 2, "is not a time"),
        (["--start-time", "01:00:00"], 3, "the clip would begin at 3600.0 s"),
        (["--language", "klingon"], 2, "is not a language"),
        (["--set", "stages.fake.fault=odd"], 2, "stages.fake.fault"),
    ],
)
def test_what_cannot_be_prepared(
    hand: ByHand, arguments: list[str], code: int, message: str
) -> None:
    refused = hand.prepare(*arguments)
    assert refused.code == code
    assert message in refused.err
    assert hand.batch.jobs() == []


def test_what_is_no_media(hand: ByHand) -> None:
    library = hand.batch.library
    (library / "text.mkv").write_text("this is no film")
    for media, code in (
        (library, "not_a_regular_file"),
        (library / "missing.mkv", "source_unreadable"),
        (library / "text.mkv", "not_media"),
    ):
        refused = hand.prepare(media=media)
        assert refused.code == 3
        assert f"({code})" in refused.err


def test_a_stage_that_fails_is_told_with_its_cause(hand: ByHand) -> None:
    hand.batch.fault("fails")
    hand.prepare()
    failed = hand.pipeline()
    assert failed.code == 5
    assert "is not to our taste (bad_media)" in failed.err
    assert "Give it something else." in failed.err
    assert hand.stages(failed) == {"fake": "failed"}
    assert "is not to our taste" in hand.pipeline("status", "--job", "latest").out.replace("\n", "")


def test_a_job_that_is_killed_is_told(hand: ByHand) -> None:
    hand.batch.fault("waits")
    hand.prepare()
    running = hand.batch.start_module("orchestrator.cli.run_pipeline")
    hand.batch.wait_for_waiting(1)
    for process in hand.batch.processes():
        with contextlib.suppress(psutil.Error):  # it has just ended
            if "run" in process.cmdline():
                process.kill()
    outcome = running.end()
    assert outcome.code == 1
    assert "left no result (job_died)" in outcome.err


def test_a_signal_stops_it_and_it_goes_on(hand: ByHand) -> None:
    hand.batch.fault("waits")
    hand.prepare()
    running = hand.batch.start_module("orchestrator.cli.run_pipeline")
    hand.batch.wait_for_waiting(1)
    running.signal(signal.SIGINT)
    hand.batch.gate.touch()
    stopped = running.end()
    assert stopped.code == 130
    assert "Run it again to go on." in stopped.out
    assert hand.stages(hand.pipeline()) == {"fake": "reused", "relay": "ran"}


def test_a_terminal_that_goes_away_stops_it(hand: ByHand) -> None:
    hand.batch.fault("waits")
    hand.prepare()
    running = hand.batch.start_module("orchestrator.cli.run_pipeline")
    hand.batch.wait_for_waiting(1)
    running.signal(signal.SIGHUP)
    hand.batch.gate.touch()
    assert running.end().code == 143
    assert hand.stages(hand.pipeline()) == {"fake": "reused", "relay": "ran"}


def test_under_nohup_it_goes_on(hand: ByHand) -> None:
    hand.batch.fault("waits")
    hand.prepare()
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # which who is started inherits
    try:
        running = hand.batch.start_module("orchestrator.cli.run_pipeline")
        hand.batch.wait_for_waiting(1)
    finally:
        signal.signal(signal.SIGHUP, before)
    running.signal(signal.SIGHUP)
    hand.batch.gate.touch()
    outcome = running.end()
    assert (outcome.code, hand.stages(outcome)) == (0, {"fake": "ran", "relay": "ran"})


def test_a_stage_that_does_not_end_in_time_is_stopped(hand: ByHand) -> None:
    """It was waited for without end."""
    hand.batch.configure(drain_seconds=0)
    hand.batch.fault("waits")
    hand.prepare()
    running = hand.batch.start_module("orchestrator.cli.run_pipeline")
    hand.batch.wait_for_waiting(1)
    running.signal(signal.SIGTERM)
    stopped = running.end()
    assert stopped.code == 143
    hand.batch.gate.touch()
    assert hand.stages(hand.pipeline()) == {"fake": "ran", "relay": "ran"}


def test_what_is_asked_for_must_exist(hand: ByHand) -> None:
    assert "(no_such_job)" in hand.pipeline().err
    assert "(no_such_job)" in hand.pipeline("--job", "20260131-000001").err
    hand.prepare()
    unknown = hand.pipeline("--stages", "polish")
    assert unknown.code == 2
    assert "has no stage 'polish'" in unknown.err
    assert "Its stages: fake, relay." in unknown.err


def test_clean_frees_what_is_old_and_unused(hand: ByHand) -> None:
    hand.prepare()
    hand.pipeline()
    kept = hand.pipeline("clean")
    assert kept.out.startswith("freed 0 folders")
    asked = hand.pipeline("clean", "--max-gb", "0", "--dry-run")
    assert asked.out.startswith("2 folders")
    assert hand.job.exists()
    freed = hand.pipeline("clean", "--older-than", "0")
    assert freed.out.startswith("freed 2 folders")
    assert hand.batch.jobs() == []
    assert "a film.en.srt" in hand.batch.names()


def test_a_batch_waits_for_a_job_by_hand(hand: ByHand) -> None:
    """Nobody may be there to start the night again."""
    hand.batch.fault("waits")
    hand.prepare()
    by_hand = hand.batch.start_module("orchestrator.cli.run_pipeline")
    hand.batch.wait_for_waiting(1)
    night = hand.batch.start("--json")
    wait_until(lambda: "waiting for run-pipeline" in night.said, "the batch to wait")
    hand.batch.gate.touch()
    assert by_hand.end().code == 0
    before = tree(hand.batch.library)
    assert night.end().code == 0
    assert tree(hand.batch.library) == before
    assert (hand.batch.attempts("fake"), hand.batch.attempts("relay")) == (1, 1)


def test_a_job_by_hand_does_not_disturb_a_batch(hand: ByHand) -> None:
    hand.batch.fault("waits")
    hand.prepare()
    night = hand.batch.start("--json")
    hand.batch.wait_for_waiting(1)
    refused = hand.pipeline()
    assert refused.code == 10
    assert "batch-subtitles, process " in refused.err
    hand.batch.gate.touch()
    assert night.end().finished == {FILM: "done"}
