"""Publishing on file systems that are not ext4: real ones on image files where that can be had.

exFAT and NTFS are the real drivers, on images; FAT is our own file system with what FAT lacks (see
:class:`tests.faults.fuse_disk.FatLike`); tmpfs is the kernel's. On each, a whole night, names that
the disk cannot hold, kills in the middle of publishing, and a race for a name against another
program. A second night must find everything done: times that the disk keeps only to two seconds
must not make it do all of it again.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults import fuse_disk
from tests.faults.night import Night

IMAGE_BYTES = 16 << 20
THEIRS = b"written by a person"

Mount = Callable[[Path], AbstractContextManager[object]]


@dataclass
class Tally:
    """``races`` for one name; ``ours`` of them we won, the others a person's file stayed."""

    races: int = 0
    ours: int = 0
    kills: int = 0
    wrong: list[str] = field(default_factory=list)


@contextlib.contextmanager
def _over(folder: Path, mount: list[str]) -> Iterator[None]:
    """Something mounted over a folder, whose content is copied into it."""
    aside = folder.with_name(f"{folder.name}-aside")
    folder.rename(aside)
    folder.mkdir()
    subprocess.run([*mount, str(folder)], check=True, capture_output=True)
    try:
        _copy(aside, folder)
        yield
    finally:
        for _ in range(100):  # the driver may still be writing
            if subprocess.run(["umount", str(folder)], capture_output=True).returncode == 0:
                break
            time.sleep(0.1)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(aside)


def _copy(source: Path, target: Path) -> None:
    for path in source.rglob("*"):
        if path.is_file():
            shutil.copyfile(path, target / path.name)
            stamp = path.stat().st_mtime_ns
            os.utime(target / path.name, ns=(stamp, stamp))


@contextlib.contextmanager
def _image(folder: Path, make: list[str]) -> Iterator[Path]:
    path = folder.with_name(f"{folder.name}.img")
    with path.open("wb") as image:
        image.truncate(IMAGE_BYTES)
    subprocess.run([*make, str(path)], check=True, capture_output=True)
    try:
        yield path
    finally:
        path.unlink()


@contextlib.contextmanager
def ntfs(folder: Path) -> Iterator[None]:
    """ntfs-3g reads an image as it is."""
    with _image(folder, ["mkfs.ntfs", "-F", "-q"]) as image, _over(folder, ["ntfs-3g", str(image)]):
        yield


@contextlib.contextmanager
def exfat(folder: Path) -> Iterator[None]:
    """exfat-fuse wants a block device."""
    with _image(folder, ["mkfs.exfat"]) as image:
        found = subprocess.run(
            ["losetup", "-f", "--show", str(image)], check=True, capture_output=True, text=True
        )
        device = found.stdout.strip()
        try:
            with _over(folder, ["mount.exfat-fuse", device]):
                yield
        finally:
            subprocess.run(["losetup", "-d", device], check=False)


