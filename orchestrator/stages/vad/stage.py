"""Find where somebody speaks, with the Silero detector that comes with faster-whisper.

The file is read block by block: memory grows by a few bytes for each second of it.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from typing import Any

import numpy as np
from faster_whisper.vad import SileroVADModel, get_vad_model

from orchestrator.contract.atomic import put_json
from orchestrator.contract.exchange import StageOutcome, StageRequest
from orchestrator.contract.report import Report
from orchestrator.stagekit.voice_activity import speech, speech_turns
from orchestrator.stagekit.wavfile import SAMPLE_RATE, WavSamples

_WINDOW = 512
"""Samples of which the detector tells one probability."""
_BLOCK = 600.0
"""Seconds heard at once; a whole number of windows."""
_RUN_UP = 1.024
"""Seconds that a block begins early, because the detector starts without memory."""


def load(settings: Mapping[str, Any]) -> SileroVADModel:
    return get_vad_model()


def run(request: StageRequest, model: SileroVADModel, report: Report) -> StageOutcome:
    """Raises: Failure ``audio_unusable``."""
    audio = WavSamples(request.input("audio"))
    settings = request.settings
    turns = speech_turns(
        probabilities(audio, model, report),
        _WINDOW / SAMPLE_RATE,
        settings["threshold"],
        min_silence=settings["min_silence_ms"] / 1000,
        min_speech=settings["min_speech_ms"] / 1000,
    )
    put_json(request.output("speech"), speech("silero", turns, audio.seconds))
    seconds = sum(turn.end - turn.start for turn in turns)
    return StageOutcome(facts={"speech_seconds": round(seconds, 3)})


def probabilities(audio: WavSamples, model: SileroVADModel, report: Report) -> array[float]:
    """The probability of speech in each window of the sound."""
    found = array("f")
    start = 0.0
    while start < audio.seconds:
        report.check_cancelled()
        begin = max(0.0, start - _RUN_UP)
        samples = np.frombuffer(audio.between(begin, start + _BLOCK), dtype=np.int16)
        padded = np.pad(samples, (0, -len(samples) % _WINDOW)).astype(np.float32) / 32768.0
        heard = model(padded).reshape(-1)
        found.frombytes(heard[round((start - begin) * SAMPLE_RATE / _WINDOW) :].tobytes())
        start += _BLOCK
        report.progress(min(start, audio.seconds), audio.seconds)
    return found
