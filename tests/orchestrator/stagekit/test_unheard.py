"""Speech without a word is found, and what has its words is not."""

from __future__ import annotations

import pytest

from orchestrator.stagekit.speech import Turn
from orchestrator.stagekit.unheard import unheard


@pytest.mark.parametrize(
    ("turns", "spoken", "expected"),
    [
        ([], [], []),
        ([(1, 9)], [(0, 10)], []),
        ([(1, 9)], [], [(1, 9)]),
        # The beginning of a window, the end of one, and the middle.
        ([(1, 9)], [(5, 9)], [(1, 5)]),
        ([(1, 9)], [(1, 5)], [(5, 9)]),
        ([(1, 9)], [(1, 3), (6, 9)], [(3, 6)]),
        # Too short to be a sentence, until several belong together.
        ([(1, 2.5)], [], []),
        ([(1, 2.5), (3, 4.5)], [], [(1, 4.5)]),
        ([(1, 2.5), (5, 6.5)], [], []),
        ([(1, 2.5), (3, 4.5)], [(2.6, 2.9)], []),
        # What was said overlaps, and is not in order.
        ([(0, 20)], [(8, 12), (0, 9), (11, 18)], [(18, 20)]),
        ([(0, 3), (10, 13), (20, 23)], [(9, 14)], [(0, 3), (20, 23)]),
        # Too long to be heard at once: cut in the widest silence, or where there is none.
        ([(10, 40), (41, 59), (59.5, 80)], [(0, 9)], [(10, 40.5), (40.5, 80)]),
        ([(10, 110)], [], [(10, 50), (50, 90), (90, 110)]),
    ],
)
def test_speech_without_a_word(
    turns: list[tuple[float, float]],
    spoken: list[tuple[float, float]],
    expected: list[tuple[float, float]],
) -> None:
    found = unheard([Turn(*one) for one in turns], [Turn(*one) for one in spoken], 40.0)
    assert [tuple(one) for one in found] == expected
