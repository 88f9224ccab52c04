"""What the views know about the run after each event."""

from __future__ import annotations

import pytest

from batch import events
from batch.view.board import Board, FileLine
from orchestrator.contract.job import StageAccount


class Clock:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def board(clock: Clock, *happened: events.Event) -> Board:
    made = Board(clock)
    for event in (events.RunStarted("run", "/m", "/w", 2, False), *happened):
        made.handle(event)
    return made


def queued(path: str, size: int = 1000, audio: float | None = None) -> events.Queued:
    return events.Queued(path, size, audio, "new")


def ran(**seconds: float) -> tuple[StageAccount, ...]:
    return tuple(StageAccount(name, "ran", "", took) for name, took in seconds.items())


def test_counters(clock: Clock) -> None:
    now = board(
        clock,
        events.Discovered(9, 2, 9000),
        queued("a"),
        queued("b"),
        queued("c"),
        events.Skipped("d", "already_done", ""),
        events.Skipped("e", "subtitle_exists", "e.en.srt"),
        events.FileFinished("f", "failed", earlier=True),
        events.FileStarted("a", "1"),
        events.FileFinished("a", "done"),
        events.FileStarted("b", "2"),
        events.FileFinished("b", "failed"),
        events.FileFinished("c", "interrupted"),
    ).snapshot()
    assert (now.media, now.checked, now.queued) == (9, 6, 3)
    assert (now.done, now.failed, now.interrupted) == (1, 1, 1)
    assert (now.skipped, now.already_done) == (2, 1)
    assert now.files == ()


def test_a_file_in_progress_shows_its_stage_and_share(clock: Clock) -> None:
    made = board(clock, queued("a"), events.FileStarted("a", "1"))
    assert made.snapshot().files == (FileLine("a", "", None, 0.0),)
    made.handle(events.StagesPlanned("a", ("demux", "asr")))
    clock.seconds += 5
    assert made.snapshot().files == (FileLine("a", "demux", None, 5.0),)
    made.handle(events.StageProgress("a", "asr", 30.0, 120.0, "s"))
    assert made.snapshot().files == (FileLine("a", "asr", 0.25, 5.0),)
    made.handle(events.StageProgress("a", "asr", 30.0, None, "s"))
    assert made.snapshot().files[0].share is None


def test_a_plan_without_stages_shows_none(clock: Clock) -> None:
    made = board(clock, events.FileStarted("a", "1"), events.StagesPlanned("a", ()))
    assert made.snapshot().files[0].stage == ""


def test_messages_about_files_that_are_gone_are_ignored(clock: Clock) -> None:
    made = board(
        clock, events.StagesPlanned("x", ("asr",)), events.StageProgress("x", "asr", 1, 2, "s")
    )
    made.handle(events.RunFinished(0))
    assert made.snapshot().files == ()


def test_a_file_skipped_at_its_turn_is_no_longer_queued(clock: Clock) -> None:
    now = board(clock, queued("a", audio=60.0), events.Skipped("a", "still_growing", "")).snapshot()
    assert (now.queued, now.skipped, now.eta) == (0, 1, 0.0)


def test_audio_and_speed_and_time_left(clock: Clock) -> None:
    made = board(clock, queued("a", audio=600.0), queued("b", audio=1200.0))
    made.handle(events.FileStarted("a", "1"))
    clock.seconds += 60
    made.handle(events.FileFinished("a", "done", audio_seconds=600.0, stages=ran(demux=10, asr=50)))
    now = made.snapshot()
    assert now.audio_done == pytest.approx(600)
    assert now.audio_total == pytest.approx(1800)
    assert not now.audio_estimated
    assert now.speed == pytest.approx(10)
    assert now.eta == pytest.approx(120)


def test_unknown_lengths_follow_the_sizes(clock: Clock) -> None:
    made = board(clock, queued("a", 1000), queued("b", 3000))
    before = made.snapshot()
    assert (before.audio_total, before.eta) == (None, None)
    made.handle(events.FileStarted("a", "1"))
    clock.seconds += 10
    made.handle(events.FileFinished("a", "done", audio_seconds=100.0))
    now = made.snapshot()
    assert now.audio_total == pytest.approx(400)
    assert now.audio_estimated
    assert now.eta == pytest.approx(30)


