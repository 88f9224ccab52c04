"""Publishing on file systems that are not ext4, by their real drivers (see ``mounts.py``).

On each, whole nights: everything is made, nothing is made again once the disk was unmounted and
mounted again, what a person edited or lost is respected or made good, other settings replace our
files and not theirs. Then kills in the middle of publishing, races for a name against another
program, and names that the disk cannot hold.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.contract.atomic import TEMPORARY_MARK
from tests.end_to_end.conftest import Outcome
from tests.faults import fuse_disk
from tests.faults.mounts import Mounted, mounted
from tests.faults.night import Night

THEIRS = b"written by a person"
OLDER = b"published with other settings"

FILMS = ("Films/Season 1/0.wav", "Films/Season 2/1.wav")
ODD_NAMES = (
    *("plain.wav", "a: b.wav", "what?.wav", "tab\there.wav", "dot..wav", "space .wav"),
    *("Case.wav", "case.wav", "\u00e9.wav", "e\u0301.wav", "\udcff.wav"),
    *(f"{length:x<{length}}.wav" for length in (130, 160, 200, 240)),
)
REFUSALS = ("name_not_allowed", "name_too_long", "name_taken")
"""What may be said of a name that the disk cannot hold, or takes for another."""


@dataclass
class Tally:
    """``races`` for one name; ``ours`` of them we won, the others a person's file stayed."""

    races: int = 0
    ours: int = 0
    kills: int = 0
    wrong: list[str] = field(default_factory=list)


def nights(night: Night, name: str, tally: Tally) -> None:
    """Nights on a library that is a folder of that disk. ``night`` is one of :data:`FILMS`."""
    disk = night.batch.library
    with mounted(disk, name) as mount:
        night.batch.library = disk / "Films"
        night.note_sources()
        try:
            outcome = night.undisturbed()
            wrong = night.wrong_after_the_fault(outcome.out) + _later_nights(night, mount)
        except RuntimeError as error:
            wrong = [str(error)]
    tally.wrong += [f"{name}: {one}" for one in wrong]


def _later_nights(night: Night, mount: Mounted) -> list[str]:
    """One that finds nothing to do, one that makes one file again, one on a disk that came back."""
    library = night.batch.library
    wrong = [f"empty: {one}" for one, content in night.expected.items() if not content]
    if len(night.expected) != 2 * len(night.files):
        wrong.append(f"not everything was published: {sorted(night.expected)}")
    wrong += _anything_done(night)
    edited, lost = _subtitle(night, 0, "srt"), _subtitle(night, 1, "vtt")
    (library / edited).write_bytes(THEIRS)
    (library / lost).unlink()
    outcome = night.again()
    if (library / edited).read_bytes() != THEIRS:
        wrong.append("a file that a person edited was replaced")
    if outcome.code != 0 or night.library().get(lost) != night.expected[lost]:
        wrong.append(f"what was lost was not made again: {outcome.code} {outcome.errors}")
    mount.unmount()
    mount.mount()
    return [*wrong, *_anything_done(night), *_night_of_other_settings(night), *night.survivors()]


def _anything_done(night: Night) -> list[str]:
    """Run a night that has nothing to do."""
    again = night.again()
    return [f"done again: {again.code} {again.finished}"] if again.code or again.finished else []


def _night_of_other_settings(night: Night) -> list[str]:
    """What is ours is replaced; a film with a subtitle that a person edited is left alone."""
    before, ours = night.library(), _subtitle(night, 1, "vtt")
    night.batch.settings["stages"]["relay"] = {"greeting": "good evening"}
    outcome = night.again()
    now = night.library()
    replaced = now.get(ours, b"").startswith(b"good evening")
    if outcome.code != 0 or not replaced or now | {ours: b""} != before | {ours: b""}:
        return [f"replacing: {outcome.code} {outcome.errors}, {replaced}, {sorted(now)}"]
    return []


def _subtitle(night: Night, number: int, kind: str) -> str:
    return night.files[number].removeprefix("Films/").replace(".wav", f".en.{kind}")


PUBLISHER = textwrap.dedent("""
    import hashlib, json, sys
    from pathlib import Path
    from orchestrator.contract.errors import Failure
    from orchestrator.contract.records import from_json, to_json
    from orchestrator.job.manifest import Intent
    from orchestrator.job.publish import Delivery, confirm, intent_of, publish, remove_leftovers
    made, target, notes = map(Path, sys.argv[1:4])
    older = hashlib.sha256(sys.argv[4].encode()).hexdigest()
    data = made.read_bytes()
    def note(intent):
        with notes.open("a") as file:
            file.write(json.dumps(to_json(intent)) + "\\n")
    if notes.exists():
        remove_leftovers(tuple(from_json(Intent, json.loads(one)) for one in notes.open()))
    delivery = Delivery(made, target, len(data), hashlib.sha256(data).hexdigest())
    intent = intent_of(delivery)
    if intent is not None:
        note(intent)
        sys.stdin.readline()
        try:
            publish(delivery, intent, {older}, note)
        except Failure as failure:
            sys.exit(failure.info.code)
    confirm((delivery,))
    print("published")
""")


