"""A disk that fails on command: a FUSE file system that passes everything on to a real folder.

``Disk`` mounts one and tells it what to do; the file system itself is a process of its own, so that
a hanging disk hangs nobody but those who use it. Run as a program it is that process::

    python -m tests.faults.fuse_disk REAL_FOLDER MOUNT_POINT KIND

It obeys lines on its standard input, each answered by one line:

``FAULT [AFTER [CALLS]]``  after so many more calls the fault begins, and it ends by itself after
                           ``CALLS`` of them. ``FAULT`` is the name of an error (EIO, ESTALE, ...),
                           ``empty`` (as a mount point with nothing mounted), or ``ok``, which ends
                           what there is. Nothing returns until they end with ``stuck`` (who waits
                           cannot be killed, as with sshfs) and ``hang`` (who waits can be, as with
                           NFS): then this process has stopped itself, and takes no commands
``calls``                  how many calls there were so far
``began``                  whether the fault has begun

``KIND`` is ``share`` (hard links, as NFS has them), ``local`` (a share that can be mapped into
memory as well, as a database needs it), or ``fat`` (see :class:`FatLike`).
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[2]
MOUNT_SECONDS = 20.0
_FORBIDDEN = frozenset('"*:<>?|\\') | {chr(code) for code in range(32)}


def unavailable() -> str:
    """Why no such disk can be mounted here; empty: it can."""
    if not os.path.exists("/dev/fuse"):
        return "there is no /dev/fuse"
    if shutil.which("fusermount3") is None and shutil.which("fusermount") is None:
        return "fusermount is not installed"
    if os.geteuid() != 0:
        return "only root may mount here"
    try:
        import mfusepy  # noqa: F401
    except (ImportError, OSError) as error:
        return f"mfusepy cannot be used: {error}"
    return ""


class Faults:
    """Decides about each call: let it pass, fail it, or keep it waiting."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._fault = "ok"
        self._after = 0
        self._left: int | None = None
        self._calls = 0

    def obey(self, line: str) -> str:
        """Carry out one command and answer it."""
        word, *numbers = line.split()
        with self._condition:
            if word == "calls":
                return str(self._calls)
            if word == "began":
                return str(self._began)
            self._fault = word
            self._after = int(numbers[0]) if numbers else 0
            self._left = int(numbers[1]) if len(numbers) > 1 else None
            self._condition.notify_all()
        return "done"

    @property
    def _began(self) -> bool:
        return self._fault != "ok" and self._after <= 0

    def meet(self, path: str) -> None:
        """Called before each operation. Raises: OSError, where that is its fate."""
        with self._condition:
            self._calls += 1
            self._after -= 1
            if self._fault == "ok" or self._after >= 0:
                return
            if self._left is not None:
                self._left -= 1
                if self._left < 0:
                    self._fault = "ok"
                    self._condition.notify_all()
                    return
            if self._fault == "hang":
                # What has not been taken from the kernel can be killed; this one is answered first.
                self._fault = "ok"
                threading.Timer(0.002, os.kill, (os.getpid(), signal.SIGSTOP)).start()
            while self._fault == "stuck":
                self._condition.wait()
            if self._fault == "ok":
                return
            if self._fault == "empty":
                if path == "/":
                    return
                raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
            number = getattr(errno, self._fault)
            raise OSError(number, os.strerror(number))

    @property
    def is_empty(self) -> bool:
        with self._condition:
            return self._began and self._fault == "empty"


