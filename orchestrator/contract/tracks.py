"""What the streams of a media file are, read from their tags and dispositions."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping

from orchestrator.contract.languages import normalise
from orchestrator.contract.media import AudioTrack, SubtitleTrack

_NOT_DIALOGUE = frozenset({"comment", "visual_impaired", "descriptions", "karaoke", "lyrics"})
_COMMENTARY = re.compile(
    r"comment(ary|aries|aire)|coment[aá]rio|comentário|kommentar|commento|commentaar|"
    r"komentarz|komentář|kommentti|yorum|коммент|коментар|σχόλια|解説|コメンタリー|评论|評論|해설|코멘터리|"
    r"audio.?desc|described video|descriptive|visually.?impaired|h[öo]rfilm|audiodeskription|"
    r"audiodescri|тифлокоммент|音声解説|口述影像|화면해설|isolated score|music only|m\s*&\s*e\b",
    re.IGNORECASE,
)
_FORCED = re.compile(
    r"\bforced\b|\bsigns?\b|foreign parts|\bforc[ée]s?\b|\bforzad|\bforzat|erzwungen|форсир",
    re.IGNORECASE,
)
_HEARING_IMPAIRED = re.compile(r"\bsdh\b|\bcc\b|hearing|malentendant|gehörlos", re.IGNORECASE)
OWN_FILM_TAG = "BATCH_SUBTITLES"
"""The tag of a film that the mux stage made; its value is the fingerprint of the film's source."""
OWN_TRACK = "(batch-subtitles)"
"""Ends the titles of subtitle tracks that the mux stage adds. MP4 has no place for a tag of ours,
so there they are what such a film is known by."""

_NO_TITLE = re.compile(r"handler\b|^core media|^gpac|^mainconcept|^stereo$|^mono$", re.IGNORECASE)


def audio_track(
    index: int,
    codec: str,
    tags: Mapping[str, str],
    dispositions: Collection[str],
    *,
    channels: int = 0,
    sample_rate: int = 0,
) -> AudioTrack:
    """Describe an audio stream. ``dispositions`` are FFmpeg's names of the flags that are set.

    A track for people who cannot hear well carries the dialogue; one for people who cannot see
    has a narrator in it, and so counts as commentary.
    """
    title = _title(tags)
    return AudioTrack(
        index=index,
        codec=codec,
        language=normalise(tags.get("language", "")),
        title=title,
        channels=channels,
        sample_rate=sample_rate,
        default="default" in dispositions,
        commentary=not _NOT_DIALOGUE.isdisjoint(dispositions) or bool(_COMMENTARY.search(title)),
    )


def subtitle_track(
    index: int, codec: str, tags: Mapping[str, str], dispositions: Collection[str]
) -> SubtitleTrack:
    """Describe a subtitle stream. Tracks of signs or foreign parts alone count as forced."""
    title = _title(tags)
    return SubtitleTrack(
        index=index,
        codec=codec,
        language=normalise(tags.get("language", "")),
        title=title,
        default="default" in dispositions,
        forced="forced" in dispositions or bool(_FORCED.search(title)),
        commentary="comment" in dispositions or bool(_COMMENTARY.search(title)),
        hearing_impaired="hearing_impaired" in dispositions
        or bool(_HEARING_IMPAIRED.search(title)),
    )


def made_by_us(tags: Mapping[str, str], subtitles: Iterable[SubtitleTrack]) -> bool:
    """Whether the mux stage made the film that has these ``tags`` and tracks."""
    tagged = any(name.upper() == OWN_FILM_TAG for name in tags)
    return tagged or any(track.title.endswith(OWN_TRACK) for track in subtitles)


def _title(tags: Mapping[str, str]) -> str:
    """The track's name. MP4 has two places for it, and most writers put their own name there."""
    title = tags.get("title") or tags.get("name") or tags.get("handler_name") or ""
    return "" if _NO_TITLE.search(title) else title
