"""Records that come from a disk or from another process."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Mapping
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.contract.records import BadRecord, Record, changed, field, from_json, to_json


class Track(Record):
    kind: ClassVar[str] = "audio"
    index: int
    language: str | None = None


class Film(Record):
    name: str
    seconds: float
    tracks: tuple[Track, ...] = ()
    tags: Mapping[str, int] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    best: Track | None = None
    hd: bool = False


class Series(Film):
    episodes: int = 1


class Draft(Record, frozen=False):
    name: str
    pages: int = 0


@dataclasses.dataclass(frozen=True)
class Old:
    track: Track
    names: tuple[str, ...] = ()


FULL = Film("a", 1.5, (Track(0, "en"), Track(1)), {"x": 1}, {"any": [1, None]}, Track(0), True)


def test_a_record_survives() -> None:
    assert from_json(Film, json_copy(to_json(FULL))) == FULL
    assert from_json(Film, {"name": "a", "seconds": 2}) == Film("a", 2.0)


def json_copy(value: Any) -> Any:
    import json

    return json.loads(json.dumps(value))


def test_what_a_newer_program_added_is_ignored() -> None:
    assert from_json(Track, {"index": 1, "mood": "good"}) == Track(1)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"name": 1}, r"^Film\.name: expected str, got int$"),
        ({"name": None}, r"^Film\.name: expected str, got NoneType$"),
        ({"seconds": "1"}, r"^Film\.seconds: expected float, got str$"),
        ({"seconds": True}, r"^Film\.seconds: expected float, got bool$"),
        ({"tracks": {}}, r"^Film\.tracks: expected a list$"),
        ({"tracks": [{"index": 0}, 7]}, r"^Film\.tracks\[1\]: expected an object$"),
        ({"tracks": [{"language": "en"}]}, r"^Film\.tracks\[0\]\.index: missing$"),
        ({"tracks": [{"index": True}]}, r"^Film\.tracks\[0\]\.index: expected int, got bool$"),
        ({"tags": []}, r"^Film\.tags: expected an object$"),
        ({"tags": {"x": 1.5}}, r"^Film\.tags\.x: expected int, got float$"),
        ({"best": 3}, r"^Film\.best: expected an object$"),
        ({"hd": 1}, r"^Film\.hd: expected bool, got int$"),
    ],
)
def test_a_bad_record_names_the_place(change: dict[str, Any], where: str) -> None:
    with pytest.raises(BadRecord, match=where):
        from_json(Film, {**to_json(FULL), "tracks": [], **change})


@pytest.mark.parametrize("data", [None, [], "text", 7])
def test_what_is_no_object_is_no_record(data: object) -> None:
    with pytest.raises(BadRecord, match=r"^Film: expected an object$"):
        from_json(Film, data)
    with pytest.raises(BadRecord, match=r"^result\.json: expected an object$"):
        from_json(Film, data, "result.json")


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)
KEYS = st.sampled_from(["name", "seconds", "tracks", "tags", "extra", "best", "hd", "index"])


@given(st.dictionaries(KEYS, ANYTHING | st.dictionaries(KEYS, ANYTHING)))
def test_any_json_is_a_record_or_a_bad_one(data: dict[str, Any]) -> None:
    try:
        film = from_json(Film, data)
    except BadRecord:
        return
    assert isinstance(film.name, str)
    assert all(isinstance(track, Track) for track in film.tracks)


def test_a_record_is_made_as_a_dataclass_is() -> None:
    film = Film("a", seconds=1.5, hd=True)
    assert (film.name, film.seconds, film.tracks, film.hd) == ("a", 1.5, (), True)
    assert film.tags == {}
    assert film.tags is not Film("b", 1.0).tags
    assert repr(Track(1)) == "Track(index=1, language=None)"
    match FULL:
        case Film(name, seconds):
            assert (name, seconds) == ("a", 1.5)


@pytest.mark.parametrize(
    ("values", "named", "problem"),
    [
        ((), {}, "Track needs a value for index"),
        ((1, "en", 3), {}, "Track has 2 fields, got 3"),
        ((1,), {"index": 2}, "Track cannot take index"),
        ((1,), {"mood": "good"}, "Track cannot take mood"),
    ],
)
def test_a_record_made_wrongly_is_refused(
    values: tuple[Any, ...], named: dict[str, Any], problem: str
) -> None:
    with pytest.raises(TypeError, match=f"^{problem}$"):
        Track(*values, **named)


def test_equal_records_have_equal_fields_and_the_same_class() -> None:
    assert Track(1) == Track(1, None)
    assert Track(1) != Track(2)
    assert Film("a", 1.0) != Series("a", 1.0)
    assert Track(1) != (1, None)
    assert {Track(1), Track(1), Track(2)} == {Track(1), Track(2)}


def test_a_frozen_record_does_not_change() -> None:
    track = Track(1)
    with pytest.raises(AttributeError, match="cannot set index of Track"):
        track.index = 2  # type: ignore[misc]
    with pytest.raises(AttributeError, match="cannot delete index of Track"):
        del track.index


def test_a_record_may_be_declared_to_change_in_its_fields() -> None:
    draft = Draft("a")
    draft.pages = 3
    assert draft == Draft("a", pages=3)
    with pytest.raises(AttributeError, match="cannot set chapters of Draft"):
        draft.chapters = 1  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match="no hash"):
        hash(draft)


def test_a_changed_copy_leaves_the_record_alone() -> None:
    assert changed(FULL, name="b") == dataclasses.replace(FULL, name="b")
    assert changed(FULL, name="b").tracks is FULL.tracks
    assert FULL.name == "a"
    with pytest.raises(TypeError, match="cannot take mood"):
        changed(FULL, mood="good")


def test_what_works_on_dataclasses_works_on_records() -> None:
    assert [one.name for one in dataclasses.fields(Track)] == ["index", "language"]
    assert [one.name for one in dataclasses.fields(Series)][-1] == "episodes"
    assert dataclasses.asdict(FULL)["tracks"][0] == {"index": 0, "language": "en"}
    assert to_json(Old(Track(1), ("x",))) == {
        "track": {"index": 1, "language": None},
        "names": ["x"],
    }


def test_a_record_can_be_copied_and_pickled() -> None:
    assert copy.deepcopy(FULL) == FULL
    assert pickle.loads(pickle.dumps(FULL)) == FULL
