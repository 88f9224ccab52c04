"""Recognise speech with whisperx: many pieces at once, with text and language but no word times.

Its words are spread over the speech they were heard in, and the transcript says so
(``word_times``): an alignment stage behind this one finds out where they are.
"""

from __future__ import annotations

import math
from typing import Any

from orchestrator.contract.atomic import put_json, read_json
from orchestrator.contract.exchange import StageOutcome, StageRequest
from orchestrator.contract.languages import normalise
from orchestrator.contract.report import Report
from orchestrator.stagekit.speech import Turn, read_turns
from orchestrator.stagekit.transcript import INTERPOLATED, Segment, transcript
from orchestrator.stagekit.wavfile import WavSamples
from orchestrator.stagekit.whisper import Verdict, heard_language, known_language

from .engine import (
    WINDOW_SECONDS,
    Recogniser,
    be_quiet,
    detect_speech,
    hear_languages,
    load,
    recognise,
)
from .pieces import compression_ratio, pieces, spread

__all__ = ["load", "run"]


def run(request: StageRequest, model: Recogniser, report: Report) -> StageOutcome:
    be_quiet()
    settings = request.settings
    if model.compute_type != model.wanted:
        report.warning(
            "compute_type_replaced",
            f"{request.device} cannot compute with {model.wanted}: {model.compute_type} is used.",
        )
    audio = WavSamples(request.input("audio"))
    if "speech" in request.inputs:
        turns = read_turns(request.input("speech"))
    else:
        turns = detect_speech(model, audio, settings["vad_onset"], settings["vad_offset"], report)
    if not turns:
        report.warning("no_speech", "No speech was found in the audio: there is nothing to show.")
    verdict = find_language(request, model, audio, turns)
    segments = transcribe(request, model, audio, turns, verdict.language, report)
    report.progress(audio.seconds, audio.seconds)
    content = transcript(
        segments, turns, verdict=verdict, model=request.model, duration=audio.seconds
    )
    put_json(request.output("transcript"), {**content, "word_times": INTERPOLATED})
    return StageOutcome(
        facts={
            "language": normalise(verdict.language) or verdict.language,
            "language_probability": round(verdict.probability, 4),
            "speech_seconds": round(sum(turn.end - turn.start for turn in turns), 3),
            "segments": len(segments),
        }
    )


def find_language(
    request: StageRequest, model: Recogniser, audio: WavSamples, turns: list[Turn]
) -> Verdict:
    """Raises: Failure ``language_unknown`` or ``model_english_only``."""
    known = known_language(request.language, model.whisper)
    if known is not None:
        return known
    stated = read_json(request.input("audio_info"))["language"]
    return heard_language(hear_languages(model, audio, turns), stated)


def transcribe(
    request: StageRequest,
    model: Recogniser,
    audio: WavSamples,
    turns: list[Turn],
    language: str,
    report: Report,
) -> list[Segment]:
    """One segment for each piece of sound in which something was heard."""
    settings: Any = request.settings
    size = 1 if settings["batch_size"] == "auto" else settings["batch_size"]
    todo = pieces(turns, WINDOW_SECONDS, settings["speech_pad_ms"] / 1000)
    segments: list[Segment] = []
    for first in range(0, len(todo), size):
        report.check_cancelled()
        batch = todo[first : first + size]
        heard = recognise(model, audio, batch, language, settings)
        for piece, (text, log_probability) in zip(batch, heard, strict=True):
            if not text.strip():
                continue
            segment = _segment(text, log_probability, piece, turns, language)
            segments.append(segment)
        report.progress(min(batch[-1].end, audio.seconds), audio.seconds)
    return segments


def _segment(
    text: str, log_probability: float, piece: Turn, turns: list[Turn], language: str
) -> Segment:
    words = spread(text, piece, turns, language, math.exp(log_probability))
    return Segment(
        start=words[0].start,
        end=words[-1].end,
        text=text,
        words=tuple(words),
        avg_logprob=log_probability,
        no_speech_prob=None,
        compression_ratio=compression_ratio(text),
        temperature=0.0,
    )
