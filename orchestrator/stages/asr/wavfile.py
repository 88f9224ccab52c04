"""Where the samples of a WAV file lie, so that they can be mapped instead of read."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import NamedTuple

from orchestrator.contract.errors import ErrorClass, Failure, fail

SAMPLE_RATE = 16_000


class Samples(NamedTuple):
    """``offset`` is that of the first sample, in bytes; ``number`` says how many there are."""

    offset: int
    number: int


def find_samples(path: Path) -> Samples:
    """Raises: Failure ``audio_unusable`` unless it is whole 16-bit mono at 16 kHz."""
    try:
        with path.open("rb") as stream, wave.open(stream) as header:
            form = (header.getnchannels(), header.getsampwidth(), header.getframerate())
            samples = Samples(stream.tell(), header.getnframes())
    except (wave.Error, EOFError) as error:
        raise _unusable(path, str(error) or "it is cut off") from error
    if form != (1, 2, SAMPLE_RATE):
        raise _unusable(path, "it is not 16-bit mono at 16 kHz")
    if path.stat().st_size < samples.offset + 2 * samples.number:
        raise _unusable(path, "it is cut off")
    return samples


def _unusable(path: Path, reason: str) -> Failure:
    return fail(
        "audio_unusable",
        f"{path} cannot be used: {reason}.",
        "Run the job again from its first stage: run-pipeline --from demux.",
        error_class=ErrorClass.INTERNAL,
    )
