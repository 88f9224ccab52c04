"""Translate subtitles with small models that come with a package: no GPU, no network, no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sentencepiece

from orchestrator.contract.errors import ErrorClass, fail
from orchestrator.contract.exchange import StageOutcome, StageRequest
from orchestrator.contract.report import Report
from orchestrator.stagekit.cue_files import CueJob
from orchestrator.stagekit.cue_translation import Unit, translate_cues
from orchestrator.stagekit.translation_batches import translate_in_batches

from .engine import Network
from .folder import StudentFolder, choose
from .marianfile import read_model

_BATCH = 32
_LONGEST = 128
"""Tokens translated at once: the models learned from sentences, few of them longer."""


@dataclass(frozen=True, slots=True)
class Translator:
    folder: StudentFolder
    network: Network
    pieces: Any


class Translators:
    """Loads a model when a file first needs it, and keeps it: each takes 90 MB."""

    def __init__(self) -> None:
        self._loaded: dict[str, Translator] = {}

    def get(self, folder: StudentFolder) -> Translator:
        """Raises: Failure ``model_unusable``."""
        key = str(folder.model)
        if key not in self._loaded:
            self._loaded[key] = _load(folder)
        return self._loaded[key]


def load(settings: Mapping[str, Any]) -> Translators:
    return Translators()


def run(request: StageRequest, model: Translators, report: Report) -> StageOutcome:
    job = CueJob(request)
    finished = job.without_model(report)
    if finished is not None:
        return finished
    translator = model.get(choose(request.models, job.source, job.target))

    def progress(done: int, total: int) -> None:
        report.check_cancelled()
        report.progress(done, total, "sentences")

    def translate(units: Sequence[Unit]) -> list[str]:
        return translate_in_batches(
            [unit.text for unit in units],
            lambda batch: _translated(translator, batch),
            tokens=lambda text: len(translator.pieces.encode(text)),
            longest=_LONGEST,
            batch_size=_BATCH,
            progress=progress,
        )

    return job.write(translate_cues(job.script(), translate), translator.folder.name, report)


def _translated(translator: Translator, texts: list[str]) -> list[str]:
    made = translator.network.translate(translator.pieces.encode(texts))
    return [str(text) for text in translator.pieces.decode(made)]


def _load(folder: StudentFolder) -> Translator:
    try:
        pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder.vocabulary))
        network = Network(read_model(folder.model), pieces.eos_id())
    except (ValueError, KeyError, OSError, RuntimeError) as error:
        raise fail(
            "model_unusable",
            f"The translation model at {folder.model.parent} cannot be loaded: {error}",
            "Delete that folder and run verify_install.py: it fetches the model again.",
            error_class=ErrorClass.ENVIRONMENT,
        ) from error
    return Translator(folder, network, pieces)
