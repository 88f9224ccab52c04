"""What judges a power cut notices each thing that may be wrong after it: planted, one at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from orchestrator.contract.errors import ErrorClass, ErrorInfo
from tests.faults.crash_states import Disk, Tree
from tests.faults.next_night import After
from tests.faults.power_loss import Judge, Told
from tests.faults.power_scenes import DESK, PERSON, Scene
from tests.faults.recording import Op, read

SOURCE, OURS, THEIRS = b"library/a.wav", b"library/a.en.srt", b"library/a.en.vtt"
SUMMARY = b"work/runs/1/summary.json"
WHOLE: Tree = {
    b"library": None,
    SOURCE: b"sound",
    OURS: b"words",
    THEIRS: b"a person's",
    SUMMARY: b"{}",
}
ALL_TOLD = Told(frozenset({"fake"}), finished=frozenset({"a.wav"}), ended=True, saved=True)
BAD = ErrorInfo("bad_media", "not to our taste", "", ErrorClass.INPUT)


def after(**changes: Any) -> After:
    """A next night that finds everything done, but for the ``changes``."""
    return replace(After({OURS: b"words", THEIRS: b"a person's"}, ours={OURS}), **changes)


def scene(coming: After, failing: frozenset[str] = frozenset()) -> Scene:
    def following(_state: Tree) -> After:
        return coming

    return Scene(
        name="planted",
        night=cast("Any", type("Sandbox", (), {"folder": Path("/night")})()),
        start={},
        ops=(),
        sources={SOURCE: b"sound"},
        former={},
        expected={OURS: b"words", THEIRS: b"a person's"},
        following=cast("Any", following),
        others={THEIRS: b"a person's"},
        undisturbed={OURS: b"words", THEIRS: b"ours"},
        failing=failing,
        lasting=frozenset({"fake"}),
        summary=(SUMMARY, b"{}"),
    )


def without(path: bytes) -> Tree:
    return {one: data for one, data in WHOLE.items() if one != path}


@pytest.mark.parametrize(
    ("state", "coming", "notice"),
    [
        (WHOLE, after(), ""),
        ({**WHOLE, SOURCE: b"sou"}, after(), "a source is not what it was"),
        ({**WHOLE, OURS: b"wor"}, after(), "published torn"),
        (without(OURS), after(), "acknowledged, then lost"),
        (without(SUMMARY), after(), "the summary of the run is gone"),
        (WHOLE, after(wrong=["no job"]), "no job"),
        (WHOLE, after(left={OURS: b"words", THEIRS: b"ours"}), "not as it should be"),
        (without(THEIRS), after(left={OURS: b"words", THEIRS: b"ours"}), "not as it should be"),
        (WHOLE, after(ours=set()), "nobody would know that it is ours"),
        (WHOLE, after(worked={"a.wav"}), "finished, then worked on again"),
        (WHOLE, after(worked={"a.wav"}, failed={"a.wav": BAD}), "failed, or did not, unlike"),
    ],
)
def test_what_is_wrong_when_all_was_told(state: Tree, coming: After, notice: str) -> None:
    wrong = Judge(scene(coming))(state, ALL_TOLD)
    assert any(notice in one for one in wrong) if notice else wrong == [], wrong


def test_nothing_is_promised_before_it_is_told() -> None:
    nothing: Tree = {b"library": None, SOURCE: b"sound"}
    coming = after(
        left={OURS: b"words", THEIRS: b"ours"}, ours={OURS, THEIRS}, worked={"a.wav"}, ran={"fake"}
    )
    assert Judge(scene(coming))(nothing, Told(frozenset({"fake"}))) == []
    kept = Told(frozenset({"fake"}), kept=frozenset({"fake"}))
    assert Judge(scene(coming))(nothing, kept) == ["kept, then made again: ['fake']"]


@pytest.mark.parametrize("arrived", [THEIRS, b"library/.batch-subtitles-1.tmp"])
def test_what_a_person_saved_counts_wherever_it_is_in_the_library(arrived: bytes) -> None:
    replaced = after(left={OURS: b"words", THEIRS: b"ours"}, ours={OURS, THEIRS})
    on_the_desk = {**without(THEIRS), DESK + b"/saved.tmp": b"a person's"}
    told = Told(frozenset())
    assert Judge(scene(replaced))(on_the_desk, told) == []
    [wrong] = Judge(scene(replaced))({**without(THEIRS), arrived: b"a person's"}, told)
    assert "a.en.vtt" in wrong


def test_a_moment_in_which_what_a_person_saved_is_moved_aside() -> None:
    """Ours is in its place, and whole; the next night puts theirs back."""
    swapped = {**WHOLE, THEIRS: b"ours", b"library/.batch-subtitles-1.tmp": b"a person's"}
    assert Judge(scene(after()))(swapped, Told(frozenset(), saved=True)) == []


def test_a_file_that_has_to_fail_and_does_not() -> None:
    told, has_to = Told(frozenset()), frozenset({"a.wav"})
    failed = after(worked={"a.wav"}, failed={"a.wav": BAD})
    assert Judge(scene(failed, has_to))(WHOLE, told) == []
    [wrong] = Judge(scene(after(worked={"a.wav"}), has_to))(WHOLE, told)
    assert wrong.startswith("failed, or did not, unlike before: ['a.wav']")


def test_what_is_told_in_the_course_of_a_night() -> None:
    told = Told(frozenset())
    line = b'{"event": "file_finished", "path": "/l/%s", "status": "%s", "error": %s}\n'
    fine, for_now = line % (b"a.wav", b"done", b"null"), b'{"retryable": true}'
    ops = [
        Op("said", b"pipe:[1]", data=fine[:30]),
        Op("said", b"pipe:[1]", data=fine[30:]),
        Op("said", b"pipe:[1]", data=line % (b"b.wav", b"failed", for_now)),
        Op("said", b"pipe:[1]", data=line % (b"c.wav", b"failed", b'{"retryable": false}')),
        Op("sync", b"/night/library", thread=PERSON),
        Op("ended", b""),
    ]
    assert [told.hear(op) for op in ops] == [False, True, False, True, True, True]
    assert told == Told(frozenset(), finished=frozenset({"a.wav", "c.wav"}), ended=True, saved=True)


def quoted(path: str) -> str:
    return '"' + "".join(f"\\x{byte:02x}" for byte in path.encode()) + '"'


@pytest.fixture
def log(tmp_path: Path) -> Callable[..., list[Op]]:
    def written(*lines: str) -> list[Op]:
        path = tmp_path / "calls"
        path.write_text("".join(f"{line}\n" for line in lines))
        return read(path, b"/night")

    return written


def test_a_folder_comes_before_what_is_in_it(log: Callable[..., list[Op]]) -> None:
    """Its maker's turn to be logged may come only when another thread has used it."""
    ops = log(
        f"1 mkdir({quoted('/night/w')}, 0700 <unfinished ...>",
        f"2 mkdir({quoted('/night/w/a')}, 0700) = 0",
        "1 <... mkdir resumed>) = 0",
        f"2 mkdir({quoted('/night/w/b')}, 0700) = 0",
        f"1 mkdir({quoted('/night/v')}, 0700) = 0",
    )
    assert [op.path for op in ops] == [b"/night/w", b"/night/w/a", b"/night/w/b", b"/night/v"]
    disk = Disk(b"/night", {})
    for op in ops:
        disk.apply(op)
    assert set(disk.now()) == {b"w", b"w/a", b"w/b", b"v"}


def test_only_what_happened_meanwhile_comes_later(log: Callable[..., list[Op]]) -> None:
    """A folder that is made again belongs to what comes after it."""
    ops = log(
        f"1 mkdir({quoted('/night/w/a')}, 0700) = 0",
        f"1 unlink({quoted('/night/w/a')}) = 0",
        f"2 mkdir({quoted('/night/w')}, 0700) = 0",
    )
    assert [op.kind for op in ops] == ["folder", "remove", "folder"]
