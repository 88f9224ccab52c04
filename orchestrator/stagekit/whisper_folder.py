"""A Whisper model in CTranslate2's form, as its folder; and what it means when it does not load."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from orchestrator.contract.errors import ErrorClass, fail
from orchestrator.stagekit.cuda_libraries import load_cuda_libraries
from orchestrator.stagekit.whisper import choose_compute_type


class LoadedWhisper(NamedTuple):
    """A faster-whisper model. ``wanted`` is not ``compute_type`` where the device lacks it."""

    whisper: Any
    compute_type: str
    wanted: str


def load_whisper(
    settings: Mapping[str, Any],
    make: Callable[..., Any],
    supported_types: Callable[[str, int], Collection[str]],
) -> LoadedWhisper:
    """Load what the settings name; ``make`` is faster-whisper's class, ``supported_types`` asks
    CTranslate2.

    Raises: Failure ``model_missing`` or ``model_unusable``; RuntimeError from CUDA.
    """
    path = whisper_folder(settings)
    device, index = device_and_index(settings)
    if device == "cuda":
        load_cuda_libraries()
    wanted = settings["compute_type"]
    compute_type = choose_compute_type(wanted, device, supported_types(device, index))
    with loading(path, device):
        whisper = make(
            path,
            device=device,
            device_index=index,
            compute_type=compute_type,
            cpu_threads=settings["threads"],
            local_files_only=True,
        )
    return LoadedWhisper(whisper, compute_type, compute_type if wanted == "auto" else wanted)


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
