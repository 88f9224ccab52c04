"""Opens films and describes them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import av
from av.stream import Discard

from orchestrator.contract.mediafile import MediaFile, not_media
from orchestrator.stagekit.opening import open_media

from .film import PICTURE, Chapter, Film, Stream


def open_film(path: Path, file: MediaFile) -> Any:
    """The container in an opened file. Raises: Failure ``not_media``, or a storage error."""
    try:
        return open_media(file, far=True)
    except (av.FFmpegError, ValueError) as error:
        file.check()
        raise not_media(path) from error


def describe(container: Any) -> Film:
    """Describe a container that was just opened. What is read of it afterwards is not all of it."""
    return Film(
        format=container.format.name,
        start=(container.start_time or 0) / av.time_base,
        duration=container.duration / av.time_base if container.duration else None,
        streams=tuple(_stream(container, stream) for stream in container.streams),
        chapters=tuple(_chapter(chapter) for chapter in container.chapters()),
        tags=_lower(container.metadata),
    )


def _stream(container: Any, stream: Any) -> Stream:
    flags = frozenset(flag.name for flag in stream.disposition)
    kind = stream.type
    content = b""
    if "attached_pic" in flags:
        kind, content = PICTURE, _picture(container, stream)
    elif kind == "attachment":
        content = stream.data or b""
    codec = stream.codec_context
    return Stream(
        index=stream.index,
        kind=kind,
        codec=codec.codec.canonical_name if codec is not None else "",
        tags=_lower(stream.metadata),
        flags=flags,
        hidden=kind == "data" and stream.discard == Discard.all,
        content=content,
    )


def _picture(container: Any, stream: Any) -> bytes:
    """A cover is one packet, which the demuxer has ready once."""
    return next((bytes(packet) for packet in container.demux(stream)), b"")


def _chapter(chapter: Mapping[str, Any]) -> Chapter:
    base = float(chapter["time_base"])
    title = chapter["metadata"].get("title", "")
    return Chapter(chapter["start"] * base, chapter["end"] * base, title)


def _lower(tags: Mapping[str, str]) -> dict[str, str]:
    return {name.casefold(): value for name, value in tags.items()}
