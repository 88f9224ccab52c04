"""Opening a film or recording so that the tracks in it are found."""

from __future__ import annotations

from typing import Any

import av

from orchestrator.contract.mediafile import (
    FAR,
    OPEN_OPTIONS,
    PROGRAM_STREAM,
    MediaFile,
    refuse_other_files,
)


def open_media(file: MediaFile, limits: dict[str, str] | None = None, *, far: bool = False) -> Any:
    """The container in ``file``, with further options of its demuxer as ``limits``.

    Of a program stream in which no sound was found, more is looked at; with ``far`` of each.

    Raises:
        av.FFmpegError, OSError, ValueError, OverflowError: there is no media in it, or the disk
            has failed (``file.check`` tells).
    """
    container = _open(file, limits or {})
    if container.format.name != PROGRAM_STREAM or (container.streams.audio and not far):
        return container
    container.close()
    file.seek(0)
    return _open(file, {**(limits or {}), **FAR})


def _open(file: MediaFile, limits: dict[str, str]) -> Any:
    options = {**OPEN_OPTIONS["container_options"], **limits}
    return av.open(
        file,
        "r",
        io_open=refuse_other_files,
        **{**OPEN_OPTIONS, "container_options": options},
    )
