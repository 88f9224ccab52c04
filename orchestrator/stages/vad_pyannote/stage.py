"""Find where somebody speaks, with the segmentation network of pyannote.audio.

The network hears ten seconds at a time and is believed about the five in their middle. The file is
read piece by piece: memory grows by a few bytes for each second of it.
"""

from __future__ import annotations

import os

# Before pyannote.audio is imported: it reports each use to its makers by default.
os.environ["PYANNOTE_METRICS_ENABLED"] = "0"

import warnings
from array import array
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pyannote.audio import Model
from pyannote.audio.telemetry.metrics import provider

from orchestrator.contract.atomic import put_json
from orchestrator.contract.exchange import StageOutcome, StageRequest
from orchestrator.contract.report import Report
from orchestrator.stagekit.voice_activity import speech, speech_turns
from orchestrator.stagekit.wavfile import SAMPLE_RATE, WavSamples

from .engine import load_segmentation

_HEARD = 10.0
_BELIEVED = 5.0
"""Seconds; the time before and after what is believed is context."""
_WINDOW = 0.02
"""Seconds for which one probability is kept; the network gives one every 0.0169 s."""


def load(settings: Mapping[str, Any]) -> Model:
    """Raises: Failure ``model_missing`` or ``model_unusable``; RuntimeError from CUDA."""
    provider.shutdown()  # a thread that waits for reports to send
    torch.set_num_threads(settings["threads"])
    # pyannote.audio warns of a decoder that cannot be loaded; it is given samples and needs none.
    warnings.filterwarnings("ignore", module="pyannote|torchaudio|torchcodec")
    return load_segmentation(Path(settings["model_path"] or ""), torch.device(settings["device"]))


def run(request: StageRequest, model: Model, report: Report) -> StageOutcome:
    """Raises: Failure ``audio_unusable``."""
    audio = WavSamples(request.input("audio"))
    settings = request.settings
    turns = speech_turns(
        probabilities(audio, model, report),
        _WINDOW,
        settings["threshold"],
        min_silence=settings["min_silence_ms"] / 1000,
        min_speech=settings["min_speech_ms"] / 1000,
    )
    put_json(request.output("speech"), speech("pyannote", turns, audio.seconds))
    seconds = sum(turn.end - turn.start for turn in turns)
    return StageOutcome(facts={"speech_seconds": round(seconds, 3)})


def probabilities(audio: WavSamples, model: Model, report: Report) -> array[float]:
    """The probability of speech in each window of the sound."""
    found = array("f")
    context = (_HEARD - _BELIEVED) / 2
    start = 0.0
    while start < audio.seconds:
        report.check_cancelled()
        samples = np.zeros(round(_HEARD * SAMPLE_RATE), dtype=np.float32)
        before = round(max(0.0, context - start) * SAMPLE_RATE)
        piece = np.frombuffer(
            audio.between(start - context, start + _HEARD - context), dtype=np.int16
        )
        samples[before : before + len(piece)] = piece / 32768.0
        with torch.inference_mode():
            chunk = torch.from_numpy(samples)[None, None].to(next(model.parameters()).device)
            # The first of the powerset's classes is "nobody".
            nobody = model(chunk)[0, :, 0].exp().cpu().numpy()
        middle = context + _WINDOW * (0.5 + np.arange(round(_BELIEVED / _WINDOW)))
        places = np.minimum((middle / _HEARD * len(nobody)).astype(int), len(nobody) - 1)
        found.frombytes((1.0 - nobody[places]).astype(np.float32).tobytes())
        start += _BELIEVED
        report.progress(min(start, audio.seconds), audio.seconds)
    return found
