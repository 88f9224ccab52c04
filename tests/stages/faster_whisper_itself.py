"""Compare the parts of the stage asr with what faster-whisper does by itself, in its environment.

Run: python faster_whisper_itself.py AUDIO MODEL (a WAV file of 16 kHz, a model's folder); prints
JSON. Blocks and slices are made so short that the sound has many.
"""

from __future__ import annotations

import json
import sys
import tempfile
import wave
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.audio import decode_audio
from faster_whisper.feature_extractor import FeatureExtractor
from faster_whisper.vad import VadOptions, collect_chunks, get_speech_timestamps, get_vad_model

from orchestrator.contract.channel import Sender
from orchestrator.contract.report import Report
from orchestrator.stagekit import silero
from orchestrator.stagekit.wavfile import SAMPLE_RATE, WavSamples
from orchestrator.stages.asr import engine
from orchestrator.stages.asr.recognition import Mode, pack, recognise

SETTINGS: dict[str, Any] = {
    "batch_size": 1,
    "beam_size": 5,
    "initial_prompt": None,
    "hotwords": None,
    "condition_on_previous_text": False,
    "vad_min_silence_ms": 2000,
    "vad_speech_pad_ms": 400,
}
PAUSES = np.arange(1.6, 2.4, 0.04)
QUIET = Report(Sender(1, "run"), "asr", lambda: 0.0)
QUIET.progress = lambda *_: None  # type: ignore[method-assign]


def with_pauses(samples: Any, folder: str) -> Path:
    """Two seconds of speech again and again, with pauses of 1.6 to 2.4 seconds between them."""
    speech = (samples[: 2 * SAMPLE_RATE] * 32767).astype(np.int16)
    pauses = [
        np.zeros(int(seconds * SAMPLE_RATE), np.int16) for seconds in np.arange(1.6, 2.4, 0.04)
    ]
    path = Path(folder, "pauses.wav")
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, SAMPLE_RATE, 0, "NONE", ""))
        for pause in pauses:
            file.writeframes(speech.tobytes() + pause.tobytes())
    return path


def speech_of_both(path: Path) -> tuple[Sequence[float], Sequence[float]]:
    """What faster-whisper keeps of the sound, and what we do."""
    theirs = decode_audio(str(path))
    options = VadOptions(min_silence_duration_ms=2000, speech_pad_ms=400)
    chunks, _ = collect_chunks(theirs, get_speech_timestamps(theirs.copy(), options))
    audio = WavSamples(path)
    turns = engine.detect_speech(audio, 0.5, QUIET)
    (packed,) = pack(turns, audio.seconds, SETTINGS, Mode.IN_ORDER)
    return np.concatenate(chunks).tolist(), engine.sound(audio, packed.pieces).tolist()


def spectrograms_differ_by(samples: Any) -> float:
    theirs = FeatureExtractor()
    ours = engine.Spectrogram(FeatureExtractor())
    lengths = (0, 1, 159, 160, 399, 400, 16_000, 112_000, 112_160, 112_320, 112_500, len(samples))
    pairs = [(theirs(samples[:length]), ours(samples[:length])) for length in lengths]
    assert all(one.shape == other.shape for one, other in pairs)
    return max(float(np.abs(one - other).max()) for one, other in pairs)


def words_of_both(path: Path, model: str) -> tuple[str, str]:
    whisper = WhisperModel(model, device="cpu", compute_type="int8", local_files_only=True)
    found, _ = whisper.transcribe(
        str(path),
        language="en",
        beam_size=5,
        condition_on_previous_text=False,
        word_timestamps=True,
        vad_filter=True,
        vad_parameters={"min_silence_duration_ms": 2000, "speech_pad_ms": 400},
    )
    theirs = "".join(segment.text for segment in found)
    audio = WavSamples(path)
    turns = engine.detect_speech(audio, 0.5, QUIET)
    packs = pack(turns, audio.seconds, SETTINGS, Mode.IN_ORDER)
    ours = engine.load({"model_path": model, "compute_type": "int8", "device": "cpu", "threads": 1})
    heard = recognise(ours, audio, packs, turns, SETTINGS, "en", QUIET)
    return theirs, "".join(segment.text for segment in heard)


def main() -> None:
    path, model = Path(sys.argv[1]), sys.argv[2]
    silero._WINDOWS_AT_ONCE = 100
    engine._SLICE_FRAMES = 700
    samples = decode_audio(str(path))
    whole = samples[: len(samples) // 512 * 512]
    at_once = get_vad_model()(whole.copy()).reshape(-1)
    in_blocks = silero.probabilities(WavSamples(path), get_vad_model().session, lambda heard: None)
    # faster-whisper silences the last 4 ms of all.
    detector = float(np.abs(at_once[:-1] - np.array(in_blocks)[: len(at_once) - 1]).max())
    with tempfile.TemporaryDirectory() as folder:
        their_speech, our_speech = speech_of_both(with_pauses(samples, folder))
    theirs, ours = words_of_both(path, model)
    answer = {
        "detector": detector,
        "spectrogram": spectrograms_differ_by(samples),
        "speech": [len(their_speech), len(our_speech), their_speech == our_speech],
        "words": [theirs, ours],
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
