"""faster-whisper and its Silero detector: loading, and what is asked of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import ctranslate2
import numpy as np
import numpy.typing as npt
from faster_whisper import WhisperModel
from faster_whisper.audio import pad_or_trim
from faster_whisper.feature_extractor import FeatureExtractor
from faster_whisper.vad import get_vad_model

from orchestrator.contract.report import Report
from orchestrator.stagekit import silero
from orchestrator.stagekit.packing import Packed
from orchestrator.stagekit.speech import Turn, listening_places
from orchestrator.stagekit.voice_activity import speech_turns
from orchestrator.stagekit.wavfile import SAMPLE_RATE, WavSamples
from orchestrator.stagekit.whisper import listen
from orchestrator.stagekit.whisper_folder import load_whisper

Samples: TypeAlias = npt.NDArray[np.float32]

WINDOW_SECONDS = 30.0
"""Seconds that Whisper hears at once."""
_PLACES = 5
"""How many places of a long file are listened at for its language."""
_REMEMBERED_SAMPLES = 60 * SAMPLE_RATE
"""What is longer takes so long anyway that its first 30 seconds may be heard twice."""
_SLICE_FRAMES = 6000
"""Frames of a spectrogram that are made at once: a minute."""
_MARGIN_FRAMES = 2
"""Frames that are spoilt by the end of a slice, of which nobody knows what follows it."""
_RANGE = 2.0
"""How far the spectrogram reaches down from its highest value: 8 powers of ten, in quarters."""

_SEED = 1
"""Where the random numbers begin with which Whisper decodes again what it is not sure of.

