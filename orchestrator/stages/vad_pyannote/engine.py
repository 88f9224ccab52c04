"""pyannote's segmentation network: who of three local speakers speaks, or nobody."""

from __future__ import annotations

import pickle
from pathlib import Path

import torch
from pyannote.audio import Model
from pyannote.audio.core.task import Problem, Resolution, Specifications
from pyannote.audio.models.segmentation import PyanNet
from torch.torch_version import TorchVersion

from orchestrator.contract.errors import ErrorClass, fail

_WEIGHTS = "pytorch_model.bin"


def load_segmentation(folder: Path, device: torch.device) -> Model:
    """Raises: Failure ``model_missing`` or ``model_unusable``."""
    file = folder / _WEIGHTS
    if not file.is_file():
        raise fail(
            "model_missing",
            f"There is no segmentation model at {folder}: it has no {_WEIGHTS}.",
            "Run verify_install.py --build: it fetches the models that the settings name.",
            error_class=ErrorClass.ENVIRONMENT,
        )
    try:
        # Data only: pyannote's own loader would run whatever code the file holds.
        with torch.serialization.safe_globals([TorchVersion, Problem, Resolution, Specifications]):
            saved = torch.load(file, map_location="cpu", weights_only=True)
        model = PyanNet(**saved["hyper_parameters"])
        model.specifications = saved["pyannote.audio"]["specifications"]
        model.build()
        model.load_state_dict(saved["state_dict"])
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        RuntimeError,
        pickle.UnpicklingError,
    ) as error:
        raise fail(
            "model_unusable",
            f"The segmentation model at {folder} cannot be loaded: {error}",
            "Delete that folder and run verify_install.py --build: it fetches the model again.",
            error_class=ErrorClass.ENVIRONMENT,
        ) from error
    return model.eval().to(device)
