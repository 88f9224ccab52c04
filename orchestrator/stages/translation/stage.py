"""Translate subtitles with NLLB-200, opus-mt (Marian) or M2M100 from a local folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer
from transformers.utils.logging import disable_progress_bar

from orchestrator.contract.errors import ErrorClass, fail
from orchestrator.contract.exchange import ModelRef, StageOutcome, StageRequest
from orchestrator.contract.report import Report
from orchestrator.stagekit.cue_files import CueJob
from orchestrator.stagekit.cue_translation import Unit, translate_cues
from orchestrator.stagekit.last_model import LastModel, last_model
from orchestrator.stagekit.translation_batches import translate_in_batches

from .checkpoint import Route, choose, has_safetensors
from .limits import LONGEST, batch_size, compute_type, room_for


class Loaded:
    """One model on its device."""

    def __init__(self, reference: ModelRef, device: str, wanted: str) -> None:
        """Raises: Failure ``model_unusable``; RuntimeError from CUDA, as it is."""
        folder = Path(reference.path)
        kind = compute_type(wanted, device)
        try:
            # torch reads files that are not safetensors as data only; code in a folder is not run.
            self.tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            model = AutoModelForSeq2SeqLM.from_pretrained(
                folder,
                local_files_only=True,
                use_safetensors=has_safetensors(folder),
                dtype=getattr(torch, kind),
            )
        except (OSError, ValueError, KeyError, UnpicklingError, SafetensorError) as error:
            raise fail(
                "model_unusable",
                f"The translation model at {folder} cannot be loaded: {error}",
                "Check that the folder holds the whole model, as it was published.",
                error_class=ErrorClass.ENVIRONMENT,
            ) from error
        self.model = model.to(device).eval()
        self.device = device


def load(settings: Mapping[str, Any]) -> LastModel[Loaded]:
    torch.set_num_threads(settings["threads"])
    disable_progress_bar()
    device, wanted = settings["device"], settings["compute_type"]
    return last_model(settings, lambda model: Loaded(model, device, wanted))


def run(request: StageRequest, model: LastModel[Loaded], report: Report) -> StageOutcome:
    job = CueJob(request)
    finished = job.without_model(report)
    if finished is not None:
        return finished
    route = choose(request.models, job.source, job.target)
    loaded = model.get(route.model)
    beams = request.settings["beam_size"]

    def progress(done: int, total: int) -> None:
        report.check_cancelled()
        report.progress(done, total, "sentences")

    def translate(units: Sequence[Unit]) -> list[str]:
        return translate_in_batches(
            [unit.text for unit in units],
            lambda batch: _translated(loaded, route, batch, beams),
            tokens=lambda text: len(loaded.tokenizer(text).input_ids),
            longest=LONGEST,
            batch_size=batch_size(request.settings["batch_size"], request.device),
            progress=progress,
        )

    return job.write(translate_cues(job.script(), translate), route.model.name, report)


def _translated(loaded: Loaded, route: Route, texts: list[str], beams: int) -> list[str]:
    """The translations; an empty one where the model came to no end."""
    tokenizer = loaded.tokenizer
    forced = {}
    if route.source:
        tokenizer.src_lang = route.source
    if route.target:
        forced["forced_bos_token_id"] = tokenizer.convert_tokens_to_ids(route.target)
    inputs = tokenizer([route.prefix + text for text in texts], return_tensors="pt", padding=True)
    with torch.inference_mode():
        made = loaded.model.generate(
            **inputs.to(loaded.device),
            **forced,
            num_beams=beams,
            do_sample=False,
            max_length=None,
            max_new_tokens=room_for(inputs.input_ids.shape[1]),
        )
    # The first token only starts the decoder; for some models it is the one that ends as well.
    ended = (made[:, 1:] == tokenizer.eos_token_id).any(dim=1).tolist()
    # Not every tokenizer counts the token of the target language among those to be left out.
    decoded = tokenizer.batch_decode(made[:, 1 + len(forced) :], skip_special_tokens=True)
    return [text if whole else "" for text, whole in zip(decoded, ended, strict=True)]
