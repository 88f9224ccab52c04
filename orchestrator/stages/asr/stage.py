"""Recognise speech with Whisper: language, words with their times, and the turns of speech.

A file is worked on in spans cut in silence, so that memory does not grow with its length. All
times are audio time. What this run did differs in no way from what another run of the same model
and settings does: nothing about speed or machine goes into the transcript.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from faster_whisper import BatchedInferencePipeline

from orchestrator.contract.atomic import put_json, read_json
from orchestrator.contract.exchange import StageOutcome, StageRequest
from orchestrator.contract.languages import normalise
from orchestrator.contract.report import Report
from orchestrator.stagekit.packing import Packed, islands, within
from orchestrator.stagekit.speech import Turn, read_turns, spans
from orchestrator.stagekit.transcript import Segment, Word, transcript
from orchestrator.stagekit.wavfile import WavSamples
from orchestrator.stagekit.whisper import heard_language, known_language

from .edges import snap
from .engine import (
    WINDOW_SECONDS,
    Recogniser,
    Samples,
    detect_speech,
    hear_languages,
    load,
    sound,
)

__all__ = ["load", "run"]

_LONGEST_SPAN = 300.0
"""Seconds recognised at once. Making the spectrogram of 15 minutes took 700 MB."""


def run(request: StageRequest, model: Recogniser, report: Report) -> StageOutcome:
    settings = request.settings
    model.begin()
    if model.compute_type != model.wanted:
        report.warning(
            "compute_type_replaced",
            f"{request.device} cannot compute with {model.wanted}: {model.compute_type} is used.",
        )
    audio = WavSamples(request.input("audio"))
    if "speech" in request.inputs:
        turns = read_turns(request.input("speech"))
    else:
        turns = detect_speech(audio, settings["vad_threshold"], report)
    if not turns:
        report.warning("no_speech", "No speech was found in the audio: there is nothing to show.")
    packs = pack(turns, audio.seconds, settings)
    verdict = known_language(request.language, multilingual=model.whisper.model.is_multilingual)
    if verdict is None:
        first = sound(audio, packs[0].pieces if packs else [])
        heard = hear_languages(model.whisper, audio, turns, first)
        verdict = heard_language(heard, read_json(request.input("audio_info"))["language"])
    segments: list[Segment] = []
    with open(f"{request.scratch_dir}/segments.jsonl", "w", encoding="ascii") as stream:
        for packed in packs:
            samples = sound(audio, packed.pieces)
            for segment in recognise(request, model, samples, packed, turns, verdict.language):
                report.check_cancelled()
                report.progress(segment.end, audio.seconds)
                stream.write(json.dumps(segment.to_json()) + "\n")
                stream.flush()
                segments.append(segment)
    report.progress(audio.seconds, audio.seconds)
    put_json(
        request.output("transcript"),
        transcript(
            with_edges(segments, turns),
            turns,
            verdict=verdict,
            model=request.model,
            duration=audio.seconds,
        ),
    )
    return StageOutcome(
        facts={
            "language": normalise(verdict.language) or verdict.language,
            "language_probability": round(verdict.probability, 4),
            "speech_seconds": round(sum(turn.end - turn.start for turn in turns), 3),
            "segments": len(segments),
        }
    )


def pack(turns: list[Turn], duration: float, settings: Any) -> list[Packed]:
    """What is transcribed at once, in order."""
    kept = islands(
        turns,
        duration,
        min_silence=settings["vad_min_silence_ms"] / 1000,
        pad=settings["vad_speech_pad_ms"] / 1000,
    )
    found = [Packed(tuple(within(kept, span))) for span in spans(turns, duration, _LONGEST_SPAN)]
    return [packed for packed in found if packed.pieces]


def recognise(
    request: StageRequest,
    model: Recogniser,
    samples: Samples,
    packed: Packed,
    turns: list[Turn],
    language: str,
) -> Iterator[Segment]:
    """Segments in audio time, as they are decoded."""
    settings = request.settings
    batch_size = settings["batch_size"]
    options = {
        "language": language,
        "beam_size": settings["beam_size"],
        "initial_prompt": settings["initial_prompt"] or None,
        "hotwords": settings["hotwords"] or None,
        "condition_on_previous_text": settings["condition_on_previous_text"],
        "word_timestamps": True,
    }
    if batch_size != "auto" and batch_size > 1:
        windows = packed.windows(turns, WINDOW_SECONDS)
        found, _ = BatchedInferencePipeline(model.whisper).transcribe(
            samples,
            batch_size=batch_size,
            clip_timestamps=[{"start": one.start, "end": one.end} for one in windows],
            **options,
        )
    else:
        found, _ = model.whisper.transcribe(samples, **options)
    for segment in found:
        words = [
            Word(*packed.restore(word.start, word.end), word.word, word.probability)
            for word in segment.words
        ]
        start, end = packed.restore(segment.start, segment.end)
        yield Segment(
            start=words[0].start if words else start,
            end=words[-1].end if words else end,
            text=segment.text,
            words=tuple(words),
            avg_logprob=segment.avg_logprob,
            no_speech_prob=segment.no_speech_prob,
            compression_ratio=segment.compression_ratio,
            temperature=segment.temperature,
        )


def with_edges(segments: list[Segment], turns: list[Turn]) -> Iterator[Segment]:
    """The segments with the edges of their words, and so their own, where speech has its edges."""
    words = iter(snap([word for segment in segments for word in segment.words], turns))
    for segment in segments:
        own = tuple(next(words) for _ in segment.words)
        if own:
            yield replace(segment, start=own[0].start, end=own[-1].end, words=own)
        else:
            yield segment
