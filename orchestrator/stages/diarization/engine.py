"""pyannote.audio's pipeline, with the weights of a package or with those of a hub's repository."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torchaudio.compliance.kaldi as kaldi
from pyannote.audio import Model, Pipeline
from pyannote.audio.core.io import AudioFile
from pyannote.audio.core.plda import PLDA
from pyannote.audio.core.task import Problem, Resolution, Specifications
from pyannote.audio.models.segmentation import PyanNet
from pyannote.audio.pipelines import SpeakerDiarization
from pyannote.audio.pipelines.speaker_diarization import DiarizeOutput
from pyannote.core import Segment
from torch import Tensor
from torch.torch_version import TorchVersion

from orchestrator.contract.errors import ErrorClass, fail

from .camplus import DIMENSION, MEL_BINS, camplus

SEGMENTATION = "segmentation.bin"
EMBEDDING = "embedding.pt"
HUB_PIPELINE = "config.yaml"
_STEP = 0.2
"""Of the 10 seconds that the segmentation hears at once: how far it moves on."""
_THRESHOLD = 0.45
"""Cosine distance up to which two groups of voices are one. In the recordings measured the vectors
of one speaker were 0.07 to 0.41 apart on average, those of two 0.62 to 1.09."""
_SMALLEST = 3
"""Pieces of ten seconds in which a speaker must be heard, to be told from a slip of the network."""
_SHORTEST = 40
"""Frames (of 10 ms) that the embeddings network hears at least; a shorter voice is repeated."""
_LOCAL_SPEAKERS = 3
_RECHECKED = 0.5
"""Seconds of a turn from which on its voice is compared again."""
_MARGIN = 0.15
"""Cosine distance by which a turn must be nearer to another speaker to be given to that one."""

_BROKEN = (
    AttributeError,
    EOFError,
    KeyError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
)
"""What is raised over a file or a description that is not what it should be."""


def load_pipeline(folder: Path, device: torch.device) -> SpeakerDiarization:
    """The pipeline in a folder, whichever of the two kinds it is.

    Raises: Failure ``model_missing`` or ``model_unusable``.
    """
    if (folder / SEGMENTATION).is_file():
        build = _of_package
    elif (folder / HUB_PIPELINE).is_file():
        build = _of_hub
    else:
        raise fail(
            "model_missing",
            f"There is no pipeline of pyannote.audio in {folder}: neither {HUB_PIPELINE} nor "
            f"{SEGMENTATION}.",
            "Name a model of models.yaml or such a folder in stages.diarization.model, and run "
            "verify_install.py --build: it fetches what the settings name.",
            error_class=ErrorClass.ENVIRONMENT,
        )
    try:
        pipeline = build(folder)
    except _BROKEN as error:
        raise fail(
            "model_unusable",
            f"The speaker model in {folder} cannot be loaded: {error}",
            "Delete that folder and run verify_install.py --build: it fetches the model again.",
            error_class=ErrorClass.ENVIRONMENT,
        ) from error
    pipeline.legacy = False  # with the vectors of the speakers
    pipeline.to(device)
    return pipeline


def _of_hub(folder: Path) -> SpeakerDiarization:
    pipeline = Pipeline.from_pretrained(folder)
    if not isinstance(pipeline, SpeakerDiarization):
        raise ValueError(f"{HUB_PIPELINE} describes no speaker diarization")
    return pipeline


def _of_package(folder: Path) -> SpeakerDiarization:
    pipeline = _Rechecked(
        segmentation=_segmentation(folder / SEGMENTATION),
        segmentation_step=_STEP,
        embedding=_Voices(folder / EMBEDDING),
        embedding_exclude_overlap=True,
        plda=_NoPlda(),
        clustering="AgglomerativeClustering",
        # One chunk of sound in a batch: its spectrogram is made once for all who speak in it.
        embedding_batch_size=_LOCAL_SPEAKERS,
    )
    clustering = {"method": "average", "threshold": _THRESHOLD, "min_cluster_size": _SMALLEST}
    pipeline.instantiate({"segmentation": {"min_duration_off": 0.0}, "clustering": clustering})
    return pipeline


def _segmentation(file: Path) -> Model:
    """pyannote's own loader would run whatever code the file holds; this one runs none."""
    with torch.serialization.safe_globals([TorchVersion, Problem, Resolution, Specifications]):
        saved = torch.load(file, map_location="cpu", weights_only=True)
    model = PyanNet(**saved["hyper_parameters"])
    model.specifications = saved["pyannote.audio"]["specifications"]
    model.build()
    model.load_state_dict(saved["state_dict"])
    return model.eval()


