"""All that can happen to a night, at full size: ``python -m tests.faults``.

Run it in the environment of the tests, as root on Linux with strace. It prints one line for each
campaign and exits with 1 when anything was wrong. Media that lies has a command of its own:
``python -m tests.faults.media.campaign``.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from orchestrator.catalogue import load_catalogue
from orchestrator.provision.environments import BuildOptions, ensure_environment
from tests.end_to_end.conftest import FAKES, ROOT
from tests.faults import disk_full, kill_points, orphans, power_loss, random_kills
from tests.faults.night import Night

Campaign = Callable[["Scale"], tuple[str, list[str]]]


class Scale:
    """How much of everything, and where. ``share`` 1.0 is the full size."""

    def __init__(self, folder: Path, share: float) -> None:
        self._folder = folder
        self._made = 0
        self.share = share
        shared = Path(os.environ.get("SUBTITLES_TEST_WORK_DIR", ROOT / ".cache" / "test-work"))
        catalogue = load_catalogue((FAKES,))
        options = BuildOptions(
            torch_backend="auto", profile="default", variant=None, allow_downloads=True
        )
        self._environments = [
            ensure_environment(catalogue.environments[name], shared.absolute(), options).path
            for name in ("bare", "media")
        ]

    def night(self, files: int) -> Night:
        self._made += 1
        names = [f"{number}.wav" for number in range(files)]
        return Night(self._folder / f"night-{self._made}", self._environments, names)

    def of(self, full: int) -> int:
        return max(1, round(full * self.share))


def kills(scale: Scale) -> tuple[str, list[str]]:
    """Killed at every call of the coordinator that changes something."""
    tried, wrong = 0, []
    night = scale.night(2)
    for scene in kill_points.scenes(night):
        tally = kill_points.kill_everywhere(night, scene, scale.of(len(scene.points)))
        tried += tally.hit
        wrong += tally.wrong
    return f"{tried} kills at calls that change something", wrong


def failures(scale: Scale) -> tuple[str, list[str]]:
    """Each of these calls failing with four errors."""
    night = scale.night(2)
    scene = next(kill_points.scenes(night))
    count = scale.of(len(scene.points) * len(kill_points.ERRORS))
    tally = kill_points.fail_everywhere(night, scene, count)
    return f"{tally.hit} calls that failed", tally.wrong


def power(scale: Scale) -> tuple[str, list[str]]:
    """Power cuts after every call, with what POSIX lets get lost."""
    night = scale.night(2)
    night.batch.json("--dry-run")
    outcome = power_loss.look_at_all(power_loss.recorded(night), scale.of(300))
    return f"{outcome.states} states after a power cut, {outcome.different} of them different", (
        outcome.wrong
    )


def random_moments(scale: Scale) -> tuple[str, list[str]]:
    """kill -9 at random moments, of the coordinator or of everything."""
    night = scale.night(6)
    night.batch.json("--dry-run")
    start = night.keep()
    began = time.monotonic()
    night.undisturbed()
    longest = time.monotonic() - began
    tally = random_kills.kill_at_random(night, start, scale.of(1000), longest, seed=1)
    return f"{tally.kills} kills at random moments, {tally.nights} nights", tally.wrong


def grandchildren(scale: Scale) -> tuple[str, list[str]]:
    """Children in sessions of their own, stopped, deaf."""
    night = scale.night(1)
    night.batch.json("--dry-run")
    tally = orphans.kill_with_grandchildren(night, night.keep(), scale.of(200), seed=1)
    return f"{tally.kills} kills with grandchildren, all gone after {tally.slowest:.2f} s", (
        tally.wrong
    )


def full_disks(scale: Scale) -> tuple[str, list[str]]:
    """The library and the work folder on disks of every size."""
    night = scale.night(2)
    night.batch.json("--dry-run")
    start = night.keep()
    night.undisturbed()
    step = max(1, round(1 / scale.share))
    library = [f"size={size}k" for size in range(8, 56, 4 * step)]
    library += [f"nr_inodes={count}" for count in range(3, 14, step)]
    work = [f"size={size}k" for size in range(40, 400, 8 * step)]
    first = disk_full.sweep(night, start, night.batch.library, library)
    second = disk_full.sweep(night, start, night.batch.work.root, work)
    sizes, small = first.sizes + second.sizes, first.too_small + second.too_small
    return f"{sizes} small disks, {small} of them too small", first.wrong + second.wrong


CAMPAIGNS: dict[str, Campaign] = {
    "kills": kills,
    "failures": failures,
    "power": power,
    "random": random_moments,
    "grandchildren": grandchildren,
    "full-disks": full_disks,
}


def main() -> int:
    parser = argparse.ArgumentParser(description="Hurt nights in every way, and count.")
    parser.add_argument("--only", choices=sorted(CAMPAIGNS), help="one campaign")
    parser.add_argument("--share", type=float, default=1.0, help="of the full size")
    given = parser.parse_args()
    anything_wrong = False
    with tempfile.TemporaryDirectory() as folder:
        scale = Scale(Path(folder), given.share)
        for name, campaign in CAMPAIGNS.items():
            if given.only not in (None, name):
                continue
            began = time.monotonic()
            figure, wrong = campaign(scale)
            seconds = time.monotonic() - began
            print(f"{name:14} {figure}; {len(wrong)} wrong; {seconds:.0f} s", flush=True)
            for one in wrong[:20]:
                print(f"    {one}", flush=True)
            anything_wrong = anything_wrong or bool(wrong)
    return 1 if anything_wrong else 0


if __name__ == "__main__":
    sys.exit(main())
