"""Translate into English by listening again: Whisper's own translation of the speech.

It hears what the words leave open (who is asked, what is meant), knows nothing but English as a
target, and gives no times that could be trusted. So each sentence's stretch of sound is translated
on its own, and the text is divided over the cues of that sentence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import ctranslate2
import numpy as np
import numpy.typing as npt
from faster_whisper import BatchedInferencePipeline, WhisperModel

from orchestrator.contract.exchange import StageOutcome, StageRequest
from orchestrator.contract.report import Report
from orchestrator.stagekit.cue_files import CueJob
from orchestrator.stagekit.cue_translation import Unit, translate_cues
from orchestrator.stagekit.wavfile import SAMPLE_RATE, WavSamples
from orchestrator.stagekit.whisper_folder import LoadedWhisper, load_whisper

from .capability import check
from .windows import stretches, windows

_AUTO_BATCH = {"cpu": 4, "cuda": 16}


def load(settings: Mapping[str, Any]) -> LoadedWhisper:
    """Raises: Failure ``model_missing`` or ``model_unusable``; RuntimeError from CUDA."""
    return load_whisper(settings, WhisperModel, ctranslate2.get_supported_compute_types)


def run(request: StageRequest, model: LoadedWhisper, report: Report) -> StageOutcome:
    if model.compute_type != model.wanted:
        report.warning(
            "compute_type_replaced",
            f"{request.device} cannot compute with {model.wanted}: {model.compute_type} is used.",
        )
    job = CueJob(request)
    finished = job.without_model(report)
    if finished is not None:
        return finished
    name = request.model.name if request.model else ""
    language = check(job.source, job.target, name, model.whisper)
    audio = WavSamples(request.input("audio"))
    pipeline = BatchedInferencePipeline(model.whisper)
    wanted = request.settings["batch_size"]
    size = _AUTO_BATCH[request.device.partition(":")[0]] if wanted == "auto" else wanted

    def translate(units: Sequence[Unit]) -> list[str]:
        heard: list[str] = []
        places = stretches(units, audio.seconds)
        for start in range(0, len(places), size):
            report.check_cancelled()
            report.progress(start, len(places), "sentences")
            heard += _translated(
                pipeline,
                [_sound(audio, *place) for place in places[start : start + size]],
                language=language,
                beam_size=request.settings["beam_size"],
            )
        report.progress(len(places), len(places), "sentences")
        return heard

    script = job.script()
    return job.write(translate_cues(script, translate, windows(script)), name, report)


def _sound(audio: WavSamples, start: float, end: float) -> npt.NDArray[np.float32]:
    samples = np.frombuffer(audio.between(start, end), dtype=np.int16)
    return samples.astype(np.float32) / 32768.0


def _translated(
    pipeline: BatchedInferencePipeline, sounds: Sequence[npt.NDArray[np.float32]], **options: Any
) -> list[str]:
    """What is said in each of the sounds, in English."""
    ends = np.cumsum([len(sound) for sound in sounds]) / SAMPLE_RATE
    starts = [0.0, *ends[:-1].tolist()]
    clips = [{"start": start, "end": end} for start, end in zip(starts, ends.tolist(), strict=True)]
    segments, _ = pipeline.transcribe(
        np.concatenate(sounds),
        task="translate",
        clip_timestamps=clips,
        batch_size=len(clips),
        without_timestamps=True,
        **options,
    )
    heard = ["" for _ in sounds]
    for segment in segments:
        heard[int(np.searchsorted(starts, segment.start + 1e-3) - 1)] += segment.text
    return heard
