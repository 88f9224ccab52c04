"""What the models of IndicTrans2 translate, and how they name it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.contract.errors import ErrorClass, fail
from orchestrator.contract.exchange import ModelRef
from orchestrator.stagekit.flores import flores_code

_INDIC = frozenset(
    {"as", "bn", "gu", "hi", "kn", "ks", "ml", "mr"}
    | {"ne", "or", "pa", "sa", "sd", "ta", "te", "ur"}
)
"""Of the 22 scheduled languages those with an ISO 639-1 code."""
_SIDES = re.compile(r"(?<![a-z])(en|indic)-(en|indic)(?![a-z])")


@dataclass(frozen=True, slots=True)
class Direction:
    """A model with the FLORES-200 codes of the source and the target."""

    model: ModelRef
    source: str
    target: str


def choose(models: Sequence[ModelRef], source: str, target: str) -> Direction:
    """The first model that goes from the source's side to the target's.

    There is one model for each of en-indic, indic-en and indic-indic. Nothing inside them tells
    which, so the folder has to keep the name of the published one.

    Raises:
        Failure: ``translation_no_model``; ``model_unusable``.
    """
    sides = _side(source), _side(target)
    codes = flores_code(source), flores_code(target)
    for model in models:
        found = _SIDES.findall(Path(model.path).name)
        if len(found) != 1:
            raise fail(
                "model_unusable",
                f"The name of {model.path} does not tell from what to what its model translates.",
                "Name the folder as the model is published: indictrans2-en-indic-dist-200M, "
                "indictrans2-indic-en-dist-200M, indictrans2-indic-indic-dist-320M, or the like.",
                error_class=ErrorClass.ENVIRONMENT,
            )
        if found[0] == sides and codes[0] and codes[1]:
            return Direction(model, codes[0], codes[1])
    named = ", ".join(model.name for model in models) or "none is set"
    raise fail(
        "translation_no_model",
        f"No model of IndicTrans2 translates from {source} to {target} (models: {named}).",
        "Put the folder of the right one into stages.translation_indic.models: en-indic for "
        "translations from English, indic-en for those into English, indic-indic between others.",
        error_class=ErrorClass.INPUT,
    )


def _side(language: str) -> str | None:
    if language == "en":
        return "en"
    return "indic" if language in _INDIC else None