If CTranslate2 is not told, they begin somewhere else in each process, and the words would differ.
"""


class Crew(NamedTuple):
    """``members`` work at a time, each on a piece of its own and with so many ``threads``."""

    members: int
    threads: int

    @classmethod
    def for_batches(cls, pieces: int, threads: int) -> Crew:
        """One thread each is the fastest on a CPU: a piece keeps a second one busy to 0.4."""
        members = max(1, min(pieces, threads))
        return cls(members, threads // members)


@dataclass(slots=True)
class Recogniser:
    """A loaded model, and the settings that it was loaded with.

    ``wanted`` differs from ``compute_type`` where the device lacks it.
    """

    whisper: WhisperModel
    compute_type: str
    wanted: str
    crew: Crew
    _settings: Mapping[str, Any]
    _decode: Decoding

    @property
    def on_gpu(self) -> bool:
        return not str(self._settings["device"]).startswith("cpu")

    def begin(self, pieces: int) -> None:
        """Before each file, of which so many ``pieces`` may be recognised at a time.

        Loads again for another crew, and if the last file drew random numbers: they go on where
        that file left them, and nothing but another model begins them anew. The words of a file
        would depend on what was recognised before it.
        """
        crew = self._crew_for(pieces)
        if self._decode.drew or crew != self.crew:
            del self.whisper  # before the next one is loaded beside it
            new = _load(self._settings, crew)
            self.whisper, self.crew, self._decode = new.whisper, new.crew, new._decode

    def _crew_for(self, pieces: int) -> Crew:
        threads = self._settings["threads"]
        return Crew(1, threads) if self.on_gpu else Crew.for_batches(pieces, threads)


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
        self._last: tuple[Samples | None, dict[str, Any], Any] = None, {}, None

    def __call__(self, asked: Samples, **options: Any) -> Any:
        if asked.size > _REMEMBERED_SAMPLES:
            return self._part(asked, **options)
        before, options_before, answer = self._last  # at once: several threads may ask
        same = before is not None and np.array_equal(before, asked)
        if not same or options != options_before:
            answer = self._part(asked, **options)
            self._last = asked, options, answer
        return answer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._part, name)


class Spectrogram:
    """Stands in for faster-whisper's feature extractor: the same, made a minute at a time.

    At once, that of 15 minutes takes 700 MB on the way. Each value depends on 25 ms of sound, and
    then on the loudest of all: what lies 8 powers of ten below that is cut off.
    """

    def __init__(self, extractor: FeatureExtractor) -> None:
        self._extractor = extractor

    def __call__(self, samples: Samples, padding: int = 160, **options: Any) -> Samples:
        hop = self._extractor.hop_length
        frames = (len(samples) + padding) // hop
        slices: list[Samples] = []
        for start in range(0, max(frames, 1), _SLICE_FRAMES):
            first = max(0, start - _MARGIN_FRAMES)
            end = start + _SLICE_FRAMES
            if end + _MARGIN_FRAMES >= frames:
                rest = self._extractor(samples[first * hop :], padding=padding, **options)
                slices.append(rest[:, start - first :])
                break
            part = samples[first * hop : (end + _MARGIN_FRAMES) * hop]
            made = self._extractor(part, padding=0, **options)
            slices.append(made[:, start - first : end - first])
        whole: Samples = np.concatenate(slices, axis=1)
        return np.maximum(whole, whole.max() - _RANGE, out=whole)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._extractor, name)


def load(settings: Mapping[str, Any]) -> Recogniser:
    """Raises: Failure ``model_missing`` or ``model_unusable``; RuntimeError from CUDA."""
    return _load(settings, Crew(1, settings["threads"]))


def _load(settings: Mapping[str, Any], crew: Crew) -> Recogniser:
    ctranslate2.set_random_seed(_SEED)
    make = partial(WhisperModel, num_workers=crew.members)
    loaded = load_whisper(
        {**settings, "threads": crew.threads}, make, ctranslate2.get_supported_compute_types
    )
    whisper = loaded.whisper
    whisper.encode = RememberLast(whisper.encode)
    whisper.feature_extractor = RememberLast(Spectrogram(whisper.feature_extractor))
    whisper.generate_with_fallback = decode = Decoding(whisper.generate_with_fallback)
    return Recogniser(whisper, loaded.compute_type, loaded.wanted, crew, settings, decode)


def sound(audio: WavSamples, pieces: Sequence[Turn]) -> Samples:
    """The samples of the pieces, one behind the other, in -1 to 1."""
    cut = [np.frombuffer(audio.between(*piece), dtype=np.int16) for piece in pieces]
    samples: Samples = np.concatenate([np.zeros(0, np.int16), *cut]).astype(np.float32)
    samples /= 32768.0
    return samples


def detect_speech(audio: WavSamples, threshold: float, report: Report) -> list[Turn]:
    """Turns of speech in the whole file, found block by block."""

    def heard(seconds: float) -> None:
        report.check_cancelled()
        report.progress(0.0, audio.seconds)

    found = silero.probabilities(audio, get_vad_model().session, heard)
    turns = speech_turns(found, silero.WINDOW_SECONDS, threshold)
    return [Turn(turn.start, min(turn.end, audio.seconds)) for turn in turns]


def hear_languages(
    whisper: WhisperModel, audio: WavSamples, turns: Sequence[Turn], first: Packed
) -> list[Mapping[str, float]]:
    """The probability of each language at the places listened at; none without speech.

    ``first`` is what is transcribed first. Where that is short, the first place is the beginning of
    it, prepared as transcribing prepares it, so that nothing is done twice.
    """
    places = listening_places(turns, _PLACES, WINDOW_SECONDS) if turns else []
    whole = first.duration * SAMPLE_RATE <= _REMEMBERED_SAMPLES

    def hear(place: Turn) -> dict[str, float]:
        samples = sound(audio, first.pieces if whole and place == places[0] else [place])
        # The last frame is the extractor's padding, which transcribing leaves out.
        features = whisper.feature_extractor(samples, chunk_length=None)[:, :-1]
        window = pad_or_trim(features[:, : whisper.feature_extractor.nb_max_frames])
        (answer,) = whisper.model.detect_language(whisper.encode(window))
        return {token[2:-2]: probability for token, probability in answer}

    return listen(places, hear)
