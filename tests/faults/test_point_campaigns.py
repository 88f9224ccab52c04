"""A campaign over many scenes tells of each as it ends, and loses none of what it found."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.faults import kill_points, point_campaigns, scenes
from tests.faults.kill_points import Tally
from tests.faults.point_campaigns import Figures, Part
from tests.faults.scale import Size
from tests.faults.scenes import ForkedNight, Scene
from tests.faults.traced import Point

POINTS = [Point("write", 1), Point("write", 2)]
NIGHT = cast(ForkedNight, None)


@pytest.fixture(autouse=True)
def campaign(monkeypatch: pytest.MonkeyPatch) -> None:
    """Killing at any point of ``replacing`` shows a fault; in ``deleted`` it is cut off."""

    def hurt(night: ForkedNight, scene: Any, points: list[Point]) -> Tally:
        if scene.name == "deleted":
            raise KeyboardInterrupt
        wrong = [f"torn at {point}" for point in points] if scene.name == "replacing" else []
        return Tally(len(points), len(points), wrong)

    def make(night: ForkedNight, blank: Scene, story: scenes.Story) -> Any:
        return SimpleNamespace(name=story.__name__)

    monkeypatch.setattr(scenes, "blank_scene", lambda night: None)
    monkeypatch.setattr(scenes, "make_scene", make)
    monkeypatch.setattr(kill_points, "points_of", lambda night, scene: POINTS)
    monkeypatch.setattr(kill_points, "kill_everywhere", hurt)
    monkeypatch.setattr(kill_points, "kill_twice", hurt)


def test_what_is_wrong_in_any_scene_is_in_the_figures() -> None:
    stories = [scenes.fresh, scenes.replacing, scenes.cold]
    figures = point_campaigns.kill_coordinators(NIGHT, stories, int, [scenes.replacing])
    assert (figures.hit, figures.tried) == (8, 8)
    assert figures.wrong == ["torn at write 1", "torn at write 2"] * 2
    assert str(figures) == (
        "8 of 8 points (6 of coordinators, 0 of jobs, 2 of what went on after a kill)"
    )


def test_what_ended_before_it_was_cut_off_is_told() -> None:
    told: list[str] = []
    stories = [scenes.fresh, scenes.replacing, scenes.deleted]
    with pytest.raises(KeyboardInterrupt):
        point_campaigns.kill_coordinators(NIGHT, stories, int, note=told.append)
    assert told == [
        "fresh: 2 of 2 points (2 of coordinators, 0 of jobs); 0 wrong",
        "replacing: 2 of 2 points (2 of coordinators, 0 of jobs); 2 wrong",
    ]


def count(night: ForkedNight, stories: list[scenes.Story], share: Any, note: Any) -> Figures:
    return Figures(Tally(len(night.files), 1, [story.__name__ for story in stories]))


def break_off(night: ForkedNight, stories: list[scenes.Story], share: Any, note: Any) -> Figures:
    raise RuntimeError("strace does not attach")


@pytest.mark.real
def test_each_part_has_a_process_of_its_own_and_one_that_breaks_spoils_no_other() -> None:
    parts = [
        Part(count, ("a.wav",), "fresh"),
        Part(break_off, ("a.wav",), "cold"),
        Part(count, ("a.wav", "b.wav"), "killed at 40%"),
    ]
    figures = point_campaigns.run(parts, Size(processes=2))
    assert (figures.tried, figures.hit) == (3, 2)
    fresh, cold, killed = figures.wrong
    assert (fresh, killed) == ("fresh", "killed at 40%")
    assert cold.startswith("cold: it broke off")
    assert "strace does not attach" in cold


def test_every_scene_of_a_campaign_is_known_by_its_name() -> None:
    for part in (*point_campaigns.KILLS, *point_campaigns.FAILURES):
        assert scenes.named(part.story) in scenes.STORIES
