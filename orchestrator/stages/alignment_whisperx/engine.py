"""whisperx's alignment by wav2vec2 models: one for each language, loaded when it is needed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import whisperx.alignment
from whisperx.alignment import LANGUAGES_WITHOUT_SPACES, align, load_align_model

from orchestrator.contract.errors import ErrorClass, fail
from orchestrator.contract.exchange import ModelRef
from orchestrator.stagekit.alignment import Placed
from orchestrator.stagekit.speech import Turn
from orchestrator.stagekit.wavfile import WavSamples

from .letters import entries, joined


class _OneSentence:
    """Takes any text for one sentence: where sentences end is of no interest here.

    whisperx asks NLTK for them, and NLTK would fetch its tables from the network.
    """

    def span_tokenize(self, text: str) -> list[tuple[int, int]]:
        return [(0, len(text))]


class Aligner:
    """The models that there are, and the one that was used last."""

    def __init__(self, models: Sequence[ModelRef], device: str) -> None:
        self.models = tuple(models)
        self._device = device
        self._loaded: tuple[str, str] | None = None
        self._model: Any = None
        self._metadata: dict[str, Any] = {}
        whisperx.alignment.nltk_load = lambda _resource: _OneSentence()

    def use(self, model: ModelRef, language: str) -> None:
        """Have ``model`` align ``language`` from now on. Raises: Failure ``model_unusable``."""
        if self._loaded == (model.path, language):
            return
        self._loaded = self._model = None  # the memory is wanted for the next one
        os.environ["HF_HUB_OFFLINE"] = "1"
        try:
            self._model, self._metadata = load_align_model(
                language, self._device, model_name=model.path, model_cache_only=True
            )
        except ValueError as error:
            raise fail(
                "model_unusable",
                f"The alignment model {model.name} at {model.path} cannot be loaded: {error}",
                "It must be a folder with a Wav2Vec2ForCTC model and its processor. Delete a "
                "folder in the model store to have it fetched again, or correct "
                "stages.alignment_whisperx.models.",
                error_class=ErrorClass.ENVIRONMENT,
            ) from error
        self._loaded = (model.path, language)

    def align(
        self, audio: WavSamples, sound: Turn, words: Sequence[str], language: str
    ) -> list[Placed | None] | None:
        """Where the words are said within ``sound``; None where they could not be found in it."""
        samples = np.frombuffer(audio.between(*sound), dtype=np.int16)
        text = joined(words)
        if not len(samples) or not text:
            return None
        seconds = len(samples) / 16_000
        answer = align(
            [{"start": 0.0, "end": seconds, "text": text}],
            self._model,
            self._metadata,
            torch.from_numpy(samples.astype(np.float32) / 32768.0),
            self._device,
        )
        found = iter(answer["word_segments"])
        counts = entries(words, by_letter=language in LANGUAGES_WITHOUT_SPACES)
        if len(answer["word_segments"]) != sum(counts):
            return None
        return [self._placed([next(found) for _ in range(one)], sound.start) for one in counts]

    @staticmethod
    def _placed(parts: Sequence[dict[str, Any]], shift: float) -> Placed | None:
        """A word from its parts; None where none of them was found."""
        known = [one for one in parts if "start" in one and "end" in one and "score" in one]
        if not known:
            return None
        score = sum(one["score"] for one in known) / len(known)
        return Placed(
            shift + float(known[0]["start"]), shift + float(known[-1]["end"]), float(score)
        )


def set_threads(threads: int) -> None:
    torch.set_num_threads(threads)
