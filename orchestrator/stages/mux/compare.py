"""Whether what was found in a film is what its source has and what was added. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest

from orchestrator.contract.languages import normalise

from .arrange import MKV, MP4, Track, converted, kept
from .film import Film, Stream
from .packets import Tally

TIME_TOLERANCE = 0.1
"""Seconds that a time may differ: containers count in units of up to 1/90 s, and move the whole
film by some milliseconds where it begins before zero."""
_DURATION_TOLERANCE = 1.0

_KINDS = ("video", "audio", "subtitle", "attachment", "picture")

_MUXER = """
encoder duration handler_name vendor_id creation_time name title language timecode
major_brand minor_version compatible_brands
"""
_MUXER_TAGS = frozenset(_MUXER.split())
"""What a muxer says about its own work, and what is compared by itself."""

_SHARED_FLAGS = frozenset({"default", "forced", "comment", "hearing_impaired", "original"})
"""The dispositions that MP4 and Matroska both have."""


class NotFaithful(Exception):
    """The film is not what it should be; the text says where."""


Pair = tuple[Stream, Stream]


def pair_up(film: Film, result: Film, container: str, added: int) -> list[Pair]:
    """Each kept stream with that of the result, by kind and order. Raises: NotFaithful."""
    pairs = []
    for kind in _KINDS:
        wanted = [one for one in kept(film, container) if one.kind == kind]
        found = list(result.of_kind(kind))
        if kind == "subtitle":
            found = found[: len(found) - added]
        if kind in ("attachment", "picture"):
            # They may come in another order.
            wanted.sort(key=lambda one: one.content)
            found.sort(key=lambda one: one.content)
        for one, other in zip_longest(wanted, found):
            if one is None or other is None:
                raise NotFaithful(f"{len(wanted)} {kind} streams became {len(found)}")
            pairs.append((one, other))
    return pairs


def check_description(film: Film, result: Film, container: str, pairs: Sequence[Pair]) -> None:
    """Streams, chapters and tags, without a look at packets. Raises: NotFaithful."""
    same_form = (container == MP4) == ("mp4" in film.format.split(","))
    for one, other in pairs:
        _check_stream(one, other, container, same_form)
    if len(film.chapters) != len(result.chapters):
        raise NotFaithful(f"{len(film.chapters)} chapters became {len(result.chapters)}")
    for chapter, now in zip(film.chapters, result.chapters, strict=True):
        moved = abs(chapter.start - film.start - now.start) > TIME_TOLERANCE
        if moved or chapter.title != now.title:
            raise NotFaithful(f"the chapter {chapter.title!r} became {now}")
    stated = _said(film.tags, "title")
    lost = sorted(stated.items() - _said(result.tags, "title").items())
    if lost:
        raise NotFaithful(f"tags of the film were lost: {lost}")


def _check_stream(one: Stream, other: Stream, container: str, same_form: bool) -> None:
    def wrong(what: str, before: object, after: object) -> NotFaithful:
        return NotFaithful(f"{one.kind} stream {one.index}: {what} {before!r} became {after!r}")

    codec = converted(one, container) or one.codec
    if codec != other.codec:
        raise wrong("codec", codec, other.codec)
    if one.content != other.content:
        raise wrong("content", f"of {len(one.content)} bytes", f"of {len(other.content)}")
    if one.kind in ("video", "audio", "subtitle"):
        if normalise(one.language) != normalise(other.language):
            raise wrong("language", one.language, other.language)
        if one.title != other.title:
            raise wrong("title", one.title, other.title)
        flags, now = one.flags, other.flags
        if not same_form:
            flags, now = flags & _SHARED_FLAGS, now & _SHARED_FLAGS
        # An MP4 without a default track of a kind cannot be written: the first one becomes it.
        if flags != now and not (container == MP4 and now - flags == {"default"}):
            raise wrong("flags", sorted(flags), sorted(now))
    lost = _said(one.tags).items() - _said(other.tags).items()
    if lost and (same_form or container == MKV):
        raise wrong("tags", sorted(lost), None)


def _said(tags: Mapping[str, str], *also: str) -> dict[str, str]:
    """The tags that are the film's own, not a muxer's."""
    return {
        name: value
        for name, value in tags.items()
        if name in also or (name not in _MUXER_TAGS and not name.startswith("_statistics"))
    }


def check_packets(
    film: Film,
    container: str,
    pairs: Sequence[Pair],
    before: Mapping[int, Tally],
    after: Mapping[int, Tally],
) -> None:
    """Number, content and times of the packets of each stream. Raises: NotFaithful."""
    for one, other in pairs:
        was, now = before[one.index], after[other.index]
        name = f"{one.kind} stream {one.index}"
        if one.kind in ("attachment", "picture"):
            continue
        if was.count != now.count:
            raise NotFaithful(f"{name}: {was.count} packets became {now.count}")
        if was.digest != now.digest and converted(one, container) is None:
            raise NotFaithful(f"{name}: its content is not the same any more")
        for time, moved in ((was.first, now.first), (was.last, now.last)):
            if time is not None and moved is not None:
                late = moved - (time - film.start)
                if abs(late) > TIME_TOLERANCE:
                    raise NotFaithful(f"{name}: it was moved by {late:.3f} s")


def check_duration(result: Film, packets: Mapping[int, Tally]) -> None:
    """What the film says of its length must be that of its packets. Raises: NotFaithful.

    The source's own word is not asked: the header of a film that was cut short is wrong.
    """
    end = max(one.end for one in packets.values())
    if result.duration is None or abs(result.duration - end) > _DURATION_TOLERANCE:
        raise NotFaithful(f"it says that it lasts {result.duration} s, and ends at {end:.3f} s")


def check_ours(
    track: Track, cues: Sequence[tuple[float, float]], stream: Stream, found: Tally
) -> None:
    """Whether every cue of our track is there at its time. Raises: NotFaithful."""
    if stream.title != track.title:
        raise NotFaithful(f"the new track {track.title!r} is called {stream.title!r}")
    if normalise(stream.language) != normalise(track.language):
        raise NotFaithful(f"the new track {track.title!r} is marked as {stream.language!r}")
    if not track.flags <= stream.flags:
        raise NotFaithful(f"the new track {track.title!r} lacks a flag: {sorted(stream.flags)}")
    if len(cues) != len(found.spans):
        raise NotFaithful(f"the new track has {len(found.spans)} of {len(cues)} cues")
    for cue, now in zip(sorted(cues), sorted(found.spans), strict=True):
        if max(abs(cue[0] - now[0]), abs(cue[1] - now[1])) > TIME_TOLERANCE:
            raise NotFaithful(f"the new track shows at {now} what belongs at {cue}")
