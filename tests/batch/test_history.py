from __future__ import annotations

from pathlib import Path

import pytest

from batch.history import History, Record, Subject
from batch.state import State

ASR = Subject("asr", "abc", "int8/1", "cpu")


def ran(*pairs: tuple[float, float]) -> Record:
    record = Record()
    for audio, seconds in pairs:
        record = record.ran(audio, seconds)
    return record


def test_nothing_measured_is_nothing_expected() -> None:
    assert Record().expect(60.0) is None
    assert Record().real_time_factor is None


def test_one_length_says_nothing_of_a_fixed_part() -> None:
    record = ran((100.0, 20.0), (100.0, 20.0))
    assert record.expect(200.0) == pytest.approx(40.0)
    assert record.real_time_factor == pytest.approx(0.2)


def test_a_fixed_part_is_told_from_the_rate() -> None:
    record = ran(*((audio, 3.0 + 0.1 * audio) for audio in (10.0, 60.0, 600.0, 3600.0)))
    assert record.expect(0.0) == pytest.approx(3.0)
    assert record.expect(1000.0) == pytest.approx(103.0)


def test_neither_part_is_negative() -> None:
    shorter_for_longer = ran((10.0, 5.0), (100.0, 3.0))
    assert shorter_for_longer.expect(1000.0) == pytest.approx(4.0, rel=0.1)
    steeper_than_through_zero = ran((100.0, 1.0), (200.0, 40.0))
    assert steeper_than_through_zero.expect(0.0) == 0.0
    assert (steeper_than_through_zero.expect(200.0) or 0.0) > 20.0


def test_silent_files_have_a_mean() -> None:
    assert ran((0.0, 1.0), (0.0, 3.0)).expect(100.0) == pytest.approx(2.0, rel=0.05)


def test_old_measurements_fade() -> None:
    record = ran(*([(100.0, 10.0)] * 100 + [(100.0, 50.0)] * 100))
    assert record.expect(100.0) == pytest.approx(50.0, rel=0.05)
    assert record.weight <= 30.0


def test_a_peak_is_never_below_what_is_held_whichever_is_known_first() -> None:
    """A worker may be weighed after its job has accounted for the attempt."""
    assert Record().took(rss=1000).took(held=1004).peak_rss == 1004
    assert Record().took(held=1004).took(rss=1000).peak_rss == 1004


def test_peaks_rise_at_once_and_sink_slowly() -> None:
    record = Record().took(rss=1000, held=800, vram=None).took(rss=2000)
    assert (record.peak_rss, record.held_rss, record.peak_vram) == (2000, 800, None)
    assert 1900 < (record.took(rss=1000).peak_rss or 0) < 2000


def test_loading_is_averaged() -> None:
    assert Record().loaded(4.0).load_seconds == 4.0
    assert Record().loaded(4.0).loaded(8.0).load_seconds == 5.0


def test_what_was_learnt_survives_the_run(tmp_path: Path) -> None:
    record = ran((60.0, 6.0)).loaded(2.0).took(1000, 900, 50)
    history = History()
    history.put(ASR, record)
    state = State.open(tmp_path / "batch.db")
    state.save_history(history.take_changes())
    assert history.take_changes() == []
    state.close()

    state = State.open(tmp_path / "batch.db")
    known = History(state.history())
    state.close()

    assert known.of(ASR) == record
    assert known.of(ASR._replace(device="cuda")) == Record()
