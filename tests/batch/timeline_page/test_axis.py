from __future__ import annotations

import pytest

from batch.timeline_page.axis import MARKS, mark, marks


@pytest.mark.parametrize(
    ("seconds", "name"),
    [
        (0, "0"),
        (0.5, "0.5 s"),
        (30, "30 s"),
        (60, "1 min"),
        (90, "1:30 min"),
        (3600, "1 h"),
        (5400, "1:30 h"),
        (129600, "36 h"),
        (172800, "2 d"),
        (194400, "2 d 6 h"),
    ],
)
def test_names(seconds: float, name: str) -> None:
    assert mark(seconds) == name


@pytest.mark.parametrize("end", [0.01, 0.7, 1.0, 59.9, 60.0, 7199.0, 86400.0, 3e6, 5e7])
def test_marks_fit_and_are_enough(end: float) -> None:
    found = marks(end)
    assert found[0][1] == "0"
    assert found[-1][0] <= end
    assert len(found) <= MARKS
    assert end < 0.5 or len(found) >= 3
