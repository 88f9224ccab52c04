"""faster-whisper and its Silero detector: loading, and what is asked of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import ctranslate2
import numpy as np
import numpy.typing as npt
from faster_whisper import WhisperModel
from faster_whisper.audio import pad_or_trim
from faster_whisper.vad import get_vad_model

from orchestrator.contract.report import Report
from orchestrator.stagekit.speech import Turn, listening_places
from orchestrator.stagekit.voice_activity import speech_turns
from orchestrator.stagekit.wavfile import SAMPLE_RATE, WavSamples
from orchestrator.stagekit.whisper import listen
from orchestrator.stagekit.whisper_folder import load_whisper

Samples: TypeAlias = npt.NDArray[np.float32]

WINDOW_SECONDS = 30.0
"""Seconds that Whisper hears at once."""
_VAD_WINDOW = 512
_VAD_BLOCK = 600.0
_VAD_RUN_UP = 1.024
"""Seconds that a block of detection begins early, because the detector starts without memory."""
_PLACES = 5
"""How many places of a long file are listened at for its language."""


_SEED = 1
"""Where the random numbers begin with which Whisper decodes again what it is not sure of.

If CTranslate2 is not told, they begin somewhere else in each process, and the words would differ.
"""


@dataclass(slots=True)
class Recogniser:
    """A loaded model, and the settings that it was loaded with.

    ``wanted`` differs from ``compute_type`` where the device lacks it.
    """

    whisper: WhisperModel
    compute_type: str
    wanted: str
    _settings: Mapping[str, Any]
    _decode: Decoding

    def begin(self) -> None:
        """Before each file: load again if the last one drew random numbers.

        They go on where that file left them, and nothing but another model begins them anew. The
        words of a file would depend on what was recognised before it.
        """
        if self._decode.drew:
            del self.whisper  # before the next one is loaded beside it
            new = load(self._settings)
            self.whisper, self._decode = new.whisper, new._decode


class Decoding:
    """Stands in for faster-whisper's decoding, and notes whether it has drawn random numbers."""

    def __init__(self, decode: Callable[..., Any]) -> None:
        self._decode = decode
        self.drew = False

    def __call__(self, *asked: Any, **options: Any) -> Any:
        result, avg_logprob, temperature, compression_ratio = self._decode(*asked, **options)
        self.drew = self.drew or temperature > 0
        return result, avg_logprob, temperature, compression_ratio


class RememberLast:
    """Stands in for a part of the model, and answers at once when asked the same thing again.

    The language is found out from the sound that is then transcribed. Without a memory its
    spectrogram would be made twice and the encoder would hear it twice, which is half of the time
    that a short file takes.
    """

    def __init__(self, part: Callable[..., Any]) -> None:
        self._part = part
        self._asked: Samples | None = None
        self._options: dict[str, Any] = {}
        self._answer: Any = None

    def __call__(self, asked: Samples, **options: Any) -> Any:
        if asked.ndim > 2:  # a batch: large, and never asked for again
            return self._part(asked, **options)
        same = self._asked is not None and np.array_equal(self._asked, asked)
        if not same or options != self._options:
            self._answer = self._part(asked, **options)
            self._asked, self._options = asked, options
        return self._answer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._part, name)


def load(settings: Mapping[str, Any]) -> Recogniser:
    """Raises: Failure ``model_missing`` or ``model_unusable``; RuntimeError from CUDA."""
    ctranslate2.set_random_seed(_SEED)
    loaded = load_whisper(settings, WhisperModel, ctranslate2.get_supported_compute_types)
    whisper = loaded.whisper
    whisper.encode = RememberLast(whisper.encode)
    whisper.feature_extractor = RememberLast(whisper.feature_extractor)
    whisper.generate_with_fallback = decode = Decoding(whisper.generate_with_fallback)
    return Recogniser(whisper, loaded.compute_type, loaded.wanted, settings, decode)


def sound(audio: WavSamples, pieces: Sequence[Turn]) -> Samples:
    """The samples of the pieces, one behind the other, in -1 to 1."""
    cut = [np.frombuffer(audio.between(*piece), dtype=np.int16) for piece in pieces]
    samples: Samples = np.concatenate([np.zeros(0, np.int16), *cut]).astype(np.float32) / 32768.0
    return samples


def detect_speech(audio: WavSamples, threshold: float, report: Report) -> list[Turn]:
    """Turns of speech in the whole file, found block by block."""
    detector = get_vad_model()
    window = _VAD_WINDOW / SAMPLE_RATE
    probabilities: list[float] = []
    start = 0.0
    while start < audio.seconds:
        report.check_cancelled()
        begin = max(0.0, start - _VAD_RUN_UP)
        block = sound(audio, [Turn(begin, start + _VAD_BLOCK)])
        padded = np.pad(block, (0, -len(block) % _VAD_WINDOW))
        found = detector(padded).reshape(-1)
        probabilities.extend(found[round((start - begin) / window) :].tolist())
        start += _VAD_BLOCK
        report.progress(0.0, audio.seconds)
    turns = speech_turns(probabilities, window, threshold)
    return [Turn(turn.start, min(turn.end, audio.seconds)) for turn in turns]


def hear_languages(
    whisper: WhisperModel, audio: WavSamples, turns: Sequence[Turn], first: Samples
) -> list[Mapping[str, float]]:
    """The probability of each language at the places listened at; none without speech.

    ``first`` is what is transcribed first. The first place is the beginning of that, prepared as
    transcribing prepares it, so that nothing is done twice.
    """
    places = listening_places(turns, _PLACES, WINDOW_SECONDS) if turns else []

    def hear(place: Turn) -> dict[str, float]:
        samples = first if place == places[0] else sound(audio, [place])
        # The last frame is the extractor's padding, which transcribing leaves out.
        features = whisper.feature_extractor(samples, chunk_length=None)[:, :-1]
        window = pad_or_trim(features[:, : whisper.feature_extractor.nb_max_frames])
        (answer,) = whisper.model.detect_language(whisper.encode(window))
        return {token[2:-2]: probability for token, probability in answer}

    return listen(places, hear)
