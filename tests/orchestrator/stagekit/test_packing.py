"""Sound with its long silences taken out, and the way back."""

from __future__ import annotations

from orchestrator.stagekit.packing import Packed, islands, within
from orchestrator.stagekit.speech import Turn


def kept(*turns: Turn, duration: float = 60.0) -> list[Turn]:
    return islands(turns, duration, min_silence=2.0, pad=0.4)


def test_long_silences_are_taken_out_but_for_their_ends() -> None:
    found = kept(Turn(5, 6), Turn(7, 8), Turn(20, 21))
    assert found == [Turn(4.6, 8.4), Turn(19.6, 21.4)]


def test_what_is_kept_lies_in_the_sound() -> None:
    assert kept(Turn(0.1, 3), Turn(57, 59.8)) == [Turn(0, 3.4), Turn(56.6, 60)]
    assert kept() == []


def test_a_short_silence_at_the_end_is_kept() -> None:
    assert kept(Turn(1, 58.5)) == [Turn(0.6, 60)]


def test_ends_of_a_silence_do_not_overlap() -> None:
    found = islands([Turn(1, 2), Turn(3, 4)], 9.0, min_silence=0.5, pad=2.0)
    assert found == [Turn(0.0, 2.5), Turn(2.5, 6.0)]


def test_parts_within_a_span() -> None:
    assert within([Turn(0, 4), Turn(6, 9), Turn(12, 13)], Turn(2, 8)) == [Turn(2, 4), Turn(6, 8)]


def test_packed_times_are_restored() -> None:
    packed = Packed((Turn(10, 14), Turn(30, 32)))
    assert packed.duration == 6
    assert packed.restore(1.0, 2.0) == (11.0, 12.0)
    assert packed.restore(4.5, 5.0) == (30.5, 31.0)
    assert packed.restore(3.5, 4.1) == (13.5, 14.1)
    assert packed.restore(5.9, 9.0) == (31.9, 35.0)


def test_windows_are_cut_in_silence() -> None:
    packed = Packed((Turn(100, 125), Turn(200, 220)))
    speech = [Turn(101, 119), Turn(122, 124), Turn(201, 219)]
    assert packed.windows(speech, 30.0) == [Turn(0.0, 20.5), Turn(20.5, 45.0)]
