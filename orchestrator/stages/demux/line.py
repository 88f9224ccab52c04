"""A WAV file written as a straight line of time, whatever order and holes the pieces come with."""

from __future__ import annotations

import wave
from pathlib import Path

from orchestrator.contract.errors import ErrorClass, fail

SAMPLE_RATE = 16_000
BYTES_PER_SAMPLE = 2
_LONGEST = (1 << 32) - 4096  # the size field of a WAV file has 32 bits
_SILENCE = bytes(1 << 16)


class AudioLine:
    """16-bit mono at 16 kHz, written as a stream. Positions are samples since the first one.

    What lies before position 0, overlaps what is written already, or reaches past ``limit`` is cut
    to the sample; a hole is filled with silence.

    Attributes:
        limit: samples to write at most; None: all.
        written: samples in the file.
        decoded: samples in the file that came from the source, so without the silence.
        overlapped: samples that were left out because others had been written there.
    """

    def __init__(self, path: Path) -> None:
        self._wave = wave.open(str(path), "wb")  # noqa: SIM115 - closed by close()
        self._wave.setnchannels(1)
        self._wave.setsampwidth(BYTES_PER_SAMPLE)
        self._wave.setframerate(SAMPLE_RATE)
        self.limit: int | None = None
        self.written = 0
        self.decoded = 0
        self.overlapped = 0

    @property
    def full(self) -> bool:
        return self.limit is not None and self.written >= self.limit

    def put(self, position: int, data: bytes) -> None:
        """Write samples at a position. Raises: Failure ``audio_too_long``; OSError."""
        samples = len(data) // BYTES_PER_SAMPLE
        first = max(0, self.written - position)
        self.overlapped += min(samples, max(0, self.written - max(0, position)))
        last = samples if self.limit is None else min(samples, self.limit - position)
        if first >= last:
            return
        self._silence(position + first - self.written)
        self._write(data[first * BYTES_PER_SAMPLE : last * BYTES_PER_SAMPLE])
        self.decoded += last - first

    def close(self) -> None:
        self._wave.close()

    def _silence(self, samples: int) -> None:
        missing = samples * BYTES_PER_SAMPLE
        while missing > 0:
            block = _SILENCE[:missing]
            self._write(block)
            missing -= len(block)

    def _write(self, data: bytes) -> None:
        self.written += len(data) // BYTES_PER_SAMPLE
        if self.written * BYTES_PER_SAMPLE > _LONGEST:
            raise fail(
                "audio_too_long",
                "The audio is longer than the 37 hours that a WAV file can hold.",
                "Make subtitles of a part of it: --start-time and --end-time.",
                error_class=ErrorClass.INPUT,
            )
        self._wave.writeframesraw(data)
