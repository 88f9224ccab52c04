"""Opening a media file that nobody vouches for: only that file, only as media, only for reading."""

from __future__ import annotations

import errno
import io
import os
import stat
from pathlib import Path
from typing import Any, NoReturn

from orchestrator.contract.errors import Failure, describe_os_error, fail

FORMATS = (
    "aa,aac,ac3,ac4,aiff,amr,ape,asf,au,avi,caf,dsf,dts,dtshd,dv,eac3,ea,flac,flv,gxf,iff,ivf,kux,"
    "loas,matroska,mlp,mov,mp3,mpc,mpc8,mpeg,mpegts,mpegvideo,mtv,mxf,nsv,nut,ogg,oma,qcp,rm,rl2,"
    "smk,sox,swf,tak,truehd,tta,voc,w64,wav,webm,wtv,wv,xwma,yop"
)
"""FFmpeg demuxers that hold audio in the file itself.

Left out are playlists and scripts (concat, hls, dash, imf), which name other files to read; picture
formats, which would turn a cover into a film; and raw formats, which accept anything at all.
"""

LONGEST_SECONDS = ((1 << 32) - 4096) / 32_000
"""37 hours, the longest audio that the files between the stages can hold. A header that claims
more is not believed."""

OPEN_OPTIONS: dict[str, Any] = {
    "container_options": {"format_whitelist": FORMATS, "protocol_whitelist": "file"},
    "metadata_errors": "replace",
    "buffer_size": 1 << 16,
}
"""Arguments of ``av.open`` for every file of a library."""

PROGRAM_STREAM = "mpeg"
"""FFmpeg's name of MPEG program streams (VOB, MPG). Nothing in these lists the tracks: one is known
once something of it was read, and FFmpeg reads 5 MB of a file for that."""

FAR = {"probesize": str(64 << 20), "analyzeduration": "600000000"}
"""Options of FFmpeg for a longer look, in bytes and microseconds: 64 MiB are 53 s of a DVD at its
highest rate (10.08 Mbit/s), and minutes of most."""

_NO_SUCH_PLACE = frozenset({errno.EINVAL, errno.EOVERFLOW, errno.EFBIG})
"""What seeking or reading behind the largest file a file system can hold fails with: ext4 refuses
the seek, tmpfs and XFS the read. The disk has no part in it."""


def refuse_other_files(url: str, flags: int, options: dict[str, str]) -> NoReturn:
    """``io_open`` for ``av.open``: whatever a file asks to have opened stays closed."""
    raise PermissionError(f"a media file may not open another: {url[:200]!r}")


class MediaFile(io.FileIO):
    """A regular file opened for reading, which remembers a failed read.

    FFmpeg takes a read error in the middle of a file for its end, so whoever decodes asks
    :meth:`check` when there is no more. Reading through a file object also serves names that are
    not valid text, and lets no name be taken for a protocol or an option.
    """

    def __init__(self, path: Path) -> None:
        """Raises: Failure (``not_a_file``, ``empty_file`` or a storage error)."""
        self._path = path
        self._failure: OSError | None = None
        # Asked before it is opened, since opening a device can set something going.
        try:
            unusable = _unusable(path, os.stat(path))
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise _not_a_file(path) from error
            raise Failure(describe_os_error(error, f"{path}: cannot be opened")) from error
        if unusable is not None:
            raise unusable
        # Without O_NONBLOCK a named pipe that came in between would block here for ever.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        try:
            descriptor = os.open(path, flags)
        except OSError as error:
            raise Failure(describe_os_error(error, f"{path}: cannot be opened")) from error
        self._opened = os.fstat(descriptor)
        unusable = _unusable(path, self._opened)
        if unusable is not None:
            os.close(descriptor)
            raise unusable
        super().__init__(descriptor)
        # FFmpeg weighs the extension when the content alone does not decide.
        self.name = "media" + path.suffix if path.suffix.isascii() else "media"

    def read(self, size: int | None = -1, /) -> bytes:
        """As a file's; at a place that no file has there is nothing."""
        try:
            return super().read(size) or b""
        except OSError as error:
            if error.errno in _NO_SUCH_PLACE and self.tell() >= self._opened.st_size:
                return b""
            self._failure = error
            raise

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """As a file's; -1 for a place that no file has, which damaged content sends FFmpeg to."""
        try:
            return super().seek(offset, whence)
        except (OverflowError, ValueError):
            return -1
        except OSError as error:
            if error.errno not in _NO_SUCH_PLACE:
                self._failure = error
                raise
            return -1

    def check(self) -> None:
        """Raises: Failure when a read has failed, or the file has changed since it was opened."""
        if self._failure is not None:
            info = describe_os_error(self._failure, f"{self._path}: cannot be read")
            raise Failure(info) from self._failure
        try:
            now = os.stat(self._path)
        except OSError as error:
            info = describe_os_error(error, f"{self._path}: is gone while it was being read")
            raise Failure(info) from error
        if _identity(now) != _identity(self._opened):
            raise fail(
                "source_changed",
                f"{self._path} was changed while it was being read.",
                "Wait until the file is no longer written to, then run again.",
                retryable=True,
            )


def _unusable(path: Path, status: os.stat_result) -> Failure | None:
    if not stat.S_ISREG(status.st_mode):
        return _not_a_file(path)
    if status.st_size == 0:
        return fail(
            "empty_file",
            f"{path} is empty (0 bytes).",
            "Copy or download the file again.",
        )
    return None


def _not_a_file(path: Path) -> Failure:
    return fail(
        "not_a_file",
        f"{path} is not a regular file.",
        "Only regular files are read: remove it, or exclude it in the settings.",
    )


def _identity(status: os.stat_result) -> tuple[int, int, int, int]:
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def not_media(path: Path) -> Failure:
    """The failure for a file that no demuxer takes."""
    return fail(
        "not_media",
        f"{path} holds no audio or video that can be read, whatever its name says.",
        "Check that it plays; if it does not, copy or download it again, or exclude it.",
    )


def no_audio_track(path: Path) -> Failure:
    """The failure for media without an audio track."""
    return fail(
        "no_audio_track",
        f"{path} has no audio track.",
        "There is nothing to make subtitles from: exclude the file in the settings.",
    )
