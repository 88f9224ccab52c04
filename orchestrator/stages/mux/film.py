"""What a container holds: its streams, chapters, attachments and tags, as values to compare."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

PICTURE = "picture"
"""The kind of a cover, which FFmpeg shows as a video stream of one frame."""


@dataclass(frozen=True, slots=True)
class Chapter:
    """Seconds, and the title."""

    start: float
    end: float
    title: str


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream, attachment or picture.

    Attributes:
        index: its place among the streams of the container.
        kind: ``video``, ``audio``, ``subtitle``, ``data``, ``attachment`` or ``picture``.
        codec: FFmpeg's name; empty for attachments and for data that it does not know.
        tags: its tags with their names in lower case.
        flags: FFmpeg's names of the dispositions that are set.
        hidden: the demuxer keeps it for its own use, as the titles of chapters in MP4.
        content: the whole of an attachment or picture, empty for others.
    """

    index: int
    kind: str
    codec: str
    tags: Mapping[str, str]
    flags: frozenset[str] = frozenset()
    hidden: bool = False
    content: bytes = field(default=b"", repr=False)

    @property
    def language(self) -> str:
        """As the container states it; ``und`` says no more than nothing does."""
        stated = self.tags.get("language", "")
        return "" if stated == "und" else stated

    @property
    def title(self) -> str:
        """The name that a viewer sees. FFmpeg reads it under another key from MP4."""
        return self.tags.get("title") or self.tags.get("name") or ""


@dataclass(frozen=True, slots=True)
class Film:
    """``format`` are FFmpeg's names of the container; ``start`` and ``duration`` are in seconds.

    ``tags`` have their names in lower case, which containers change.
    """

    format: str
    start: float
    duration: float | None
    streams: tuple[Stream, ...]
    chapters: tuple[Chapter, ...]
    tags: Mapping[str, str]

    def of_kind(self, *kinds: str) -> tuple[Stream, ...]:
        return tuple(stream for stream in self.streams if stream.kind in kinds)
