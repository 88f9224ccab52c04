"""Find out who speaks when, with pyannote.audio, and write the speakers into the transcript.

The sound is worked on in windows that are cut in silence, so that memory does not grow with it; the
speakers of all windows are brought together by their voices.
"""

from __future__ import annotations

import os

# Before pyannote.audio is imported: it reports each use to its makers by default.
os.environ["PYANNOTE_METRICS_ENABLED"] = "0"

import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pyannote.audio.pipelines import SpeakerDiarization
from pyannote.audio.telemetry.metrics import provider

from orchestrator.contract.atomic import put_json, read_json
from orchestrator.contract.errors import fail
from orchestrator.contract.exchange import StageOutcome, StageRequest
from orchestrator.contract.report import Report
from orchestrator.stagekit.speech import Turn, read_turns, spans
from orchestrator.stagekit.wavfile import SAMPLE_RATE, WavSamples

from .engine import load_pipeline
from .linking import WINDOW, Voice, link
from .speakers import SpeakerTurn, with_speakers

_STEPS = {"segmentation": (0.0, 0.3), "embeddings": (0.3, 0.7)}
"""Steps of the pipeline: the share of the time before each of them, and the one it takes."""


def load(settings: Mapping[str, Any]) -> SpeakerDiarization:
    """Raises: Failure ``model_missing`` or ``model_unusable``; RuntimeError from CUDA."""
    provider.shutdown()  # a thread that waits for reports to send
    torch.set_num_threads(settings["threads"])
    # pyannote.audio warns of a decoder that cannot be loaded; it is given samples and needs none.
    warnings.filterwarnings("ignore", module="pyannote|torchaudio|torchcodec")
    return load_pipeline(Path(settings["model_path"] or ""), torch.device(settings["device"]))


def run(request: StageRequest, model: SpeakerDiarization, report: Report) -> StageOutcome:
    """Raises: Failure ``speakers_contradict`` or ``audio_unusable``."""
    fewest, most = asked_for(request.settings)
    audio = WavSamples(request.input("audio"))
    transcript = read_json(request.input("transcript"))
    windows = spans(speech_of(request, transcript, audio.seconds), audio.seconds, WINDOW)
    found: list[tuple[Turn, int]] = []
    voices: list[Voice] = []
    for number, window in enumerate(windows):
        # Not everybody speaks in every window, where there are several.
        limits = {"min_speakers": fewest if len(windows) == 1 else None, "max_speakers": most}
        for voice, spoken in listen(model, audio, window, limits, report):
            found += [(turn, len(voices)) for turn in spoken]
            voices.append(Voice(number, voice, sum(turn.end - turn.start for turn in spoken)))
    numbers = link(voices, fewest=fewest or 1, most=most)
    turns = in_order([(turn, numbers[place]) for turn, place in found])
    speakers = sorted({turn.speaker for turn in turns}, key=lambda name: int(name[1:]))
    if not (fewest or 0) <= len(speakers) <= (most or len(speakers)):
        report.warning(
            "speakers_not_as_asked",
            f"{len(speakers)} speakers were found, other than the settings ask for.",
        )
    put_json(
        request.output("turns"),
        {
            "version": 1,
            "engine": "pyannote",
            "speakers": speakers,
            "turns": [turn._asdict() for turn in turns],
        },
    )
    segments = with_speakers(transcript["segments"], turns)
    put_json(
        request.output("transcript"), {**transcript, "speakers": speakers, "segments": segments}
    )
    report.progress(audio.seconds, audio.seconds)
    return StageOutcome(facts={"speakers": len(speakers)})


def asked_for(settings: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """How many speakers there are at least and at most. Raises: Failure ``speakers_contradict``."""
    exactly = settings["num_speakers"]
    fewest = exactly or settings["min_speakers"]
    most = exactly or settings["max_speakers"]
    if fewest and most and fewest > most:
        raise fail(
            "speakers_contradict",
            f"At least {fewest} and at most {most} speakers are asked for.",
            "Correct stages.diarization.min_speakers or max_speakers.",
        )
    return fewest, most


def speech_of(request: StageRequest, transcript: Mapping[str, Any], seconds: float) -> list[Turn]:
    """Where somebody speaks, as far as that is known; else everywhere."""
    if "speech" in request.inputs:
        return read_turns(request.input("speech"))
    if transcript.get("speech") is not None:
        return [Turn(*turn) for turn in transcript["speech"]]
    return [Turn(0.0, seconds)]


def listen(
    model: SpeakerDiarization,
    audio: WavSamples,
    window: Turn,
    limits: Mapping[str, int | None],
    report: Report,
) -> Iterator[tuple[tuple[float, ...], list[Turn]]]:
    """The voice of each speaker in a window of the sound, and the turns, in audio time."""
    samples = np.array(audio.between(*window), dtype=np.float32) / 32768.0

    def progress(
        step: str, _: object, *, completed: float = 0, total: float = 1, **__: object
    ) -> None:
        report.check_cancelled()
        begin, share = _STEPS.get(step, (1.0, 0.0))
        done = begin + share * min(1.0, completed / max(total, 1))
        report.progress(window.start + done * (window.end - window.start), audio.seconds)

    output = model(
        {"waveform": torch.from_numpy(samples)[None], "sample_rate": SAMPLE_RATE, "uri": "window"},
        hook=progress,
        **limits,
    )
    annotation = output.speaker_diarization
    for label, vector in zip(annotation.labels(), output.speaker_embeddings, strict=True):
        turns = [
            Turn(window.start + turn.start, min(window.start + turn.end, window.end))
            for turn in annotation.label_timeline(label)
        ]
        yield tuple(map(float, vector)), turns


def in_order(turns: list[tuple[Turn, int]]) -> list[SpeakerTurn]:
    """The turns in the order of time; the speakers are named in the order in which they begin."""
    names: dict[int, str] = {}
    found = []
    for turn, number in sorted(turns):
        name = names.setdefault(number, f"S{len(names) + 1}")
        found.append(SpeakerTurn(round(turn.start, 3), round(turn.end, 3), name))
    return found
