"""whisperx: loading, finding speech and its language, and recognising pieces in batches."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import ctranslate2
import numpy as np
import numpy.typing as npt
import torch
from whisperx.asr import load_model
from whisperx.vads import Vad
from whisperx.vads.pyannote import Binarize, Pyannote

from orchestrator.contract.report import Report
from orchestrator.stagekit.speech import Turn, listening_places
from orchestrator.stagekit.wavfile import SAMPLE_RATE, WavSamples
from orchestrator.stagekit.whisper import choose_compute_type, listen
from orchestrator.stagekit.whisper_folder import device_and_index, loading, whisper_folder

from .pieces import end_to_end

WINDOW_SECONDS = 30.0
"""Seconds that Whisper hears at once."""
_PLACES = 5
"""How many places of a long file are listened at for its language."""
_VAD_BLOCK = 300.0
"""Seconds of sound in which speech is looked for at once."""
_VAD_REST = 10.0
"""Seconds that are not left for a block of their own: the detector hears 5 at a time."""


class GivenPieces(Vad):  # type: ignore[misc]
    """Stands in for whisperx's own search for speech: what is to be recognised is known."""

    def __init__(self, found: Sequence[Turn]) -> None:
        self._found = [{"start": piece.start, "end": piece.end} for piece in found]

    def __call__(self, _audio: object) -> list[dict[str, float]]:
        return self._found

    @staticmethod
    def preprocess_audio(audio: object) -> object:
        return audio

    @staticmethod
    def merge_chunks(found: list[dict[str, float]], *_sizes: Any, **_thresholds: Any) -> Any:
        return found


@dataclass(frozen=True, slots=True)
class Recogniser:
    """A loaded model. ``wanted`` differs from ``compute_type`` where the device lacks it."""

    pipeline: Any
    device: str
    compute_type: str
    wanted: str

    @property
    def whisper(self) -> Any:
        """faster-whisper's own model, as its own stage has it."""
        return self.pipeline.model


def be_quiet() -> None:
    """pyannote reports to its makers what it is used for, unless it is told not to."""
    os.environ["PYANNOTE_METRICS_ENABLED"] = "0"


def load(settings: Mapping[str, Any]) -> Recogniser:
    """Raises: Failure ``model_missing`` or ``model_unusable``; RuntimeError from CUDA."""
    be_quiet()
    path = whisper_folder(settings)
    torch.set_num_threads(settings["threads"])
    device, index = device_and_index(settings)
    wanted = settings["compute_type"]
    supported = ctranslate2.get_supported_compute_types(device, index)
    compute_type = choose_compute_type(wanted, device, supported)
    with loading(path, device):
        pipeline = load_model(
            path,
            device,
            device_index=index,
            compute_type=compute_type,
            vad_model=GivenPieces([]),
            local_files_only=True,
            threads=settings["threads"],
        )
    # whisperx takes a folder that ends in ".en" for a setting of the language, others not.
    pipeline.tokenizer = pipeline.preset_language = None
    return Recogniser(
        pipeline, settings["device"], compute_type, compute_type if wanted == "auto" else wanted
    )


def sound(audio: WavSamples, start: float, end: float) -> npt.NDArray[np.float32]:
    """The samples from ``start`` to ``end`` seconds, in -1 to 1."""
    samples = np.frombuffer(audio.between(start, end), dtype=np.int16)
    return samples.astype(np.float32) / 32768.0


@lru_cache(maxsize=1)
def _detector(device: str, onset: float, offset: float) -> tuple[Any, Any]:
    """What hears speech, and what makes turns of it."""
    hears = Pyannote(torch.device(device), vad_onset=onset, vad_offset=offset)
    return hears, Binarize(onset=onset, offset=offset)


def detect_speech(
    model: Recogniser, audio: WavSamples, onset: float, offset: float, report: Report
) -> list[Turn]:
    """Turns of speech by the detector that comes with whisperx, block by block."""
    detector, binarize = _detector(model.device, onset, offset)
    turns: list[Turn] = []
    start = 0.0
    while start < audio.seconds:
        report.check_cancelled()
        end = start + _VAD_BLOCK
        if audio.seconds - end < _VAD_REST:
            end = audio.seconds
        samples = torch.from_numpy(sound(audio, start, end)).unsqueeze(0)
        scores = detector({"waveform": samples, "sample_rate": SAMPLE_RATE})
        for found in binarize(scores).get_timeline().support():
            turn = Turn(start + max(0.0, found.start), min(start + found.end, audio.seconds))
            if turns and turn.start <= turns[-1].end:
                turn = Turn(turns.pop().start, turn.end)
            turns.append(turn)
        start = end
        report.progress(0.0, audio.seconds)
    return turns


def hear_languages(
    model: Recogniser, audio: WavSamples, turns: Sequence[Turn]
) -> list[Mapping[str, float]]:
    """The probability of each language at the places listened at; none without speech."""
    places = listening_places(turns, _PLACES, WINDOW_SECONDS) if turns else []
    return listen(
        places, lambda place: dict(model.whisper.detect_language(sound(audio, *place))[2])
    )


def recognise(
    model: Recogniser,
    audio: WavSamples,
    batch: Sequence[Turn],
    language: str,
    settings: Mapping[str, Any],
) -> list[tuple[str, float]]:
    """What is said in each piece of the batch, and its mean log probability.

    whisperx is given the pieces alone: hours may lie between two of them.
    """
    pipeline = model.pipeline
    sounds = [sound(audio, *piece) for piece in batch]
    pipeline.vad_model = GivenPieces(end_to_end([len(one) for one in sounds], SAMPLE_RATE))
    pipeline.options = replace(
        pipeline.options,
        beam_size=settings["beam_size"],
        initial_prompt=settings["initial_prompt"] or None,
        hotwords=settings["hotwords"] or None,
    )
    samples = np.concatenate(sounds)
    found = pipeline.transcribe(samples, batch_size=len(batch), language=language)["segments"]
    return [(segment["text"], segment["avg_logprob"]) for segment in found]