@contextlib.contextmanager
def tmpfs(folder: Path) -> Iterator[None]:
    with _over(folder, ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs"]):
        yield


@contextlib.contextmanager
def fat(folder: Path) -> Iterator[None]:
    with fuse_disk.mounted(folder, "fat"):
        yield


FILE_SYSTEMS: dict[str, Mount] = {"tmpfs": tmpfs, "exfat": exfat, "ntfs": ntfs, "fat": fat}


def unavailable(name: str, folder: Path) -> str:
    """Why the file system cannot be had here; empty: it can."""
    if name == "fat":
        return fuse_disk.unavailable()
    tried = folder / f"try-{name}"
    tried.mkdir()
    try:
        with FILE_SYSTEMS[name](tried):
            return ""
    except (OSError, subprocess.CalledProcessError) as error:
        return f"{name} cannot be mounted here: {error}"


def nights(night: Night, name: str, tally: Tally) -> None:
    """A whole night, another one that finds nothing to do, and one that makes one file again."""
    library = night.batch.library
    with FILE_SYSTEMS[name](library):
        night.note_sources()
        outcome = night.undisturbed()
        wrong = night.wrong_after_the_fault(outcome.out)
        wrong += [f"empty: {one}" for one, content in night.expected.items() if not content]
        if len(night.expected) != 2 * len(night.files):
            wrong.append(f"not everything was published: {sorted(night.expected)}")
        again = night.again()
        if again.code != 0 or again.finished:
            wrong.append(f"done again: {again.finished}")
        edited, lost = f"{night.files[0]}".replace(".wav", ".en.srt"), library / "1.en.vtt"
        (library / edited).write_bytes(THEIRS)
        lost.unlink()
        outcome = night.again()
        if (library / edited).read_bytes() != THEIRS:
            wrong.append("a file that a person edited was replaced")
        if outcome.code != 0 or lost.read_bytes() != night.expected["1.en.vtt"]:
            wrong.append(f"what was lost was not made again: {outcome.code} {outcome.errors}")
    tally.wrong += [f"{name}: {one}" for one in wrong]


PUBLISHER = textwrap.dedent("""
    import hashlib, json, sys
    from pathlib import Path
    from orchestrator.contract.errors import Failure
    from orchestrator.job.manifest import Intent
    from orchestrator.job.publish import Delivery, confirm, intent_of, publish, remove_leftovers
    made, target, notes = map(Path, sys.argv[1:4])
    data = made.read_bytes()
    def note(intent):
        with notes.open("a") as file:
            file.write(json.dumps([intent.target, intent.sha256, intent.temporary]) + "\\n")
    if notes.exists():
        remove_leftovers(tuple(Intent(*json.loads(one)) for one in notes.open()))
    delivery = Delivery(made, target, len(data), hashlib.sha256(data).hexdigest())
    intent = intent_of(delivery)
    if intent is not None:
        note(intent)
        sys.stdin.readline()
        try:
            publish(delivery, intent, (), note)
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
            [sys.executable, "-c", PUBLISHER, *map(str, (self.made, self.target, self.notes))],
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
    """Another program makes a file of that name while we publish: whoever is first keeps it."""
    chance = random.Random(seed)
    disk = folder / f"race-{name}"
    disk.mkdir()
    with FILE_SYSTEMS[name](disk):
        for number in range(count):
            target = disk / f"film {number}.en.srt"
            publisher = _Publisher(folder, target)
            process = publisher.start()
            publisher.begin(process)
            time.sleep(chance.random() * 0.03)
            try:
                with target.open("xb") as file:
                    file.write(THEIRS)
                theirs = True
            except FileExistsError:
                theirs = False
            out, _ = process.communicate()
            published = "published" in out
            content, ours = target.read_bytes(), publisher.made.read_bytes()
            if content != (THEIRS if theirs else ours) or theirs == published:
                tally.wrong.append(f"{name}: race {number}: {content[:20]!r}, we said {out!r}")
            tally.races += 1
            tally.ours += published
        _no_leftovers(disk, name, tally)


def kills(folder: Path, name: str, count: int, tally: Tally, seed: int = 1) -> None:
    """Killed in the middle of publishing: nothing torn, and the next try publishes it."""
    chance = random.Random(seed)
    disk = folder / f"kill-{name}"
    disk.mkdir()
    with FILE_SYSTEMS[name](disk):
        for number in range(count):
            target = disk / f"film {number}.en.srt"
            publisher = _Publisher(folder, target)
            process = publisher.start()
            publisher.begin(process)
            time.sleep(chance.random() * 0.03)
            process.send_signal(signal.SIGKILL)
            process.communicate()
            ours = publisher.made.read_bytes()
            if target.exists() and target.read_bytes() not in (b"", ours):
                tally.wrong.append(f"{name}: torn after a kill: {target.stat().st_size} bytes")
            again = publisher.start()
            out, err = again.communicate("\n")
            if "published" not in out or target.read_bytes() != ours:
                tally.wrong.append(f"{name}: not published after a kill: {err[-200:]}")
            tally.kills += 1
        _no_leftovers(disk, name, tally)


def _no_leftovers(disk: Path, name: str, tally: Tally) -> None:
    left = [one for one in os.listdir(disk) if not one.startswith("film ")]
    if left:
        tally.wrong.append(f"{name}: left behind: {left}")


def odd_names(night: Night, tally: Tally) -> None:
    """A disk that cannot hold a name says so for that file, and takes the others."""
    outputs = night.folder / "outputs"
    outputs.mkdir()
    night.batch.add("a: b.wav", "what?.wav", "plain.wav")
    with fat(outputs):
        outcome = night.batch.json("--output-dir", outputs)
        there = sorted(os.listdir(outputs))
        again = night.batch.json("--output-dir", outputs)
    if outcome.code != 5 or outcome.finished.get("plain.wav") != "done":
        tally.wrong.append(f"fat: it ended with {outcome.code}: {outcome.finished}")
    if there != ["plain.en.srt", "plain.en.vtt"]:
        tally.wrong.append(f"fat: published: {there}")
    refused = {outcome.errors.get(one) for one in ("a: b.wav", "what?.wav")}
    if refused != {"name_not_allowed"} or "plain.wav" in again.finished:
        tally.wrong.append(f"fat: refused: {outcome.errors}, then {again.finished}")
