"""Recognise speech with Whisper: language, words with their times, and the turns of speech.

A file is worked on in spans cut in silence, so that memory does not grow with its length. All
times are audio time. What this run did differs in no way from what another run of the same model
and settings does: nothing about speed or machine goes into the transcript.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
import numpy.typing as npt
from faster_whisper import BatchedInferencePipeline, WhisperModel
from faster_whisper.vad import get_vad_model

from orchestrator.contract.atomic import read_json, write_json
from orchestrator.contract.errors import ErrorClass, fail
from orchestrator.contract.exchange import StageOutcome, StageRequest
from orchestrator.contract.languages import normalise, whisper_code
from orchestrator.contract.report import Report

from .arithmetic import choose_compute_type
from .cuda import load_cuda_libraries
from .edges import Word, snap
from .language import Verdict, decide
from .loops import LoopGuard
from .speech import Turn, listening_places, spans, speech_turns
from .transcript import Segment, transcript
from .wavfile import SAMPLE_RATE, find_samples

_VAD_WINDOW = 512
_VAD_BLOCK = 600.0
_VAD_RUN_UP = 1.024
"""Seconds that a block of detection begins early, because the detector starts without memory."""
_LONGEST_SPAN = 300.0
"""Seconds recognised at once. Making the spectrogram of 15 minutes took 700 MB."""
_PLACES = 5
_PLACE_SECONDS = 30.0
"""Seconds of sound from which Whisper tells the language, and how many places are tried."""


@dataclass(frozen=True, slots=True)
class Recogniser:
    """A loaded model. ``wanted`` differs from ``compute_type`` where the device lacks it."""

    whisper: WhisperModel
    compute_type: str
    wanted: str


class Audio:
    """The samples of ``audio.wav``, mapped from the disk."""

    def __init__(self, path: Path) -> None:
        """Raises: Failure ``audio_unusable``."""
        offset, number = find_samples(path)
        self._samples: npt.NDArray[np.int16] = np.zeros(0, dtype=np.int16)
        if number:
            self._samples = np.memmap(path, dtype="<i2", mode="r", offset=offset, shape=(number,))
        self.seconds = number / SAMPLE_RATE

    def between(self, start: float, end: float) -> npt.NDArray[np.float32]:
        """The samples from ``start`` to ``end`` seconds, as far as there are any, in -1 to 1."""
        piece = self._samples[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)]
        return np.asarray(piece, dtype=np.float32) / 32768.0


def load(settings: Mapping[str, Any]) -> Recogniser:
    """Raises: Failure ``model_missing`` or ``model_unusable``; RuntimeError from CUDA."""
    path = settings["model_path"]
    if not path or not Path(path, "model.bin").is_file():
        raise fail(
            "model_missing",
            f"There is no Whisper model at {path!r}.",
            "Run verify_install.py --build: it fetches the models that the settings name.",
            error_class=ErrorClass.ENVIRONMENT,
        )
    device, _, index = str(settings["device"]).partition(":")
    if device == "cuda":
        load_cuda_libraries()
    wanted = settings["compute_type"]
    supported = ctranslate2.get_supported_compute_types(device, int(index or 0))
    compute_type = choose_compute_type(wanted, device, supported)
    try:
        whisper = WhisperModel(
            path,
            device=device,
            device_index=int(index or 0),
            compute_type=compute_type,
            cpu_threads=settings["threads"],
            local_files_only=True,
        )
    except (RuntimeError, ValueError) as error:
        if device == "cuda":
            raise  # out of memory or a broken driver: whoever started this tells them apart
        raise fail(
            "model_unusable",
            f"The Whisper model at {path} cannot be loaded: {error}",
            "Delete that folder and run verify_install.py: it fetches the model again.",
            error_class=ErrorClass.ENVIRONMENT,
        ) from error
    return Recogniser(whisper, compute_type, compute_type if wanted == "auto" else wanted)


def run(request: StageRequest, model: Recogniser, report: Report) -> StageOutcome:
    if model.compute_type != model.wanted:
        report.warning(
            "compute_type_replaced",
            f"{request.device} cannot compute with {model.wanted}: {model.compute_type} is used.",
        )
    audio = Audio(request.input("audio"))
    turns = detect_speech(audio, request.settings["vad_threshold"], report)
    stated = read_json(request.input("audio_info"))["language"]
    verdict = find_language(request, model, audio, turns, stated)
    if not turns:
        report.warning("no_speech", "No speech was found in the audio: there is nothing to show.")
    guard = LoopGuard(turns)
    segments: list[Segment] = []
    with open(f"{request.scratch_dir}/segments.jsonl", "w", encoding="ascii") as stream:
        for segment in recognise(request, model, audio, turns, verdict):
            report.check_cancelled()
            report.progress(segment.end, audio.seconds)
            stream.write(json.dumps(segment.to_json()) + "\n")
            stream.flush()
            if guard.keeps(segment.text, segment.start, segment.end):
                segments.append(segment)
    if guard.dropped:
        report.warning(
            "invented_text_removed",
            f"{guard.dropped} segments were left out: repeated over and over, or without speech.",
        )
    report.progress(audio.seconds, audio.seconds)
    result = transcript(segments, turns, snap([w for s in segments for w in s.words], turns))
    write_json(
        request.output("transcript"),
        {
            "version": 1,
            "language": verdict.language,
            "language_probability": round(verdict.probability, 4),
            "language_source": verdict.source,
            "model": request.model.name if request.model else None,
            "model_key": request.model.key if request.model else None,
            "duration": round(audio.seconds, 3),
            **result,
        },
    )
    speech_seconds = sum(turn.end - turn.start for turn in turns)
    return StageOutcome(
        facts={
            "language": normalise(verdict.language) or verdict.language,
            "language_probability": round(verdict.probability, 4),
            "speech_seconds": round(speech_seconds, 3),
            "segments": len(segments),
        },
        metrics={"segments_dropped": guard.dropped},
    )


def detect_speech(audio: Audio, threshold: float, report: Report) -> list[Turn]:
    """Turns of speech in the whole file, found block by block."""
    detector = get_vad_model()
    window = _VAD_WINDOW / SAMPLE_RATE
    probabilities: list[float] = []
    start = 0.0
    while start < audio.seconds:
        report.check_cancelled()
        begin = max(0.0, start - _VAD_RUN_UP)
        block = audio.between(begin, start + _VAD_BLOCK)
        padded = np.pad(block, (0, -len(block) % _VAD_WINDOW))
        found = detector(padded).reshape(-1)
        probabilities.extend(found[round((start - begin) / window) :].tolist())
        start += _VAD_BLOCK
        report.progress(0.0, audio.seconds)
    turns = speech_turns(probabilities, window, threshold)
    return [Turn(turn.start, min(turn.end, audio.seconds)) for turn in turns]


def find_language(
    request: StageRequest,
    model: Recogniser,
    audio: Audio,
    turns: list[Turn],
    stated: str | None,
) -> Verdict:
    """The language asked for, else the one heard. Raises: Failure (the model cannot do it)."""
    multilingual = model.whisper.model.is_multilingual
    if request.language is not None:
        code = whisper_code(request.language)
        if code is None:
            raise fail(
                "language_unknown",
                f"Whisper does not know the language {request.language!r}.",
                "Name one of its 100 languages, or leave it out to have it detected.",
            )
        if code != "en" and not multilingual:
            raise fail(
                "model_english_only",
                f"The model knows English only, but the language asked for is {code!r}.",
                "Choose a model without '.en' in its name: stages.asr.model.",
            )
        return Verdict(code, 1.0, "asked")
    if not multilingual:
        return Verdict("en", 1.0, "model")
    if not turns:
        return Verdict(whisper_code(stated or "") or "en", 0.0, "track" if stated else "none")
    heard = [
        dict(model.whisper.detect_language(audio.between(*place))[2])
        for place in listening_places(turns, _PLACES, _PLACE_SECONDS)
    ]
    return decide(heard, whisper_code(stated) if stated else None)


def recognise(
    request: StageRequest,
    model: Recogniser,
    audio: Audio,
    turns: list[Turn],
    verdict: Verdict,
) -> Iterator[Segment]:
    """Segments in audio time, as they are decoded."""
    settings = request.settings
    batch_size = settings["batch_size"]
    options = {
        "language": verdict.language,
        "beam_size": settings["beam_size"],
        "initial_prompt": settings["initial_prompt"] or None,
        "hotwords": settings["hotwords"] or None,
        "condition_on_previous_text": settings["condition_on_previous_text"],
        "word_timestamps": True,
        "vad_filter": True,
        "vad_parameters": {
            "threshold": settings["vad_threshold"],
            "min_silence_duration_ms": settings["vad_min_silence_ms"],
            "speech_pad_ms": settings["vad_speech_pad_ms"],
        },
    }
    transcribe = model.whisper.transcribe
    if batch_size != "auto" and batch_size > 1:
        transcribe = BatchedInferencePipeline(model.whisper).transcribe
        options["batch_size"] = batch_size
    for span in spans(turns, audio.seconds, _LONGEST_SPAN):
        found, _ = transcribe(audio.between(*span), **options)
        for segment in found:
            yield Segment(
                start=span.start + segment.start,
                end=span.start + segment.end,
                text=segment.text,
                words=tuple(
                    Word(span.start + w.start, span.start + w.end, w.word, w.probability)
                    for w in segment.words
                ),
                avg_logprob=segment.avg_logprob,
                no_speech_prob=segment.no_speech_prob,
                compression_ratio=segment.compression_ratio,
                temperature=segment.temperature,
            )
