"""Find where somebody speaks, with the Silero detector that comes with faster-whisper.

The file is read block by block: memory grows by a few bytes for each second of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from faster_whisper.vad import SileroVADModel, get_vad_model

from orchestrator.contract.atomic import put_json
from orchestrator.contract.exchange import StageOutcome, StageRequest
from orchestrator.contract.report import Report
from orchestrator.stagekit.silero import WINDOW_SECONDS, probabilities
from orchestrator.stagekit.voice_activity import speech, speech_turns
from orchestrator.stagekit.wavfile import WavSamples


def load(settings: Mapping[str, Any]) -> SileroVADModel:
    return get_vad_model()


def run(request: StageRequest, model: SileroVADModel, report: Report) -> StageOutcome:
    """Raises: Failure ``audio_unusable``."""
    audio = WavSamples(request.input("audio"))
    settings = request.settings

    def heard(seconds: float) -> None:
        report.check_cancelled()
        report.progress(seconds, audio.seconds)

    turns = speech_turns(
        probabilities(audio, model.session, heard),
        WINDOW_SECONDS,
        settings["threshold"],
        min_silence=settings["min_silence_ms"] / 1000,
        min_speech=settings["min_speech_ms"] / 1000,
    )
    put_json(request.output("speech"), speech("silero", turns, audio.seconds))
    seconds = sum(turn.end - turn.start for turn in turns)
    return StageOutcome(facts={"speech_seconds": round(seconds, 3)})