def test_where_no_length_is_known_bytes_serve(clock: Clock) -> None:
    made = board(clock, queued("a", 1000), queued("b", 3000), events.FileStarted("a", "1"))
    clock.seconds += 10
    made.handle(events.FileFinished("a", "done"))
    now = made.snapshot()
    assert (now.audio_total, now.speed) == (None, None)
    assert now.eta == pytest.approx(30)


def test_progress_within_a_file_moves_the_total(clock: Clock) -> None:
    made = board(
        clock,
        queued("a", audio=600.0),
        events.FileStarted("a", "1"),
        events.StagesPlanned("a", ("asr",)),
    )
    clock.seconds += 10
    made.handle(events.StageProgress("a", "asr", 300.0, 600.0, "s"))
    now = made.snapshot()
    assert now.audio_done == pytest.approx(300)
    assert now.eta == pytest.approx(10)


def test_throttling_and_draining_are_timed(clock: Clock) -> None:
    made = board(clock, events.LoadSampled(97.0, 40.0), events.Throttled("CPU 97 % >= 85 %"))
    clock.seconds += 5
    made.handle(events.Throttled("CPU 99 % >= 85 %"))
    made.handle(events.Draining("SIGINT", 30.0))
    clock.seconds += 2
    now = made.snapshot()
    assert now.throttled == ("CPU 99 % >= 85 %", 7.0)
    assert now.draining == ("SIGINT", 28.0)
    assert now.load == events.LoadSampled(97.0, 40.0)
    made.handle(events.ThrottleEnded(7.0))
    clock.seconds += 60
    assert made.snapshot().throttled is None
    assert made.snapshot().draining == ("SIGINT", 0.0)


def test_once_all_is_decided_nothing_is_left_to_check() -> None:
    board = Board(lambda: 0.0)
    board.handle(events.Discovered(10, 1, 1000))
    board.handle(events.Queued("/m/a.mkv", 100, 60.0, "new"))
    assert board.snapshot().checked == 1
    board.handle(events.AllDecided())  # --limit 1 leaves the other nine alone
    assert board.snapshot().checked == 10


def expected(path: str, seconds: float | None) -> events.Queued:
    return events.Queued(path, 1000, 60.0, "new", seconds)


def test_before_there_is_a_pace_the_time_left_is_what_such_files_took_before(clock: Clock) -> None:
    started = events.RunStarted("r", "/m", "/w", 2, False)
    made = board(clock, started, expected("a", 100.0), expected("b", 300.0))
    assert made.snapshot().eta == 200.0
    made.handle(events.FileStarted("a", "1"))
    clock.seconds += 50
    assert made.snapshot().eta == 150.0
    made.handle(events.FileFinished("old", "failed", earlier=True))
    assert made.snapshot().eta == 150.0
    made.handle(events.FileFinished("a", "done", audio_seconds=60.0))
    assert made.snapshot().eta == pytest.approx(50.0), "as long as the first one took"


def test_one_file_that_nobody_can_tell_anything_of_leaves_the_time_open(clock: Clock) -> None:
    made = board(clock, expected("a", 100.0), expected("b", None), expected("c", 100.0))
    assert made.snapshot().eta is None


def test_a_parked_file_waits_again(clock: Clock) -> None:
    made = board(clock, queued("a", audio=60.0), events.FileStarted("a", "1"))
    assert [one.path for one in made.snapshot().files] == ["a"]
    made.handle(events.FileParked("a"))
    made.handle(events.FileParked("never seen"))
    assert made.snapshot().files == ()
    assert made.snapshot().audio_total == 60.0
    made.handle(events.FileStarted("a", "1"))
    made.handle(events.FileFinished("a", "done", audio_seconds=60.0))
    assert (made.snapshot().done, made.snapshot().queued) == (1, 1)
