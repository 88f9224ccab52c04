"""Whether a Whisper model translates at all, and what."""

from __future__ import annotations

import re
from typing import Any

from orchestrator.contract.errors import ErrorClass, Failure, fail
from orchestrator.stagekit.whisper import model_code

_CANNOT = re.compile(r"turbo|distil", re.IGNORECASE)
"""Models that were trained again to recognise, and that answer in the language they hear."""


def check(source: str, target: str, name: str, whisper: Any) -> str:
    """The model's code of the source language. Raises: Failure ``translation_no_model``."""
    if target != "en":
        raise _no_model(f"Whisper translates into English only, not into {target}.")
    if not whisper.model.is_multilingual or _CANNOT.search(name):
        raise _no_model(f"The Whisper model {name} recognises speech but does not translate it.")
    code = model_code(source, whisper)
    if code is None:
        raise _no_model(
            f"The Whisper model {name} does not know the language {source}.", ErrorClass.INPUT
        )
    return code


def _no_model(message: str, error_class: ErrorClass = ErrorClass.ENVIRONMENT) -> Failure:
    return fail(
        "translation_no_model",
        message,
        "Choose another engine for translation, or for English one of the models base, small, "
        "medium, large-v2 and large-v3: stages.translation_whisper.model.",
        error_class=error_class,
    )
