"""A Whisper model in CTranslate2's form, as its folder; and what it means when it does not load."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from orchestrator.contract.errors import ErrorClass, fail


def whisper_folder(settings: Mapping[str, Any]) -> str:
    """The folder that ``load`` was given. Raises: Failure ``model_missing``."""
    path = settings["model_path"]
    if not path or not Path(path, "model.bin").is_file():
        raise fail(
            "model_missing",
            f"There is no Whisper model at {path!r}.",
            "Run verify_install.py --build: it fetches the models that the settings name.",
            error_class=ErrorClass.ENVIRONMENT,
        )
    return str(path)


def device_and_index(settings: Mapping[str, Any]) -> tuple[str, int]:
    """``cuda:1`` as the two that CTranslate2 wants."""
    device, _, index = str(settings["device"]).partition(":")
    return device, int(index or 0)


@contextlib.contextmanager
def loading(path: str, device: str) -> Iterator[None]:
    """Around the loading of a model.

    Raises:
        Failure: ``model_unusable``, on the CPU. From CUDA the error itself: it is out of memory or
            a broken driver, and whoever started this tells them apart.
    """
    try:
        yield
    except (RuntimeError, ValueError) as error:
        if device == "cuda":
            raise
        raise fail(
            "model_unusable",
            f"The Whisper model at {path} cannot be loaded: {error}",
            "Delete that folder and run verify_install.py: it fetches the model again.",
            error_class=ErrorClass.ENVIRONMENT,
        ) from error
