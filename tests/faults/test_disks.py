"""A selection of what disks do; ``python3 -m tests.faults`` runs it at full size."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

import pytest
import trio

from tests.end_to_end.conftest import Outcome
from tests.faults import fuse_disk, mounts, network_disk, other_filesystems
from tests.faults.network_disk import Case, Scene, Tally
from tests.faults.watched import Pulse

from .conftest import MakeNight

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(sys.platform != "linux", reason="FUSE and loop devices are Linux's"),
]

UNAVAILABLE = fuse_disk.unavailable()
on_network_disks = pytest.mark.skipif(bool(UNAVAILABLE), reason=UNAVAILABLE or "it is there")


@on_network_disks
def test_a_library_on_a_network_disk(make_night: MakeNight) -> None:
    scene = Scene(make_night("a.wav", "b.wav"), "library")
    tally, middle = Tally(), scene.calls // 2
    network_disk.ends_by_itself(scene, Case("library", "EIO", middle), tally)
    network_disk.comes_back(scene, Case("library", "unmount", middle), tally)
    network_disk.is_interrupted(scene, Case("library", "hang", middle), tally)
    network_disk.is_away_from_the_beginning(scene, Case("library", "unmount", 0), tally)
    assert (tally.wrong, tally.began) == ([], tally.nights)


@on_network_disks
def test_outputs_on_a_network_disk(make_night: MakeNight) -> None:
    scene = Scene(make_night("a.wav", "b.wav"), "outputs")
    tally = Tally()
    network_disk.ends_by_itself(scene, Case("outputs", "unmount", scene.calls // 2), tally)
    assert (tally.wrong, tally.began) == ([], tally.nights)


def test_a_blocked_event_loop_is_seen(tmp_path: Path) -> None:
    """What the nights above are held to: one step that waits, among many that do not."""
    pulse = Pulse(tmp_path / "note")

    async def main() -> None:
        threading.Thread(target=pulse.watch, daemon=True).start()
        for seconds in (0.0, 0.0, 0.4, 0.0):
            time.sleep(seconds)  # noqa: ASYNC251 (that is the fault)
            await trio.sleep(0.05)

    trio.run(main, instruments=[pulse])
    assert 0.2 < pulse.longest < 10.0
    assert (tmp_path / "note").read_text() == f"{pulse.longest:.3f}"


def test_false_success_is_seen() -> None:
    """What a run on a failing disk must not say."""
    case = Case("library", "EIO", 10)
    finished = {"event": "file_finished", "path": "/a.wav", "status": "failed", "error": None}
    claimed = Outcome(0, "{}\n", "", [])
    failed = Outcome(75, "", "", [finished])
    crashed = Outcome(1, "", "Traceback", [])
    assert network_disk.complaints(case, claimed, done=False, began=True) == ["it claimed success"]
    assert network_disk.complaints(case, claimed, done=True, began=True) == []
    assert "called failed" in network_disk.complaints(case, failed, done=False, began=True)[0]
    assert "ended with 1" in network_disk.complaints(case, crashed, done=False, began=True)[0]


def test_a_file_that_is_replaced_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if why := mounts.unavailable("tmpfs", tmp_path):
        pytest.skip(why)
    planted = (
        "import time\n"
        "import orchestrator.job.publish as module\n"
        "module.rename_new = lambda made, target, _: (time.sleep(0.2), made.replace(target))\n"
    )
    monkeypatch.setattr(other_filesystems, "PUBLISHER", planted + other_filesystems.PUBLISHER)
    tally = other_filesystems.Tally()
    other_filesystems.races(tmp_path, "tmpfs", 2, tally)
    assert len(tally.wrong) == 2


@pytest.mark.parametrize("name", ["tmpfs", "overlayfs", "exfat", "ntfs", "fat"])
def test_publishing_on_another_file_system(
    make_night: MakeNight, tmp_path: Path, name: str
) -> None:
    if why := mounts.unavailable(name, tmp_path):
        pytest.skip(why)
    tally = other_filesystems.Tally()
    if name == "fat":
        other_filesystems.nights(make_night(*other_filesystems.FILMS), name, tally)
        other_filesystems.odd_names(make_night(), name, tally)
    other_filesystems.races(tmp_path, name, 3, tally)
    other_filesystems.kills(tmp_path, name, 3, tally)
    assert (tally.wrong, tally.races, tally.kills) == ([], 3, 3)
