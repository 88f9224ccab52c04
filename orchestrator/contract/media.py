"""What a look into a media file finds: its tracks, its length and its fingerprint.

The probe writes these values, the batch decides by them, and demux picks the audio track by them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.contract.errors import ErrorInfo
from orchestrator.contract.records import Record, from_json, to_json

PROBE_VERSION = 2
"""Raised when a probe would answer differently for the same file, so that caches start afresh."""

IMAGE_SUBTITLE_CODECS = frozenset(
    {"hdmv_pgs_subtitle", "dvd_subtitle", "dvb_subtitle", "xsub", "pgssub", "dvdsub", "dvbsub"}
)
"""Subtitle codecs (names of codecs and decoders in FFmpeg) that hold pictures instead of text."""


class AudioTrack(Record):
    """One audio stream. ``index`` is the absolute stream index, ``language`` ISO 639-1 or None."""

    index: int
    codec: str
    language: str | None = None
    title: str = ""
    channels: int = 0
    sample_rate: int = 0
    default: bool = False
    commentary: bool = False


class SubtitleTrack(Record):
    """One embedded subtitle stream. ``language`` is ISO 639-1, or None where none is stated."""

    index: int
    codec: str
    language: str | None = None
    title: str = ""
    default: bool = False
    forced: bool = False
    commentary: bool = False
    hearing_impaired: bool = False

    @property
    def image(self) -> bool:
        """Whether it holds pictures, which no text can be read from."""
        return self.codec in IMAGE_SUBTITLE_CODECS


class ProbeResult(Record):
    """Everything the batch needs to know before it makes a job of a file.

    ``duration`` is in seconds, as the container claims (None: it does not say). With ``error``
    set the file cannot be used and the other fields hold what was found before it failed. ``ours``:
    the mux stage made it, of another file.
    """

    fingerprint: str
    duration: float | None = None
    container: str = ""
    audio: tuple[AudioTrack, ...] = ()
    subtitles: tuple[SubtitleTrack, ...] = ()
    error: ErrorInfo | None = None
    ours: bool = False

    def to_json(self) -> dict[str, Any]:
        return {
            "fingerprint": self.fingerprint,
            "duration": self.duration,
            "container": self.container,
            "audio": [to_json(track) for track in self.audio],
            "subtitles": [to_json(track) for track in self.subtitles],
            "error": self.error.to_json() if self.error else None,
            "ours": self.ours,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ProbeResult:
        """Read what :meth:`to_json` wrote.

        Raises:
            KeyError, TypeError, ValueError: the mapping is not a probe result.
        """
        duration, error = data["duration"], data["error"]
        return cls(
            fingerprint=str(data["fingerprint"]),
            duration=None if duration is None else float(duration),
            container=str(data["container"]),
            audio=tuple(from_json(AudioTrack, track) for track in data["audio"]),
            subtitles=tuple(from_json(SubtitleTrack, track) for track in data["subtitles"]),
            error=None if error is None else ErrorInfo.from_json(error),
            ours=bool(data["ours"]),
        )


def choose_audio(tracks: Sequence[AudioTrack], languages: Sequence[str] = ()) -> AudioTrack | None:
    """Pick the track that carries the dialogue; None if there is no track.

    Commentary comes last, then a track in one of ``languages`` (ISO 639-1, in their order) comes
    before one of no stated language, and that before one of another; then the container's default
    mark decides, then more channels, then the order in the file.
    """
    wanted = {language: rank for rank, language in reversed(list(enumerate(languages)))}

    def rank(track: AudioTrack) -> tuple[bool, int, bool, int, int]:
        unknown = len(wanted) if track.language is None else len(wanted) + 1
        known = wanted.get(track.language or "", unknown if languages else 0)
        return (track.commentary, known, not track.default, -track.channels, track.index)

    return min(tracks, key=rank, default=None)
