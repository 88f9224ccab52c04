"""What FFmpeg is asked to do: keep every stream as it is, and add ours. Pure.

Every map, disposition and codec is stated, because FFmpeg's own choices lose things: it takes one
track of each kind, marks tracks as default that were not, and turns a cover into a film.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.contract.languages import english_name, normalise, three_letters
from orchestrator.contract.mediafile import FAR, FORMATS, PROGRAM_STREAM
from orchestrator.contract.tracks import OWN_FILM_TAG, OWN_TRACK

from .film import PICTURE, Film, Stream

MKV, MP4 = "mkv", "mp4"
_MUXERS = {MKV: "matroska", MP4: "mp4"}
_OUR_CODEC = {MKV: "subrip", MP4: "mov_text"}
_CONVERTED = {(MKV, "mov_text"): "subrip", (MP4, "subrip"): "mov_text"}
"""Text that one container holds in another form than the other."""

_PICTURES = {"mjpeg": ("cover.jpg", "image/jpeg"), "png": ("cover.png", "image/png")}

_ITUNES = """
title sort_name artist sort_artist album_artist composer album comment encoder genre copyright
grouping lyrics description synopsis show episode_id network keywords episode_sort date track disc
season_number media_type hd_video gapless_playback compilation account_type catalog_id tmpo rating
creation_time major_brand minor_version compatible_brands timecode
"""
_ITUNES_TAGS = frozenset(_ITUNES.split())
"""What FFmpeg writes to MP4 where players look for it. Others need keys of their own, and then it
writes all of them that way."""
_BRANDS = ("major_brand", "minor_version", "compatible_brands")


class CannotKeep(Exception):
    """The film cannot be made without losing something; the text says what."""


@dataclass(frozen=True, slots=True)
class Track:
    """Subtitles of ours. ``language`` is ISO 639-1, or a tag that begins with it, or empty."""

    path: Path
    language: str
    default: bool = False
    forced: bool = False

    @property
    def title(self) -> str:
        return f"{english_name(self.language)} {OWN_TRACK}" if self.language else OWN_TRACK

    @property
    def flags(self) -> frozenset[str]:
        wanted = {"default": self.default, "forced": self.forced}
        return frozenset(flag for flag, is_set in wanted.items() if is_set)


def choose_container(asked: str, film: Film) -> str:
    """MP4 stays MP4 where it is left to us. QuickTime holds what MP4 does not, and Matroska may."""
    if asked != "auto":
        return asked
    quicktime = film.tags.get("major_brand", "").strip() == "qt"
    return MP4 if "mp4" in film.format.split(",") and not quicktime else MKV


def choose_tracks(
    paths: Mapping[str, Path], speech: str, default: str | None, forced: str | None
) -> list[Track]:
    """Our tracks: that of the ``speech`` (ISO 639-1, may be empty) first, then translations.

    A translation into the language of the speech is the same again and is left out. ``paths`` are
    those of ``srt`` and ``srt.LANGUAGE``; ``default`` and ``forced`` name a language or ``speech``.
    """
    found: dict[str, Path] = {}
    for name, path in sorted(paths.items()):
        language = name.partition(".")[2] or speech
        if not any(_same(language, other) for other in found):
            found[language] = path

    def chosen(asked: str | None, language: str) -> bool:
        return asked is not None and _same(speech if asked == "speech" else asked, language)

    return [
        Track(path, language, chosen(default, language), chosen(forced, language))
        for language, path in found.items()
    ]


def _same(one: str, other: str) -> bool:
    return one == other or (normalise(one) is not None and normalise(one) == normalise(other))


def kept(film: Film, container: str) -> tuple[Stream, ...]:
    """The streams to be copied, all but those that the muxer makes anew from other things.

    Those are titles of chapters, and time codes, which are a tag of the video as well.

    Raises:
        CannotKeep: there is one that the container has no place for, or nothing to look at.
    """
    if not film.of_kind("video"):
        raise CannotKeep("there is no picture to show them with")
    streams = [
        one
        for one in film.streams
        if not (one.kind == "data" and (one.hidden or "timecode" in one.tags))
    ]
    for one in streams:
        if one.kind == "data" or (one.kind == "attachment" and container == MP4):
            what = one.codec or one.tags.get("handler_name") or one.tags.get("filename") or "data"
            raise CannotKeep(f"{container.upper()} has no place for stream {one.index} ({what})")
    return tuple(streams)


def converted(stream: Stream, container: str) -> str | None:
    """The codec to which a subtitle has to be converted; None for all that is copied."""
    return _CONVERTED.get((container, stream.codec)) if stream.kind == "subtitle" else None


def arguments(
    source: str,
    target: str,
    film: Film,
    tracks: Sequence[Track],
    container: str,
    *,
    pictures: Mapping[int, str],
    fingerprint: str,
) -> list[str]:
    """The command line without the program. ``pictures`` are the files of covers by index.

    Raises:
        CannotKeep: see :func:`kept`.
    """
    streams = kept(film, container)
    covers = [one for one in streams if one.kind == PICTURE and container == MKV]
    attachments = [one for one in streams if one.kind == "attachment"]
    copied = [one for one in streams if one not in covers and one not in attachments]

    # Some containers state times for decoding only; genpts works out when to show a picture.
    inputs = ["-protocol_whitelist", "file", "-format_whitelist", FORMATS, "-fflags", "+genpts"]
    if film.format == PROGRAM_STREAM:
        inputs += [part for name, value in FAR.items() for part in (f"-{name}", value)]
    inputs += ["-i", f"file:{source}"]
    for track in tracks:
        inputs += ["-protocol_whitelist", "file", "-f", "srt", "-i", f"file:{track.path}"]
    maps: list[str] = []
    for place, one in enumerate(copied):
        maps += ["-map", f"0:{one.index}", *_as_it_is(place, one, container)]
    for number, track in enumerate(tracks):
        place = len(copied) + number
        maps += ["-map", f"{number + 1}:0", *_ours(place, track, container)]
    for one in attachments:
        maps += ["-map", f"0:{one.index}"]
    if attachments:
        maps += ["-c:t", "copy"]
    for number, one in enumerate(covers, len(attachments)):
        maps += ["-attach", pictures[one.index], *_attached(number, one)]
    return [
        *("-hide_banner", "-nostdin", "-loglevel", "error", "-n"),
        *("-progress", "pipe:1", "-stats_period", "0.5"),
        *inputs,
        *maps,
        *("-copyinkf", "-map_metadata", "0", "-map_chapters", "0"),
        *_whole(film, container, fingerprint),
        # Without it the file holds random numbers, and would never be the same twice.
        *("-fflags", "+bitexact", "-f", _MUXERS[container], f"file:{target}"),
    ]


def _as_it_is(place: int, stream: Stream, container: str) -> list[str]:
    options = [f"-c:{place}", converted(stream, container) or "copy"]
    options += [f"-disposition:{place}", "+".join(sorted(stream.flags)) or "0"]
    if container == MP4 and stream.title:
        options += [f"-metadata:s:{place}", f"title={stream.title}"]
    return options


def _ours(place: int, track: Track, container: str) -> list[str]:
    language = three_letters(track.language, bibliographic=container == MKV)
    named = [f"language={language}", f"title={track.title}"]
    if container == MP4:
        named.append(f"handler_name={track.title}")
    options = [f"-c:{place}", _OUR_CODEC[container]]
    options += [f"-disposition:{place}", "+".join(sorted(track.flags)) or "0"]
    for tag in named:
        options += [f"-metadata:s:{place}", tag]
    return options


def _attached(number: int, stream: Stream) -> list[str]:
    """Name and type of a cover that becomes an attachment, as Matroska keeps covers."""
    name, mime = _PICTURES.get(stream.codec, (f"cover.{stream.codec}", f"image/{stream.codec}"))
    name, mime = stream.tags.get("filename", name), stream.tags.get("mimetype", mime)
    place = f"-metadata:s:t:{number}"
    return [place, f"filename={name}", place, f"mimetype={mime}"]


def _whole(film: Film, container: str, fingerprint: str) -> list[str]:
    """What is said of the film as a whole, our mark among it."""
    mark = ["-metadata", f"{OWN_FILM_TAG}={fingerprint}"]
    if container == MKV:
        return ["-default_mode", "passthrough", *mark]
    if _ITUNES_TAGS.issuperset(film.tags):
        return []  # there is no place for the mark: the titles of our tracks have to do
    cleared = [part for name in _BRANDS for part in ("-metadata", f"{name}=")]
    return ["-movflags", "use_metadata_tags", *cleared, *mark]
