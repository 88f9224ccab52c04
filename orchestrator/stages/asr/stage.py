"""Recognise speech with Whisper: language, words with their times, and the turns of speech.

A file is worked on in pieces cut in silence, so that memory does not grow with its length. All
times are audio time. What this run did differs in no way from what another run of the same model
and settings does: nothing about speed or machine goes into the transcript.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from orchestrator.contract.atomic import put_json, read_json
from orchestrator.contract.exchange import StageOutcome, StageRequest
from orchestrator.contract.languages import normalise
from orchestrator.contract.report import Report
from orchestrator.stagekit.packing import Packed
from orchestrator.stagekit.speech import Turn, read_turns
from orchestrator.stagekit.transcript import Segment, transcript
from orchestrator.stagekit.wavfile import WavSamples
from orchestrator.stagekit.whisper import heard_language, known_language

from .edges import snap
from .engine import Recogniser, detect_speech, hear_languages, load
from .recognition import Mode, pack, pieces_at_once, recognise

__all__ = ["load", "run"]


def run(request: StageRequest, model: Recogniser, report: Report) -> StageOutcome:
    settings = request.settings
    pieces = pieces_at_once(settings)
    model.begin(pieces)
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
    packs = pack(turns, audio.seconds, settings, Mode.of(pieces, on_gpu=model.on_gpu))
    verdict = known_language(request.language, model.whisper)
    if verdict is None:
        heard = hear_languages(model.whisper, audio, turns, packs[0] if packs else Packed(()))
        verdict = heard_language(heard, read_json(request.input("audio_info"))["language"])
    segments = list(recognise(model, audio, packs, turns, settings, verdict.language, report))
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


def with_edges(segments: list[Segment], turns: list[Turn]) -> Iterator[Segment]:
    """The segments with the edges of their words, and so their own, where speech has its edges."""
    words = iter(snap([word for segment in segments for word in segment.words], turns))
    for segment in segments:
        own = tuple(next(words) for _ in segment.words)
        if own:
            yield replace(segment, start=own[0].start, end=own[-1].end, words=own)
        else:
            yield segment