class PassThrough:
    """The operations, as mfusepy calls them. Every one of them asks ``faults`` first."""

    use_ns = True

    def __init__(self, real: Path, faults: Faults) -> None:
        self._real = str(real)
        self._faults = faults

    def at(self, path: str) -> str:
        """Where it really is. Raises: OSError."""
        self._faults.meet(path)
        return self._real + path

    def new(self, path: str) -> str:
        """Where a new entry is to go. Raises: OSError."""
        return self.at(path)

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        status = os.lstat(self.at(path))
        names = ("st_mode", "st_nlink", "st_size", "st_uid", "st_gid", "st_ino")
        times = {f"st_{one}time": getattr(status, f"st_{one}time_ns") for one in "amc"}
        return {name: getattr(status, name) for name in names} | times

    def readdir(self, path: str, fh: int) -> list[tuple[str, dict[str, int], int]]:
        with os.scandir(self.at(path)) as entries:
            found = [(entry.name, _kind_of(entry), 0) for entry in entries]
        itself = {"st_mode": stat.S_IFDIR, "st_ino": 1}  # an entry without a number is not shown
        return [(".", itself, 0), ("..", itself, 0), *([] if self._faults.is_empty else found)]

    def readlink(self, path: str) -> str:
        return os.readlink(self.at(path))

    def statfs(self, path: str) -> dict[str, int]:
        status = os.statvfs(self.at(path))
        return {
            name: getattr(status, name)
            for name in dir(status)
            if name.startswith("f_") and name not in ("f_fsid", "f_flag")
        }

    def open(self, path: str, flags: int) -> int:
        return os.open(self.at(path), flags)

    def create(self, path: str, mode: int, fi: Any = None) -> int:
        return os.open(self.new(path), os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        self.at(path)
        return os.pread(fh, size, offset)

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        self.at(path)
        return os.pwrite(fh, data, offset)

    def truncate(self, path: str, length: int, fh: int | None = None) -> None:
        os.truncate(self.at(path), length)

    def fsync(self, path: str, datasync: int, fh: int) -> None:
        self.at(path)
        os.fsync(fh)

    def flush(self, path: str, fh: int) -> None:
        self.at(path)

    def release(self, path: str, fh: int) -> None:
        os.close(fh)

    def unlink(self, path: str) -> None:
        os.unlink(self.at(path))

    def rmdir(self, path: str) -> None:
        os.rmdir(self.at(path))

    def mkdir(self, path: str, mode: int) -> None:
        os.mkdir(self.new(path), mode)

    def rename(self, old: str, new: str) -> None:
        os.rename(self.at(old), self.new(new))

    def link(self, target: str, source: str) -> None:
        os.link(self.at(source), self.new(target))

    def symlink(self, target: str, source: str) -> None:
        os.symlink(source, self.new(target))

    def utimens(self, path: str, times: tuple[int, int] | None = None) -> None:
        now = time.time_ns()
        os.utime(self.at(path), ns=times or (now, now), follow_symlinks=False)

    def chmod(self, path: str, mode: int) -> None:
        os.chmod(self.at(path), mode)

    def chown(self, path: str, uid: int, gid: int) -> None:
        self.at(path)


class FatLike(PassThrough):
    """As FAT and many a small network box: no links, names alike but for their case are one name,
    some names are refused, times are kept to two seconds, and a folder has another inode number at
    each look, as where the driver numbers what the kernel asks for."""

    _numbers = itertools.count(1000)

    def at(self, path: str) -> str:
        self._faults.meet(path)
        found = self._real
        for name in path.split("/")[1:]:
            found = f"{found}/{self._stored(found, name)}"
        return found.rstrip("/")

    def new(self, path: str) -> str:
        name = path.rpartition("/")[2]
        if name[-1] in ". " or not _FORBIDDEN.isdisjoint(name):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return self.at(path)

    @staticmethod
    def _stored(folder: str, name: str) -> str:
        if name and not os.path.lexists(f"{folder}/{name}"):
            with contextlib.suppress(OSError):
                for one in os.listdir(folder):
                    if one.casefold() == name.casefold():
                        return one
        return name

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        found = super().getattr(path, fh)
        if path != "/" and stat.S_ISDIR(found["st_mode"]):
            found["st_ino"] = next(self._numbers)
        return {name: _even(value) if "time" in name else value for name, value in found.items()}

    def utimens(self, path: str, times: tuple[int, int] | None = None) -> None:
        accessed, modified = times or (time.time_ns(), time.time_ns())
        os.utime(self.at(path), ns=(_even(accessed), _even(modified)))

    def link(self, target: str, source: str) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    def symlink(self, target: str, source: str) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    def chmod(self, path: str, mode: int) -> None:
        self.at(path)


def _kind_of(entry: os.DirEntry[str]) -> dict[str, int]:
    kind = stat.S_IFDIR if entry.is_dir(follow_symlinks=False) else stat.S_IFREG
    return {"st_mode": stat.S_IFLNK if entry.is_symlink() else kind, "st_ino": entry.inode()}


def _even(nanoseconds: int) -> int:
    return nanoseconds // 2_000_000_000 * 2_000_000_000


class Disk:
    """A folder with such a file system over it; ``real`` holds what is on the disk."""

    def __init__(self, where: Path, real: Path, kind: str = "share") -> None:
        self.where = where
        self.real = real
        self._kind = kind
        self._process: subprocess.Popen[str] | None = None

    def mount(self) -> None:
        """Mount it, also again after :meth:`unmount`."""
        before = self.where.stat().st_dev
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(self.real), str(self.where), self._kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        give_up = time.monotonic() + MOUNT_SECONDS
        while self.where.stat().st_dev == before:
            if self._process.poll() is not None or time.monotonic() > give_up:
                raise RuntimeError(f"{self.where} could not be mounted")
            time.sleep(0.01)

    @property
    def is_mounted(self) -> bool:
        return self._process is not None

    def tell(self, command: str) -> str:
        """Give a command (see the module) and return the answer."""
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()

    @property
    def hangs(self) -> bool:
        """Whether ``hang`` has begun."""
        assert self._process is not None
        return psutil.Process(self._process.pid).status() == psutil.STATUS_STOPPED

    def go_on(self) -> None:
        """End ``hang``."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def unmount(self) -> None:
        """As when a cable is pulled and the system gives up: the empty mount point is left."""
        process, self._process = self._process, None
        if process is None:
            return
        subprocess.run(["umount", "-l", str(self.where)], check=False, capture_output=True)
        process.kill()  # whatever still waits for it gets ENOTCONN
        process.wait()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):
                pipe.close()


@contextlib.contextmanager
def mounted(where: Path, kind: str = "share", real: Path | None = None) -> Iterator[Disk]:
    """Turn a folder into such a disk: what is in it lies on the disk now, which is ``real``."""
    real = real or where.with_name(f"{where.name}-on-disk")
    where.rename(real)
    where.mkdir()
    disk = Disk(where, real, kind)
    disk.mount()
    try:
        yield disk
    finally:
        disk.unmount()
        shutil.rmtree(where)
        real.rename(where)


def _serve(real: Path, where: str, kind: str) -> None:
    import mfusepy

    faults = Faults()
    operations = (FatLike if kind == "fat" else PassThrough)(real, faults)

    def listen() -> None:
        for line in sys.stdin:
            print(faults.obey(line), flush=True)

    threading.Thread(target=listen, daemon=True).start()
    uncached = {"attr_timeout": 0, "entry_timeout": 0, "negative_timeout": 0}
    if kind != "local":
        uncached["direct_io"] = True
    mfusepy.FUSE(operations, where, foreground=True, allow_other=True, use_ino=True, **uncached)


if __name__ == "__main__":
    _serve(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
