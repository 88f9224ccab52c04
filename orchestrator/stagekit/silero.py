"""The Silero voice activity detector that comes with faster-whisper, over sound of any length."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import Any

import numpy as np

from orchestrator.stagekit.wavfile import SAMPLE_RATE, WavSamples

_WINDOW = 512
_CONTEXT = 64
"""Samples before a window that the detector hears with it."""
_STATE = (1, 1, 128)
_WINDOWS_AT_ONCE = 10_000

WINDOW_SECONDS = _WINDOW / SAMPLE_RATE
"""Of so much sound at a time the detector says whether it is speech."""


def probabilities(audio: WavSamples, session: Any, heard: Callable[[float], None]) -> array[float]:
    """The probability of speech in each window of :data:`WINDOW_SECONDS`.

    ``session`` is that of faster-whisper's ``SileroVADModel``, which itself wants all sound at once
    and begins without a memory each time. ``heard`` is told how many seconds have been, and may
    raise to stop.
    """
    found = array("f")
    memory, cell = np.zeros(_STATE, np.float32), np.zeros(_STATE, np.float32)
    before = np.zeros((1, _CONTEXT), np.float32)
    start, block = 0.0, _WINDOWS_AT_ONCE * WINDOW_SECONDS
    while start < audio.seconds:
        samples = np.frombuffer(audio.between(start, start + block), dtype=np.int16)
        padded = np.pad(samples, (0, -len(samples) % _WINDOW)).astype(np.float32) / 32768.0
        windows = padded.reshape(-1, _WINDOW)
        contexts = np.concatenate([before, windows[:-1, -_CONTEXT:]])
        before = windows[-1:, -_CONTEXT:]
        output, memory, cell = session.run(
            None, {"input": np.concatenate([contexts, windows], 1), "h": memory, "c": cell}
        )
        found.frombytes(output.reshape(-1).astype(np.float32).tobytes())
        start += block
        heard(min(start, audio.seconds))
    return found
