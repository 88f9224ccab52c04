"""The time left, from what the run has measured."""

from __future__ import annotations

import pytest

from batch.view.eta import Amount, InProgress, estimate, share_done

STAGES = ("demux", "asr", "subtitles")


def test_nothing_is_known_before_anything_is_done() -> None:
    assert estimate(finished=0, queued=100, in_progress=(), elapsed=5) is None
    assert estimate(finished=10, queued=100, in_progress=(), elapsed=0) is None


def test_nothing_left_takes_no_time() -> None:
    assert estimate(finished=0, queued=0, in_progress=(), elapsed=0) == 0.0


def test_the_rest_goes_on_at_the_pace_so_far() -> None:
    assert estimate(finished=600, queued=1200, in_progress=(), elapsed=60) == pytest.approx(120)


def test_files_in_progress_count_by_their_share() -> None:
    half = InProgress(amount=1000, share=0.5, elapsed=50)
    assert estimate(finished=0, queued=500, in_progress=(half,), elapsed=50) == pytest.approx(100)


def test_the_last_file_is_not_sped_up_by_workers_that_have_nothing_to_do() -> None:
    last = InProgress(amount=1000, share=0.25, elapsed=100)
    assert estimate(finished=9000, queued=0, in_progress=(last,), elapsed=100) == pytest.approx(300)


def test_a_file_just_begun_says_nothing_about_its_own_pace() -> None:
    begun = InProgress(amount=1000, share=0.01, elapsed=100)
    left = estimate(finished=9000, queued=0, in_progress=(begun,), elapsed=100)
    assert left == pytest.approx(990 * 100 / 9010)


def test_stages_weigh_what_they_took_in_this_run() -> None:
    seconds = {"demux": 1.0, "asr": 8.0, "subtitles": 1.0}
    assert share_done(STAGES, "asr", 0.5, seconds) == pytest.approx(0.5)
    assert share_done(STAGES, "subtitles", 1.0, seconds) == pytest.approx(1.0)


def test_unmeasured_stages_weigh_the_average() -> None:
    assert share_done(STAGES, "asr", 0.0, {}) == pytest.approx(1 / 3)
    assert share_done(("demux", "asr"), "asr", 0.5, {"demux": 4.0}) == pytest.approx(0.75)


def test_no_plan_or_no_weight_means_no_share() -> None:
    assert share_done((), "asr", 0.5, {}) == 0.0
    assert share_done(("asr",), "asr", 0.5, {"asr": 0.0}) == 0.0


def test_a_share_out_of_range_is_kept_within_the_stage() -> None:
    assert share_done(("asr",), "asr", 7.0, {}) == 1.0
    assert share_done(("asr",), "asr", -1.0, {}) == 0.0


def test_unknown_lengths_are_scaled_from_sizes() -> None:
    amount = Amount()
    amount.add(60.0, 1000)
    amount.add(None, 500)
    amount.add(None, 700)
    amount.remove(None, 200)
    amount.remove(10.0, 10)
    assert amount.scaled(0.1) == pytest.approx(50 + 100)
