"""Translate subtitles between English and the languages of India with IndicTrans2.

The models come with code of their own, which this stage runs: it is part of the folder that the
user names, and of the model's key. IndicTransToolkit prepares the text as it was for training.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from IndicTransToolkit.processor import IndicProcessor

from orchestrator.contract.errors import ErrorClass, fail
from orchestrator.contract.exchange import ModelRef, StageOutcome, StageRequest
from orchestrator.contract.report import Report
from orchestrator.stagekit.cue_files import CueJob
from orchestrator.stagekit.cue_translation import Unit, translate_cues
from orchestrator.stagekit.last_model import LastModel, last_model
from orchestrator.stagekit.translation_batches import translate_in_batches

from .directions import Direction, choose

_LONGEST = 200
_MOST = 256
"""Tokens of a text, and of a translation: the models have places for 256."""
_AUTO_BATCH = {"cpu": 4, "cuda": 32}


class Loaded:
    """One model on its device."""

    def __init__(self, reference: ModelRef, device: str, wanted: str) -> None:
        """Raises: Failure ``model_unusable``; RuntimeError from CUDA, as it is."""
        # transformers copies the code to where this points, when it is imported.
        os.environ.setdefault("HF_MODULES_CACHE", tempfile.mkdtemp())
        from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

        auto = "float16" if device.startswith("cuda") else "float32"
        options = {"trust_remote_code": True, "local_files_only": True}
        folder = Path(reference.path)
        try:
            self.tokenizer = AutoTokenizer.from_pretrained(folder, **options)
            model = AutoModelForSeq2SeqLM.from_pretrained(
                folder,
                use_safetensors=any(folder.glob("*.safetensors")),
                torch_dtype=getattr(torch, auto if wanted == "auto" else wanted),
                **options,
            )
        except (OSError, ValueError, KeyError, UnpicklingError) as error:
            raise fail(
                "model_unusable",
                f"The translation model at {folder} cannot be loaded: {error}",
                "Check that the folder holds the whole model, with its code, as it was published.",
                error_class=ErrorClass.ENVIRONMENT,
            ) from error
        # Beam search asks for it, and the earlier ones of the published models do not say.
        model.config.vocab_size = model.config.decoder_vocab_size
        self.model = model.to(device).eval()
        self.device = device
        self.processor = IndicProcessor(inference=True)


def load(settings: Mapping[str, Any]) -> LastModel[Loaded]:
    torch.set_num_threads(settings["threads"])
    device, wanted = settings["device"], settings["compute_type"]
    return last_model(settings, lambda model: Loaded(model, device, wanted))


def run(request: StageRequest, model: LastModel[Loaded], report: Report) -> StageOutcome:
    job = CueJob(request)
    finished = job.without_model(report)
    if finished is not None:
        return finished
    direction = choose(request.models, job.source, job.target)
    loaded = model.get(direction.model)
    beams = request.settings["beam_size"]
    wanted = request.settings["batch_size"]

    def progress(done: int, total: int) -> None:
        report.check_cancelled()
        report.progress(done, total, "sentences")

    def tokens(text: str) -> int:
        return len(loaded.tokenizer(f"{direction.source} {direction.target} {text}").input_ids)

    def translate(units: Sequence[Unit]) -> list[str]:
        return translate_in_batches(
            [unit.text for unit in units],
            lambda batch: _translated(loaded, direction, batch, beams),
            tokens=tokens,
            longest=_LONGEST,
            batch_size=_AUTO_BATCH[request.device.partition(":")[0]]
            if wanted == "auto"
            else wanted,
            progress=progress,
        )

    return job.write(translate_cues(job.script(), translate), direction.model.name, report)


def _translated(loaded: Loaded, direction: Direction, texts: list[str], beams: int) -> list[str]:
    """The translations; an empty one where the model came to no end."""
    prepared = loaded.processor.preprocess_batch(
        texts, src_lang=direction.source, tgt_lang=direction.target
    )
    inputs = loaded.tokenizer(prepared, padding="longest", return_tensors="pt")
    with torch.inference_mode():
        made = loaded.model.generate(
            **inputs.to(loaded.device), num_beams=beams, do_sample=False, max_length=_MOST
        )
    ended = (made[:, 1:] == loaded.model.config.eos_token_id).any(dim=1).tolist()
    decoded = loaded.tokenizer.batch_decode(
        made, skip_special_tokens=True, clean_up_tokenization_spaces=True
    )
    finished = loaded.processor.postprocess_batch(decoded, lang=direction.target)
    return [text if whole else "" for text, whole in zip(finished, ended, strict=True)]