class _Rechecked(SpeakerDiarization):
    """Listens to every turn by itself in the end, and gives it to the speaker whom it resembles.

    The segmentation tells apart who speaks within ten seconds. Where it takes two people for one
    there, what both say goes to the one who says more.
    """

    def apply(self, file: AudioFile, **limits: Any) -> DiarizeOutput:
        output = super().apply(file, **limits)
        turns = [
            (segment, track, label)
            for segment, track, label in output.speaker_diarization.itertracks(yield_label=True)
            if segment.duration >= _RECHECKED
        ]
        labels = output.speaker_diarization.labels()
        if len(labels) < 2 or not turns:
            return output
        vectors = np.concatenate([self._voice(file, segment) for segment, _, _ in turns])
        own = np.array([labels.index(label) for _, _, label in turns])
        lengths = np.array([segment.duration for segment, _, _ in turns])
        for (segment, track, _), place in zip(
            turns, reassigned(vectors, own, lengths), strict=True
        ):
            output.speaker_diarization[segment, track] = labels[place]
        # Whose turns have all gone to others is no speaker any more.
        left = [labels.index(label) for label in output.speaker_diarization.labels()]
        output.speaker_embeddings = output.speaker_embeddings[left]
        return output

    def _voice(self, file: AudioFile, segment: Segment) -> npt.NDArray[np.float32]:
        waveform, _ = self._audio.crop(file, segment, mode="pad")
        vector: npt.NDArray[np.float32] = self._embedding(waveform[None])
        return vector


def reassigned(
    vectors: npt.NDArray[np.float32], own: npt.NDArray[np.int64], lengths: npt.NDArray[np.float64]
) -> npt.NDArray[np.int64]:
    """The speakers of turns, each given to another one whom it clearly resembles more.

    Two rounds: what the first brought to a speaker says better how that one sounds.
    """
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    speakers = np.unique(own)
    for _ in range(2):
        means = np.stack([lengths[own == one] @ unit[own == one] for one in speakers])
        norms = np.linalg.norm(means, axis=1, keepdims=True)
        distances = 1.0 - unit @ (means / np.maximum(norms, 1e-9)).T
        nearest = distances.argmin(axis=1)
        places = np.searchsorted(speakers, own)
        rows = np.arange(len(own))
        clear = distances[rows, places] - distances[rows, nearest] > _MARGIN
        own = np.where(clear, speakers[nearest], own)
    return own


class _NoPlda(PLDA):
    """Keeps the pipeline from fetching one: agglomerative clustering has no use for it."""

    def __init__(self) -> None:
        pass


class _Voices(Model):
    """Waveforms ``(batch, 1, samples)`` and masks ``(batch, frames)`` to one vector a voice.

    A voice is heard in the frames of its mask alone. One that is too short gives NaN, by which the
    pipeline knows it.
    """

    def __init__(self, file: Path) -> None:
        super().__init__(sample_rate=16_000, num_channels=1)
        self.network = camplus()
        weights = torch.load(file, map_location="cpu", weights_only=True)
        self.network.load_state_dict(weights)

    @property
    def dimension(self) -> int:
        return DIMENSION

    def forward(self, waveforms: Tensor, weights: Tensor | None = None) -> Tensor:
        vectors = waveforms.new_full((len(waveforms), DIMENSION), torch.nan)
        features = waveforms.new_zeros(0)
        for row, waveform in enumerate(waveforms):
            if row == 0 or not torch.equal(waveform, waveforms[row - 1]):
                features = kaldi.fbank(waveform, num_mel_bins=MEL_BINS)
            voice = features if weights is None else features[_stretched(weights[row], features)]
            if len(voice):
                voice = voice.repeat(-(-_SHORTEST // len(voice)), 1)
                vectors[row] = self.network((voice - voice.mean(0))[None])[0]
        return vectors


def _stretched(mask: Tensor, features: Tensor) -> Tensor:
    """The mask in the frames of the features."""
    places = torch.arange(len(features), device=mask.device) * len(mask) // len(features)
    return mask[places] > 0.5
