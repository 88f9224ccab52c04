"""The file systems that people have their libraries on, mounted over a folder by their drivers.

The kernel's are tmpfs, ramfs, ext2, XFS, Btrfs and overlayfs, all others are FUSE drivers. ``fat``
is our own file system with what FAT lacks (see :class:`tests.faults.fuse_disk.FatLike`).
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.faults import fuse_disk

PATIENCE_SECONDS = 20.0
"""How long a driver may take to come or to go."""


@dataclass(frozen=True, slots=True)
class Driver:
    """The shell command that mounts a file system at ``{at}``, and what is done once before.

    ``{image}`` is a file of ``megabytes``, any other word in braces an empty folder of that name.
    """

    mount: str
    make: tuple[str, ...] = ()
    megabytes: int = 0


DRIVERS = {
    "tmpfs": Driver("mount --bind {disk} {at}", ("mount -t tmpfs -o size=16m tmpfs {disk}",)),
    "ramfs": Driver("mount --bind {disk} {at}", ("mount -t ramfs ramfs {disk}",)),
    "ext2": Driver("mount -o loop {image} {at}", ("mkfs.ext2 -q {image}",), 16),
    "xfs": Driver("mount -o loop {image} {at}", ("mkfs.xfs -q {image}",), 320),
    "btrfs": Driver("mount -o loop {image} {at}", ("mkfs.btrfs -q {image}",), 128),
    "overlayfs": Driver(
        "mount -t overlay -o lowerdir={lower},upperdir={upper},workdir={work} overlay {at}"
    ),
    "exfat": Driver(  # it wants a block device, which is given back when it is unmounted
        "disk=$(losetup -f --show {image}) && mount.exfat-fuse $disk {at} && losetup -d $disk",
        ("mkfs.exfat {image}",),
        16,
    ),
    "ntfs": Driver("ntfs-3g {image} {at}", ("mkfs.ntfs -F -q {image}",), 16),
    "mergerfs": Driver(
        "mergerfs -o category.create=mfs,cache.files=partial,dropcacheonclose=true,minfreespace=1M"
        " {first}:{second} {at}",
        ("mount -t tmpfs -o size=16m tmpfs {first}", "mount -t tmpfs -o size=16m tmpfs {second}"),
    ),
    "unionfs": Driver("unionfs -o cow {upper}=RW:{lower}=RO {at}"),
    "bindfs": Driver(
        "bindfs --force-user=nobody --force-group=nogroup --perms=0644,a+X --chmod-deny"
        " --chown-deny {below} {at}"
    ),
    "sshfs": Driver(
        "sshfs -o ssh_command={ssh}/serve nas:{below} {at}",
        (
            "printf '#!/bin/sh\\nexec '$(ls /usr/lib*/openssh/sftp-server) >{ssh}/serve",
            "chmod +x {ssh}/serve",
        ),
    ),
    "rclone": Driver(
        "rclone mount --daemon --vfs-cache-mode writes --config /dev/null --cache-dir {cache}"
        " {below} {at}"
    ),
    "gocryptfs": Driver(
        "gocryptfs -q -extpass 'echo x' {below} {at}",
        ("gocryptfs -q -init -scryptn 10 -extpass 'echo x' {below}",),
    ),
    "encfs": Driver("encfs --standard --extpass='echo x' {below} {at}"),
    "cryfs": Driver(
        "echo x | CRYFS_FRONTEND=noninteractive CRYFS_NO_UPDATE_CHECK=true"
        " CRYFS_LOCAL_STATE_DIR={state} cryfs {below} {at}"
    ),
}

FILE_SYSTEMS = (*DRIVERS, "fat")


class Mounted(Protocol):
    """A file system that can be taken away and be brought back with what is on it."""

    def mount(self) -> None: ...

    def unmount(self) -> None: ...


class _Disk:
    """``store`` holds what the driver works on."""

    def __init__(self, driver: Driver, at: Path, store: Path) -> None:
        self._driver = driver
        self._at = at
        self._store = store
        for command in driver.make:
            self._run(command)

    def mount(self) -> None:
        self._run(self._driver.mount)
        _wait_until(self._at.is_mount, f"{self._at} is not mounted")

    def unmount(self) -> None:
        _unmount(self._at)

    def remove(self) -> None:
        """Remove it with all that lies on it."""
        for one in self._store.iterdir():
            if one.is_mount():
                _unmount(one)

        def gone() -> bool:  # the driver may still be writing
            shutil.rmtree(self._store, ignore_errors=True)
            return not self._store.exists()

        _wait_until(gone, f"{self._store} cannot be removed")

    def _run(self, command: str) -> None:
        # No pipe: a driver that stays in the background would keep it open.
        with (self._store / "output").open("w+") as output:
            line = re.sub(r"\{(\w+)\}", self._place, command)
            ended = subprocess.run(
                line, shell=True, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
            if ended.returncode:
                output.seek(0)
                raise OSError(f"{line}: {output.read()[-200:].strip()}")

    def _place(self, named: re.Match[str]) -> str:
        if named[1] == "at":
            return str(self._at)
        path = self._store / named[1]
        if named[1] != "image":
            path.mkdir(exist_ok=True)
        elif not path.exists():
            with path.open("wb") as image:
                image.truncate(self._driver.megabytes << 20)
        return str(path)


@contextlib.contextmanager
def mounted(at: Path, name: str) -> Iterator[Mounted]:
    """A file system mounted over a folder; what is in it is on that disk meanwhile.

    Raises:
        OSError: it cannot be had here.
    """
    if name == "fat":
        with fuse_disk.mounted(at, "fat") as fat:
            yield fat
        return
    aside = at.with_name(f"{at.name}-aside")
    store = at.with_name(f"{at.name}-store")
    at.rename(aside)
    at.mkdir()
    store.mkdir()
    try:
        disk = _Disk(DRIVERS[name], at, store)
        try:
            disk.mount()
            _copy(aside, at)
            yield disk
        finally:
            disk.unmount()
            disk.remove()
    finally:
        at.rmdir()
        aside.rename(at)


def unavailable(name: str, folder: Path) -> str:
    """Why the file system cannot be had here; empty: it can. ``folder``: where it may be tried."""
    if name == "fat":
        return fuse_disk.unavailable()
    tried = folder / f"try-{name}"
    tried.mkdir()
    try:
        with mounted(tried, name):
            return ""
    except OSError as error:
        return f"no {name} here: {error}"


def _unmount(at: Path) -> None:
    def gone() -> bool:
        subprocess.run(["umount", at], stderr=subprocess.DEVNULL)
        return not at.is_mount()

    _wait_until(gone, f"{at} cannot be unmounted")


def _wait_until(holds: Callable[[], bool], otherwise: str) -> None:
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        if time.monotonic() > give_up:
            raise OSError(otherwise)
        time.sleep(0.05)


def _copy(source: Path, target: Path) -> None:
    for path in sorted(source.rglob("*")):
        copied = target / path.relative_to(source)
        if path.is_dir():
            copied.mkdir()
        else:
            shutil.copyfile(path, copied)
            stamp = path.stat().st_mtime_ns
            os.utime(copied, ns=(stamp, stamp))
