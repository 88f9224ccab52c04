"""All that can happen to a night, at full size: ``python -m tests.faults``.

Run it in the environment of the tests, as root on Linux with strace. It prints one line for each
campaign and exits with 1 when anything was wrong. Media that lies has a command of its own:
``python -m tests.faults.media.campaign``.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

from tests.faults import (
    crowds,
    disk_full,
    fuse_disk,
    lost_state,
    meddling,
    mounts,
    names,
    network_disk,
    orphans,
    other_filesystems,
    point_campaigns,
    power_loss,
    power_scenes,
    races,
    random_kills,
    secrets,
)
from tests.faults.kill_points import selected
from tests.faults.scale import Scale, Size

Campaign = Callable[[Scale], tuple[str, list[str]]]


def kills(scale: Scale) -> tuple[str, list[str]]:
    """Coordinators and jobs killed at each of their calls that change something."""
    figures = point_campaigns.run(point_campaigns.KILLS, scale.size)
    return f"killed at {figures}", figures.wrong


def failures(scale: Scale) -> tuple[str, list[str]]:
    """Each of these calls failing with each of four errors."""
    figures = point_campaigns.run(point_campaigns.FAILURES, scale.size)
    return f"calls failed at {figures}", figures.wrong


def power(scale: Scale) -> tuple[str, list[str]]:
    """Power cuts after every call, with what POSIX lets get lost."""
    total = power_loss.Outcome()
    for play in power_scenes.SCENES:
        scene = play(scale.sandbox)
        found = power_loss.look_at_all(scene, scale.of(60), scale.size.seed, scale.of(8))
        total.add(found)
        scale.note(f"{scene.name}: {found}; {len(found.wrong)} wrong")
    return str(total), total.wrong


def forgotten_syncs(scale: Scale) -> tuple[str, list[str]]:
    """Each fsync of these nights left out."""
    count = caught = 0
    sites: dict[str, bool] = {}
    for play in power_scenes.SCENES:
        scene = play(scale.sandbox)
        for op, noticed in power_loss.forgotten(scene, scale.of(10), scale.size.seed):
            site = power_loss.site(scene, op)
            sites[site] = sites.get(site, False) or bool(noticed)
            count, caught = count + 1, caught + bool(noticed)
        scale.note(f"{scene.name}: {caught} of {count} so far")
    missed = [f"nobody would miss any fsync of {site}" for site in sites if not sites[site]]
    return (
        f"{len(sites) - len(missed)} of {len(sites)} fsyncs are missed when left out"
        f" ({caught} of {count}, counting each call: another may do for it)"
    ), missed


def random_moments(scale: Scale) -> tuple[str, list[str]]:
    """kill -9 at random moments, of coordinator, of everything, of a child and then it."""
    with scale.forks() as forks:
        night = scale.forked([f"{number}.wav" for number in range(6)], forks)
        night.batch.configure(workflows={"fake-flow": ["fake", "relay", "litters"]})
        night.batch.json("--dry-run")
        start = night.keep()
        length = random_kills.measured(night, start)
        tally = random_kills.kill_at_random(night, start, length, scale.of(1000), scale.size.seed)
    return (
        f"{tally.kills} kills at random moments, {tally.working} of them amid the work, "
        f"{tally.nights} nights"
    ), tally.wrong


def grandchildren(scale: Scale) -> tuple[str, list[str]]:
    """Children of a stage in sessions of their own, stopped, deaf."""
    night = scale.night(1)
    night.batch.json("--dry-run")
    tally = orphans.kill_with_family(night, night.keep(), scale.of(200), scale.size.seed)
    return f"{tally.kills} kills with grandchildren, all gone after {tally.slowest:.2f} s", (
        tally.wrong
    )


def full_disks(scale: Scale) -> tuple[str, list[str]]:
    """Four folders on disks of every size, and of every number of inodes."""
    total = disk_full.Sweep()
    for name in disk_full.PLACES:
        night = scale.night(2)
        where = disk_full.place(night, name)
        night.batch.json("--dry-run")
        start = night.keep()
        limits = disk_full.limits_of(night, start, where)
        found = disk_full.sweep(night, start, where, selected(limits, scale.of(len(limits))))
        total.add(found)
        scale.note(f"{name}: {found.limits} small disks; {len(found.wrong)} wrong")
    return f"{total.limits} small disks, {total.too_small} of them too small", total.wrong


def canaries(scale: Scale) -> tuple[str, list[str]]:
    """Secrets around commands that fail, looked for in all that these leave or show."""
    look = secrets.look_for_secrets(scale.night(2))
    return (
        f"{look.canaries} secrets looked for in {look.command_lines} command lines and "
        f"{look.files} files ({look.size / 1e6:.1f} MB)"
    ), look.wrong


def lost_states(scale: Scale) -> tuple[str, list[str]]:
    """The state cut off, written over, removed, or an old copy."""
    tally = lost_state.harm_everywhere(scale.night(4), scale.of(240), scale.size.seed)
    return f"{tally.harmed} nights after the state was harmed", tally.wrong


def network_disks(scale: Scale) -> tuple[str, list[str]]:
    """The library, the outputs or the state on a network disk that fails in every way."""
    if why := fuse_disk.unavailable():
        return f"not run: {why}", []
    tally = network_disk.campaign(scale.night, scale.of(240), scale.size.seed)
    return (
        f"{tally.nights} nights on network disks, {tally.began} of them hurt, the event loop "
        f"blocked for {tally.longest:.2f} s at most, {tally.strays} files in empty mount points",
        tally.wrong,
    )


def other_disks(scale: Scale) -> tuple[str, list[str]]:
    """Publishing on what people have their libraries on: nights, names, races, kills."""
    tally = other_filesystems.Tally()
    tried, missing = [], []
    for name in mounts.FILE_SYSTEMS:
        folder = scale.folder()
        if why := mounts.unavailable(name, folder):
            missing.append(why)
            continue
        tried.append(name)
        other_filesystems.nights(scale.sandbox(other_filesystems.FILMS), name, tally)
        other_filesystems.odd_names(scale.night(0), name, tally)
        other_filesystems.races(folder, name, scale.of(100), tally, scale.size.seed)
        other_filesystems.kills(folder, name, scale.of(100), tally, scale.size.seed)
        scale.note(f"{name}: {len(tally.wrong)} wrong so far")
    figure = f"{tally.races} races for a name and {tally.kills} kills on {', '.join(tried)}"
    return "; ".join([figure, *missing]), tally.wrong


def hostile_names(scale: Scale) -> tuple[str, list[str]]:
    """Names from a list and made ones through whole nights, and as recognised text."""
    tally = names.all_names(scale.batch, scale.of, scale.size.seed)
    return f"{tally.names} names in {tally.nights} nights, {tally.texts} recognised texts", (
        tally.wrong
    )


def sidecar_races(scale: Scale) -> tuple[str, list[str]]:
    """A person saves at every moment of a publishing job, and while a night goes on."""
    tally = races.Races()
    night = scale.sandbox(["a.wav"])
    for scene in races.scenes(night):
        found = races.race(night, scene, scale.of(600))
        tally.add(found)
        scale.note(f"{scene.name}: {found.races} races; {len(found.wrong)} wrong")
    for number in range(scale.of(meddling.NIGHTS)):
        tally.add(meddling.meddle_again(scale.batch(), number))
    return f"{tally.races} races for a subtitle's name", tally.wrong


def several_coordinators(scale: Scale) -> tuple[str, list[str]]:
    """Two on one work folder, one library, one output folder; ids that eight processes make."""
    batch = scale.batch()
    batch.add("a.wav", "b.wav")
    seconds = crowds.second_coordinators(batch, scale.of(20))
    beside = crowds.Crowd()
    for number in range(scale.of(8)):
        output = bool(number % 2)
        beside.add(crowds.side_by_side(scale.folder(), scale.environments, 20, output=output))
    made = crowds.ids(scale.folder(), 8, scale.of(1000))
    return (
        f"{seconds.tried} second coordinators turned away, {beside.tried} names raced for by two, "
        f"{made.tried} ids and names by 8 processes"
    ), [*seconds.wrong, *beside.wrong, *made.wrong]


CAMPAIGNS: dict[str, Campaign] = {
    "kills": kills,
    "failures": failures,
    "power": power,
    "forgotten-syncs": forgotten_syncs,
    "random": random_moments,
    "grandchildren": grandchildren,
    "full-disks": full_disks,
    "network-disks": network_disks,
    "other-disks": other_disks,
    "secrets": canaries,
    "lost-state": lost_states,
    "names": hostile_names,
    "races": sidecar_races,
    "coordinators": several_coordinators,
}


def main() -> int:
    parser = argparse.ArgumentParser(description="Hurt nights in every way, and count.")
    parser.add_argument("--only", choices=sorted(CAMPAIGNS), help="one campaign")
    parser.add_argument("--share", type=float, default=1.0, help="of the full size")
    parser.add_argument("--seed", type=int, default=1, help="of what is chosen at random")
    parser.add_argument(
        "--processes", type=int, default=1, help="scenes of kills and failures at a time"
    )
    given = parser.parse_args()
    anything_wrong = False
    with Scale.made(Size(given.share, given.seed, given.processes)) as scale:
        for name, campaign in CAMPAIGNS.items():
            if given.only not in (None, name):
                continue
            began = scale.noted = time.monotonic()
            figure, wrong = campaign(scale)
            seconds = time.monotonic() - began
            print(f"{name:14} {figure}; {len(wrong)} wrong; {seconds:.0f} s", flush=True)
            for one in wrong[:20]:
                print(f"    {one}", flush=True)
            anything_wrong = anything_wrong or bool(wrong)
    return 1 if anything_wrong else 0


if __name__ == "__main__":
    sys.exit(main())
