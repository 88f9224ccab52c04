"""Checks of folders and disks: space, kind of file system, write permission, the media."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import psutil

from orchestrator.contract.atomic import temporary_name
from orchestrator.contract.errors import Failure, describe_os_error
from orchestrator.preflight.check import Check, failed
from orchestrator.preflight.context import Context
from orchestrator.provision import environments
from orchestrator.provision.fetch import free_bytes

ENVIRONMENT_BYTES = 450_000_000
"""An environment without torch: the largest of ours, asr, takes 410 MB."""

TORCH_BYTES = 6_000_000_000
"""An environment with torch and its CUDA libraries: 5.4 GB unpacked, and what goes with it."""

WORKING_BYTES = 500_000_000
"""Two files in progress: the sound of a two-hour film takes 230 MB."""

NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "afpfs", "webdav", "ncpfs", "9p"}
    | {"afs", "ceph", "glusterfs", "lustre", "beegfs", "fuse.sshfs", "fuse.rclone", "davfs"}
    | {"fuse.glusterfs", "fuse.davfs", "fuse.s3fs", "remote"}
)


_WORDS = b"written by verify_install.py"


def check_disk_space(context: Context) -> Check:
    """The work folder's disk has room for what is still to be built and fetched, and to work in."""
    name = "disk space"
    needed = WORKING_BYTES + _missing_bytes(context)
    try:
        free = free_bytes(existing(context.work_dir))
    except OSError as error:
        return failed(name, describe_os_error(error, f"looking at {context.work_dir}"))
    detail = f"{free / 1e9:.1f} GB free in {context.work_dir}, about {needed / 1e9:.1f} GB needed"
    if free >= needed:
        return Check(name, True, detail)
    fix = "Free some space there, or choose a work_dir on another disk."
    return Check(name, None if free >= WORKING_BYTES else False, detail, fix)


def _missing_bytes(context: Context) -> int:
    needed = 0
    for spec in context.environments:
        if environments.find_ready(spec, context.work_dir, context.options) is None:
            needed += TORCH_BYTES if spec.torch else ENVIRONMENT_BYTES
    for wish in context.models:
        model = context.store.specs.get(wish.name)
        if model is not None and context.find_model(wish) is None:
            needed += 2 * model.size
    return needed


def check_file_system(context: Context) -> Check:
    """The work folder is on a local disk: a database on a network share can be damaged there."""
    name = "file system"
    kind = file_system(existing(context.work_dir))
    if kind is None:
        return Check(name, True, f"of {context.work_dir} is not known", essential=False)
    if kind.lower() in NETWORK_FILE_SYSTEMS:
        return Check(
            name,
            None,
            f"{context.work_dir} is on a network file system ({kind}): the state may be damaged",
            "Set work_dir to a folder on a disk of this machine. The media may stay where it is.",
        )
    return Check(name, True, f"{kind}, a local disk", essential=False)


def file_system(folder: Path) -> str | None:
    """The kind of file system that holds ``folder``, as the system names it; None if not known."""
    resolved = folder.resolve()
    best: tuple[int, str] | None = None
    for partition in psutil.disk_partitions(all=True):
        mount = Path(partition.mountpoint)
        if resolved.is_relative_to(mount) and (best is None or len(mount.parts) >= best[0]):
            remote = sys.platform == "win32" and "remote" in partition.opts.split(",")
            best = (len(mount.parts), "remote" if remote else partition.fstype)
    return best[1] if best else None


def check_work_dir(context: Context) -> Check:
    """The work folder can be made and written to."""
    try:
        context.work_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return failed("work folder", describe_os_error(error, f"making {context.work_dir}"))
    return _writable("work folder", context.work_dir, "Choose another work_dir.")


def check_output(context: Context) -> Check:
    """Subtitles can be written: into the output folder, or beside the media."""
    fix = "Choose a folder you may write to with --output-dir."
    if context.output_dir is not None:
        return _writable("output folder", existing(context.output_dir), fix)
    if context.input_dir is None or not context.input_dir.exists():
        return Check("output folder", True, "beside the media", essential=False)
    folder = context.input_dir if context.input_dir.is_dir() else context.input_dir.parent
    return _writable("output folder", folder, fix)


def _writable(name: str, folder: Path, fix: str) -> Check:
    """Really write a small file: permission bits say little as root or on a network share."""
    try:
        if not _write_without_name(folder):
            _write_and_remove(folder / temporary_name("probe.txt"))
    except OSError as error:
        info = describe_os_error(error, f"writing into {folder}")
        return Check(name, False, info.message, f"{fix} {info.hint}")
    return Check(name, True, f"{folder} can be written to")


def _write_without_name(folder: Path) -> bool:
    """False where that cannot be done. A file without a name is gone however we end."""
    try:
        descriptor = os.open(folder, os.O_WRONLY | os.O_TMPFILE, 0o600)
    except (AttributeError, OSError):  # not this system, or not this file system
        return False
    try:
        os.write(descriptor, _WORDS)
    finally:
        os.close(descriptor)
    return True


def _write_and_remove(path: Path) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        os.write(descriptor, _WORDS)
    finally:
        os.close(descriptor)
        path.unlink()


def check_input(context: Context) -> Check:
    """The input folder is there and holds media."""
    name = "input folder"
    folder = context.input_dir
    if folder is None:
        fix = "Name your library with --input-dir or input_dir."
        return Check(name, None, "none is set", fix, essential=False)
    try:
        count = context.count_media(folder)
    except Failure as failure:
        return failed(name, failure.info)
    if count:
        return Check(name, True, f"{count} media file{'s' * (count != 1)} in {folder}")
    fix = "Check the path, extensions, include and exclude in the settings."
    return Check(name, False, f"no media files in {folder}", fix)


def existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    for place in (folder, *folder.absolute().parents):
        if place.exists():
            return place
    return folder
