"""What a power cut may leave: all of it, and nothing that POSIX rules out."""

from __future__ import annotations

import random

import pytest

from tests.faults.crash_states import Disk, Tree
from tests.faults.recording import Op

ROOT = b"/night"
NEW = b"n" * 1500
OLD = b"old"


def left(ops: list[Op], start: dict[bytes, bytes | None] | None = None) -> list[Tree]:
    disk = Disk(ROOT, start if start is not None else {ROOT + b"/a": OLD})
    for op in ops:
        disk.apply(op)
    return list(disk.states(300, random.Random(1)))


def written(path: bytes, *, synced: bool) -> list[Op]:
    ops = [Op("make", path), Op("write", path, data=NEW)]
    return [*ops, Op("sync", path)] if synced else ops


def replaced(*, content: bool, name: bool) -> list[Op]:
    ops = written(ROOT + b"/t", synced=content)
    ops.append(Op("rename", ROOT + b"/t", ROOT + b"/a"))
    return [*ops, Op("sync", ROOT)] if name else ops


@pytest.mark.parametrize(
    ("content", "name", "possible", "impossible"),
    [
        (True, True, {NEW}, {OLD, b"", None}),
        (True, False, {NEW, OLD}, {b"", None}),
        (False, True, {NEW, b"", bytes(1500), b"n" * 512 + bytes(988)}, {OLD, None}),
        (False, False, {NEW, OLD, b"", bytes(1500)}, {None}),
    ],
)
def test_a_file_that_takes_the_place_of_another(
    content: bool, name: bool, possible: set[bytes | None], impossible: set[bytes | None]
) -> None:
    found = {state.get(b"a") for state in left(replaced(content=content, name=name))}
    assert possible <= found
    assert not impossible & found


def test_a_rename_may_arrive_in_parts_where_there_is_no_journal() -> None:
    states = left(replaced(content=True, name=False))
    assert {(b"t" in state, state[b"a"]) for state in states} == {
        (True, NEW),
        (True, OLD),
        (False, NEW),
        (False, OLD),
    }


def test_an_exchange_arrives_as_a_whole() -> None:
    ops = [*written(ROOT + b"/t", synced=True), Op("sync", ROOT)]
    ops.append(Op("swap", ROOT + b"/t", ROOT + b"/a"))
    found = {(state[b"t"], state[b"a"]) for state in left(ops)}
    assert found == {(NEW, OLD), (OLD, NEW)}


def test_what_hangs_on_a_lost_folder_is_lost() -> None:
    inner = ROOT + b"/f/t"
    ops = [Op("folder", ROOT + b"/f"), *written(inner, synced=True), Op("sync", ROOT + b"/f")]
    assert {state.get(b"f/t") for state in left(ops)} == {NEW, None}
    assert {state.get(b"f/t") for state in left([*ops, Op("sync", ROOT)])} == {NEW}


def test_a_removed_file_may_be_back_until_its_folder_is_synced() -> None:
    ops = [Op("remove", ROOT + b"/a")]
    assert {state.get(b"a") for state in left(ops)} == {OLD, None}
    assert {state.get(b"a") for state in left([*ops, Op("sync", ROOT)])} == {None}


def test_any_block_of_what_was_written_over_may_be_the_old_one() -> None:
    old = b"o" * 1500
    found = {
        state[b"a"]
        for state in left([Op("write", ROOT + b"/a", data=NEW, offset=0)], {ROOT + b"/a": old})
    }
    assert {old, NEW, b"o" * 512 + b"n" * 512 + b"o" * 476} <= found
    assert all(data is not None and len(data) == 1500 for data in found)


def test_a_forgotten_fsync_is_as_if_it_was_not_there() -> None:
    disk = Disk(ROOT, {})
    for op in written(ROOT + b"/a", synced=True):
        disk.apply(op, synced=False)
    disk.apply(Op("sync", ROOT))
    assert b"" in {state[b"a"] for state in disk.extremes()}


def test_another_fsync_may_do_for_a_forgotten_one() -> None:
    forgetful, other = Disk(ROOT, {}), Disk(ROOT, {})
    assert forgetful.as_safe_as(other)
    path = ROOT + b"/a"
    for op in [*written(path, synced=True), Op("sync", ROOT)]:
        forgetful.apply(op, synced=op.path != path)
        other.apply(op)
    assert not forgetful.as_safe_as(other)
    forgetful.apply(Op("sync", path))
    assert forgetful.as_safe_as(other)


def test_a_record_of_what_is_not_there_is_refused() -> None:
    with pytest.raises(LookupError, match="knows no"):
        Disk(ROOT, {}).apply(Op("write", ROOT + b"/a", data=NEW))
