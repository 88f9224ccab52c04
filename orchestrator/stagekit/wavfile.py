"""The samples of ``audio.wav``, mapped from the disk instead of read into memory."""

from __future__ import annotations

import mmap
import wave
from pathlib import Path

from orchestrator.contract.errors import ErrorClass, Failure, fail

SAMPLE_RATE = 16_000


class WavSamples:
    """16-bit mono samples at 16 kHz; ``seconds`` is how much sound they are."""

    def __init__(self, path: Path) -> None:
        """Raises: Failure ``audio_unusable`` unless the file is whole and of that form."""
        offset, number = _find_samples(path)
        self._samples = memoryview(b"").cast("h")
        if number:
            with path.open("rb") as stream:
                mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
            self._samples = memoryview(mapped)[offset : offset + 2 * number].cast("h")
        self.seconds = number / SAMPLE_RATE

    def between(self, start: float, end: float) -> memoryview[int]:
        """The samples from ``start`` to ``end`` seconds, as far as there are any."""
        return self._samples[max(0, round(start * SAMPLE_RATE)) : round(end * SAMPLE_RATE)]


def _find_samples(path: Path) -> tuple[int, int]:
    """The offset of the first sample in bytes, and how many there are."""
    try:
        with path.open("rb") as stream, wave.open(stream) as header:
            form = (header.getnchannels(), header.getsampwidth(), header.getframerate())
            offset, number = stream.tell(), header.getnframes()
    except (wave.Error, EOFError) as error:
        raise _unusable(path, str(error) or "it is cut off") from error
    if form != (1, 2, SAMPLE_RATE):
        raise _unusable(path, "it is not 16-bit mono at 16 kHz")
    if path.stat().st_size < offset + 2 * number:
        raise _unusable(path, "it is cut off")
    return offset, number


def _unusable(path: Path, reason: str) -> Failure:
    return fail(
        "audio_unusable",
        f"{path} cannot be used: {reason}.",
        "Run the job again from its first stage: run-pipeline --from demux.",
        error_class=ErrorClass.INTERNAL,
    )
