"""A folder with a student model: its files, and what it translates."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.contract.errors import ErrorClass, fail
from orchestrator.contract.exchange import ModelRef
from orchestrator.contract.languages import normalise

_PAIR = re.compile(r"^model\.([a-z]{2})([a-z]{2})\.")
"""``model.enpt.intgemm.alphas.bin``: the name that these models are published under."""


@dataclass(frozen=True, slots=True)
class StudentFolder:
    """``pair`` is the source and the target language."""

    name: str
    model: Path
    vocabulary: Path
    pair: tuple[str, str]


def look_into(reference: ModelRef) -> StudentFolder:
    """Raises: Failure ``model_unusable`` (there is no such model in the folder)."""
    folder = Path(reference.path)
    models = sorted(folder.glob("model*.bin"))
    vocabularies = sorted(folder.glob("*.spm"))
    if len(models) != 1 or len(vocabularies) != 1:
        raise fail(
            "model_unusable",
            f"{folder} must hold one model*.bin and one vocabulary *.spm, "
            f"and holds {len(models)} and {len(vocabularies)}.",
            "Name a folder with a model of Bergamot or Firefox Translations, unpacked.",
            error_class=ErrorClass.ENVIRONMENT,
        )
    found = _PAIR.match(models[0].name)
    pair = found.groups() if found else reference.languages
    codes = [normalise(code) for code in pair]
    if len(codes) != 2 or None in codes:
        raise fail(
            "model_unusable",
            f"Nothing tells from which language to which {models[0]} translates.",
            "Give the file its name as published, such as model.enpt.intgemm.alphas.bin.",
            error_class=ErrorClass.ENVIRONMENT,
        )
    return StudentFolder(reference.name, models[0], vocabularies[0], (str(codes[0]), str(codes[1])))


def choose(references: Sequence[ModelRef], source: str, target: str) -> StudentFolder:
    """The first model for a pair. Raises: Failure ``translation_no_model``, ``model_unusable``."""
    folders = [look_into(reference) for reference in references]
    for folder in folders:
        if folder.pair == (source, target):
            return folder
    known = ", ".join("-".join(folder.pair) for folder in folders) or "none"
    raise fail(
        "translation_no_model",
        f"There is no model that translates from {source} to {target} (there are: {known}).",
        "Add one to stages.translation_offline.models, or choose another engine for translation.",
        error_class=ErrorClass.INPUT,
    )
