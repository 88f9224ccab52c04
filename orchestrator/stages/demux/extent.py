"""How much audio there should be, which stretches of it are missing, and ``audio.json``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from orchestrator.contract.exchange import Clip

from .claims import Claim

AUDIO_INFO_VERSION = 1
LEAST = 0.2
_LOST_SHARE = 0.02
_LOST_SECONDS = 5.0
"""Missing audio is worth a warning from 0.2 s on (priming and padding of codecs stay below it)
when it is 2 % of the file or 5 s."""
_SPANS_TOLD, _SPANS_REPORTED = 4, 50
"""Of a file with more holes the longest; ``audio.json`` has them all."""

Span = tuple[float, float]
"""Start and end in seconds of media time."""


class Loss(NamedTuple):
    """Seconds of audio expected and missing, and where, as far as that is known.

    ``expected`` is what was decoded and what is missing where the file does not say how long it is.
    """

    expected: float
    seconds: float
    spans: tuple[Span, ...]

    @property
    def matters(self) -> bool:
        return self.seconds > LEAST and (self.seconds > _LOST_SECONDS or self.share > _LOST_SHARE)

    @property
    def share(self) -> float:
        """The part of the audio that is missing, 0 to 1."""
        return min(1.0, self.seconds / self.expected) if self.expected else 0.0

    def facts(self) -> dict[str, Any]:
        """For the report of the run, in seconds of media time; empty where nothing is missing."""
        if not self.matters:
            return {}
        longest = sorted(self.spans, key=lambda span: span[0] - span[1])[:_SPANS_REPORTED]
        missing = [[round(start, 3), round(end, 3)] for start, end in sorted(longest)]
        return {"lost_seconds": round(self.seconds, 3), "missing": missing}

    def told(self) -> str:
        """For the user: how much is missing, and when."""
        text = f"{self.seconds:.1f} s of {self.expected:.1f} s of audio are missing from the file"
        if not self.spans:
            return text
        longest = sorted(sorted(self.spans, key=lambda span: span[0] - span[1])[:_SPANS_TOLD])
        times = ", ".join(f"{_clock(start)} to {_clock(end)}" for start, end in longest)
        more = len(self.spans) - len(longest)
        return f"{text}: {times}" + (f" and {more} shorter stretches" if more else "")


def measure(
    claim: Claim,
    clip: Clip,
    *,
    decoded: float,
    heard: Span,
    holes: Sequence[Span],
    pauses: Sequence[Span] = (),
    blank: Sequence[Span] = (),
) -> Loss:
    """Compare what was decoded with what the file claims, within the clip.

    Args:
        decoded: seconds that came out of the decoder.
        heard: from the first to the last sound.
        holes: stretches between them without audio that should have some.
        pauses: stretches between them that are meant to have none.
        blank: stretches that count as decoded, but are zeros that nobody recorded.
    """
    start = max(claim.first, clip.start)
    end = max(claim.last if claim.last is not None else 0.0, heard[1])
    if clip.end is not None:
        end = min(end, clip.end)
    ends = [(a, b) for a, b in ((start, heard[0]), (heard[1], end)) if b - a > LEAST]
    spans = [(max(a, start), min(b, end)) for a, b in (*holes, *ends, *blank)]
    spans = sorted((a, b) for a, b in spans if b > a)
    meant, empty = (
        sum(max(0.0, min(b, end) - max(a, start)) for a, b in some) for some in (pauses, blank)
    )
    expected = max(0.0, end - start - meant)
    return Loss(expected, max(0.0, expected - decoded + empty), tuple(spans))


def audio_info(
    *,
    offset: float,
    duration: float,
    sample_rate: int,
    stream: int,
    language: str | None,
    gaps: Sequence[Span],
    cuts: Sequence[float],
    loss: Loss,
    length_verified: bool,
    damaged_packets: int,
    container_duration: float | None,
) -> dict[str, Any]:
    """The content of ``audio.json``. All times come in media time and are kept in audio time.

    Of the gaps, those inside the audio are kept: they are the stretches of inserted silence.
    What is ``missing`` may lie behind its end.
    """
    end = offset + duration
    inside = [(max(a, offset), min(b, end)) for a, b in gaps if b > offset and a < end]
    return {
        "version": AUDIO_INFO_VERSION,
        "offset": round(offset, 6) + 0.0,
        "duration": round(duration, 6),
        "sample_rate": sample_rate,
        "stream": stream,
        "language": language,
        "gaps": [[round(a - offset, 3), round(b - offset, 3)] for a, b in inside],
        "cuts": [round(cut - offset, 3) for cut in cuts if offset <= cut < end],
        "lost_seconds": round(loss.seconds, 3),
        "missing": [[round(a - offset, 3), round(b - offset, 3)] for a, b in loss.spans],
        "length_verified": length_verified,
        "damaged_packets": damaged_packets,
        "container_duration": container_duration,
    }


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds, 1), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02d}:{rest:04.1f}" if hours else f"{minutes}:{rest:04.1f}"
