"""Records that come from a disk or from another process."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.contract.records import BadRecord, from_json, to_json


@dataclass(frozen=True)
class Track:
    index: int
    language: str | None = None


@dataclass(frozen=True)
class Film:
    name: str
    seconds: float
    tracks: tuple[Track, ...] = ()
    tags: Mapping[str, int] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    best: Track | None = None
    hd: bool = False


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
