"""Each figure of the media campaigns notices what it is there for, when it is planted."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from orchestrator.contract.errors import ErrorClass, ErrorInfo
from orchestrator.contract.media import ProbeResult
from tests.faults.media.campaign import (
    Case,
    Tools,
    Verdict,
    damage,
    loss_figures,
    lure_figures,
    mutant_figures,
)
from tests.faults.media.lures import Trap
from tests.faults.media.mutants import ALL, KNOWN_LOSSES, known_loss, mutant
from tests.faults.media.resident import Broke, Died, Ears, Heard, Hung

WHOLE = bytes(range(256)) * 200
FULL = ErrorInfo("storage_error", "disk", "Check it.", ErrorClass.STORAGE)
BAD = ErrorInfo("not_media", "no media", "Check it.", ErrorClass.INPUT)


@dataclass(frozen=True)
class Planted(Tools):
    """Tools whose probe and demux have a fault. ``answer``: demux's of a damaged file."""

    answer: Heard | Exception = Heard(None, (), 1.0, {"length_verified": True})
    probed: ErrorInfo | None = None

    @contextmanager
    def ears(self) -> Iterator[Ears]:
        yield cast(Any, self)

    def probe(self, path: Path) -> ProbeResult:
        return ProbeResult("", error=self.probed)

    def demux(self, path: Path) -> Heard:
        if path in self.originals:
            return Heard(None, (), 10.0, {"length_verified": True})
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def planted(folder: Path, **fault: Any) -> Planted:
    original = folder / "originals" / "film.mkv"
    original.parent.mkdir()
    original.write_bytes(WHOLE)
    return Planted(Path(), folder, (original,), **fault)


def verdicts(tools: Tools) -> list[Verdict]:
    return list(damage(tools, tools.cases(range(3), "any")))


FAULTS: dict[str, dict[str, Any]] = {
    "false successes 3": {},
    "hangs 3": {"answer": Hung()},
    "crashes 3": {"answer": Died()},
    "bugs 3": {"answer": Broke("what")},
    "blame on anything but the file 3": {"answer": Heard(FULL, (), 0.0, {})},
}


@pytest.mark.parametrize("told", FAULTS)
def test_faults_over_mutants_are_counted(tmp_path: Path, told: str) -> None:
    figures = mutant_figures(verdicts(planted(tmp_path, **FAULTS[told])))
    assert told in figures.lines[1]
    assert len(figures.failures) == 3


def test_blame_by_the_probe_is_counted(tmp_path: Path) -> None:
    good = Heard(BAD, (), 0.0, {})
    assert not mutant_figures(verdicts(planted(tmp_path, answer=good, probed=BAD))).failures


def test_blame_by_the_probe_alone_is_counted(tmp_path: Path) -> None:
    good = Heard(BAD, (), 0.0, {})
    figures = mutant_figures(verdicts(planted(tmp_path, answer=good, probed=FULL)))
    assert "blame on anything but the file 3" in figures.lines[1]


def test_a_loss_that_is_not_told_is_missed(tmp_path: Path) -> None:
    figures = loss_figures(verdicts(planted(tmp_path)), [])
    assert "recall where a length is stated: 0 of 3 (0.00%)" in figures.lines
    assert len(figures.failures) == 3
    told = Heard(None, ("audio_incomplete",), 1.0, {"length_verified": True})
    again = verdicts(Planted(Path(), tmp_path, (tmp_path / "originals" / "film.mkv",), answer=told))
    assert not loss_figures(again, []).failures


def test_a_format_without_a_length_may_not_pass_for_complete() -> None:
    one = Verdict("film.ts", 1, "cut", 5.0, 10.0, Heard(None, (), 5.0, {"length_verified": True}))
    assert loss_figures([one], []).failures
    fair = one.heard and one.heard._replace(info={"length_verified": False})
    assert not loss_figures([Verdict("film.ts", 1, "cut", 5.0, 10.0, fair)], []).failures


def test_an_alarm_over_a_whole_file_is_false() -> None:
    alarm = Heard(None, ("audio_incomplete",), 9.0, {"length_verified": True})
    assert loss_figures([], [("film.mkv", alarm)]).failures
    assert "false alarms: 1 of 1 whole files" in loss_figures([], [("film.mkv", alarm)]).lines


def test_a_sound_out_of_a_lure_is_a_hit(tmp_path: Path) -> None:
    assert lure_figures(planted(tmp_path), ["mkv"]).failures
    silent = Heard(BAD, (), 0.0, {})
    other = Planted(Path(), tmp_path, (), answer=silent, probed=BAD)
    assert not lure_figures(other, ["mkv"]).failures


def test_another_file_that_was_read_is_a_hit(tmp_path: Path) -> None:
    with Trap(tmp_path) as trap:
        trap.look_at("lure.mkv", 0.0)
        assert trap.hits() == []
        os.utime(trap.canary)  # as reading does, where the system keeps that time
        trap.look_at("lure.mkv", 0.0)
        trap.look_at("another.mkv", 0.0)
        assert trap.hits() == ["lure.mkv: the other file was read"]


def test_a_call_at_the_server_is_a_hit(tmp_path: Path) -> None:
    with Trap(tmp_path) as trap:
        host, port = trap.server.split(":")
        with socket.create_connection((host, int(port))) as caller:
            caller.sendall(b"GET /lure")
            caller.shutdown(socket.SHUT_WR)
            assert caller.recv(1) == b""  # it was answered, so it was noted
        assert trap.hits() == ["the server was asked: b'GET /lure'"]


def test_damage_is_the_same_for_the_same_number_and_no_kind_is_left_out() -> None:
    kinds = set()
    for number in range(300):
        one = mutant(WHOLE, number)
        assert one == mutant(WHOLE, number)
        assert one.data != WHOLE
        kinds.add(one.kind.partition(" ")[0])
    assert kinds == {mutator.__name__ for mutator in ALL}


def test_known_losses_are_in_the_same_places() -> None:
    kinds = [known_loss(WHOLE, number).kind for number in range(KNOWN_LOSSES)]
    assert kinds[:4] == ["known cut"] * 4
    assert sorted(set(kinds[4:])) == [
        *("known gone", "known hole", "known junk", "known pieces"),
    ]
    pieces = next(n for n, kind in enumerate(kinds) if kind == "known pieces")
    changed = known_loss(WHOLE, pieces).data
    same = [changed[at : at + 4096] == WHOLE[at : at + 4096] for at in range(0, len(WHOLE), 4096)]
    assert 0 < same.count(False) < len(same) / 4
    assert len(known_loss(WHOLE, 0).data) == len(WHOLE) // 4
    case = Case(Path(__file__), 4, "known")
    assert case.damaged() == known_loss(Path(__file__).read_bytes(), 4)