class _Publisher:
    """The publishing protocol in a process of its own, which can be killed."""

    def __init__(self, folder: Path, target: Path) -> None:
        self.made, self.notes = folder / "made", folder / "notes"
        self.target = target
        self.made.write_bytes(b"subtitles\n" * 5000)
        self.notes.unlink(missing_ok=True)

    def start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", PUBLISHER, self.made, self.target, self.notes, OLDER.decode()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=fuse_disk.ROOT,
        )

    def begin(self, process: subprocess.Popen[str]) -> None:
        """Let it go on from where it has recorded what it is about to do."""
        while process.poll() is None and not self.notes.exists():
            time.sleep(0.001)
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write("\n")
            process.stdin.flush()


def races(folder: Path, name: str, count: int, tally: Tally, seed: int = 1) -> None:
    """Another program makes a file of that name while we publish: whoever is first keeps it.

    Where the disk has links, a file of ours is there already every other time, and that program
    saves another over it. Where it has none, there is a moment in which that is not noticed.
    """
    chance = random.Random(seed)
    disk = folder / f"race-{name}"
    disk.mkdir()
    with mounted(disk, name):
        linking = _has_links(disk)
        for number in range(count):
            target = disk / f"film {number}.en.srt"
            replaced = linking and bool(number % 2)
            if replaced:
                target.write_bytes(OLDER)
            publisher = _Publisher(folder, target)
            process = publisher.start()
            publisher.begin(process)
            time.sleep(chance.random() * 0.03)
            theirs = _save_over(target) if replaced else _make(target)
            out, err = process.communicate()
            published = "published" in out
            content, ours = target.read_bytes(), publisher.made.read_bytes()
            honest = published or "name_taken" in err if replaced else published != theirs
            if content != (THEIRS if theirs else ours) or not honest:
                tally.wrong.append(f"{name}: race {number}: {content[:20]!r}, we said {out}{err}")
            tally.races += 1
            tally.ours += published
        _no_leftovers(disk, name, tally)


def _has_links(disk: Path) -> bool:
    first, second = disk / "film.mkv", disk / "film 2.mkv"
    first.touch()
    try:
        second.hardlink_to(first)
    except OSError:
        return False
    return True


def _make(target: Path) -> bool:
    """Whether the name was free."""
    try:
        with target.open("xb") as file:
            file.write(THEIRS)
    except FileExistsError:
        return False
    return True


def _save_over(target: Path) -> bool:
    """As most editors: into a file of its own, which then gets the name, whatever had it."""
    saved = target.with_name(f"{target.name}.saved")
    saved.write_bytes(THEIRS)
    saved.replace(target)
    return True


def kills(folder: Path, name: str, count: int, tally: Tally, seed: int = 1) -> None:
    """Killed in the middle of publishing: nothing torn, and the next try publishes it.

    Every other time a file of ours is there already, which is replaced.
    """
    chance = random.Random(seed)
    disk = folder / f"kill-{name}"
    disk.mkdir()
    with mounted(disk, name):
        for number in range(count):
            target = disk / f"film {number}.en.srt"
            if number % 2:
                target.write_bytes(OLDER)
            publisher = _Publisher(folder, target)
            process = publisher.start()
            publisher.begin(process)
            time.sleep(chance.random() * 0.03)
            process.send_signal(signal.SIGKILL)
            process.communicate()
            ours = publisher.made.read_bytes()
            if target.exists() and target.read_bytes() not in (b"", OLDER, ours):
                tally.wrong.append(f"{name}: torn after a kill: {target.stat().st_size} bytes")
            again = publisher.start()
            out, err = again.communicate("\n")
            if "published" not in out or target.read_bytes() != ours:
                tally.wrong.append(f"{name}: not published after a kill: {err[-200:]}")
            tally.kills += 1
        _no_leftovers(disk, name, tally)


def _no_leftovers(disk: Path, name: str, tally: Tally) -> None:
    left = [one for one in os.listdir(disk) if one.startswith(TEMPORARY_MARK)]
    if left:
        tally.wrong.append(f"{name}: left behind: {left}")


def odd_names(night: Night, name: str, tally: Tally) -> None:
    """A disk that cannot hold a name says so for that file, and takes the others."""
    outputs = night.folder / "outputs"
    outputs.mkdir()
    night.batch.add(*ODD_NAMES)
    with mounted(outputs, name):
        first = night.batch.json("--output-dir", outputs)
        there = set(os.listdir(outputs))
        again = night.batch.json("--output-dir", outputs)
    wrong = [f"{film!a} is {again.finished[film]} again" for film in _done(first) & _done(again)]
    if first.finished.keys() != set(ODD_NAMES) or "plain.wav" not in _done(first):
        wrong.append(f"the night ended with {first.code}: {first.finished}")
    for film, status in first.finished.items():
        whole = {film.replace(".wav", f".en.{kind}") for kind in ("srt", "vtt")} <= there
        if whole != (status == "done") or first.errors.get(film, "name_taken") not in REFUSALS:
            wrong.append(f"{film!a} is {status}: {first.errors.get(film)}")
    tally.wrong += [f"{name}: {one}" for one in wrong]


def _done(outcome: Outcome) -> set[str]:
    return {film for film, status in outcome.finished.items() if status == "done"}
