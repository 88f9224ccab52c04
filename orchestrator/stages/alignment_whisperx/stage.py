"""Find out when each word is said, with the wav2vec2 model of its language, by whisperx.

A language without a model keeps the times that recognition gave, and the transcript says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.contract.atomic import put_json, read_json
from orchestrator.contract.exchange import ModelRef, StageOutcome, StageRequest
from orchestrator.contract.languages import normalise
from orchestrator.contract.report import Report
from orchestrator.stagekit.alignment import (
    Passage,
    agreement,
    aligned,
    find_words,
    is_doubtful,
    model_for,
)
from orchestrator.stagekit.speech import Turn
from orchestrator.stagekit.wavfile import WavSamples

from .engine import Aligner, set_threads

_PAD = 0.2
"""Seconds of sound added around a passage: the edges of recognition are that rough."""
_APART = 0.5
"""Seconds of silence that part passages."""


def load(settings: Mapping[str, Any]) -> Aligner:
    set_threads(settings["threads"])
    models = [
        ModelRef(one["name"], one["path"], one["key"], tuple(one["languages"]))
        for one in settings["models"]
    ]
    return Aligner(models, settings["device"])


def run(request: StageRequest, model: Aligner, report: Report) -> StageOutcome:
    transcript = read_json(request.input("transcript"))
    segments = transcript["segments"]
    language = transcript["language"]
    audio = WavSamples(request.input("audio"))
    found: Sequence[Passage | None] = [None] * len(segments)

    def listen(sound: Turn, words: list[str]) -> Passage | None:
        report.check_cancelled()
        report.progress(sound.start, audio.seconds)
        return model.align(audio, sound, words, language)

    chosen = model_for(model.models, normalise(language) or language)
    if chosen is None and segments:
        report.warning(
            "alignment_no_model",
            f"No alignment model for {language!r} is named in stages.alignment_whisperx.models: "
            "the words keep the times that recognition gave them.",
        )
    elif chosen is not None:
        model.use(chosen, language)
        found = find_words(
            segments,
            listen,
            duration=audio.seconds,
            longest=request.settings["passage_seconds"],
            apart=_APART,
            pad=_PAD,
        )
    refined = aligned(transcript, found, engine="whisperx", model=chosen)
    if is_doubtful(refined["alignment"]):
        report.warning(
            "alignment_doubtful",
            "Half of the words were moved by more than "
            f"{refined['alignment']['median_difference']} s: the model may not fit the language.",
        )
    report.progress(audio.seconds, audio.seconds)
    put_json(request.output("transcript"), refined)
    return StageOutcome(metrics=agreement(refined["alignment"]))
