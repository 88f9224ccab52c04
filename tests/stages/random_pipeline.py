"""``PYTHON random_pipeline.py SEGMENTATION FOLDER``: a pipeline in the form of community-1.

It has the real segmentation, and random numbers where community-1 has embeddings and PLDA: the
code is the real one, who is told apart from whom is not. Runs in the diarization environment.
"""

from __future__ import annotations

import os

os.environ["PYANNOTE_METRICS_ENABLED"] = "0"

import shutil
import sys
from pathlib import Path

import numpy as np
import torch
from pyannote.audio.core.task import Problem, Resolution, Specifications
from pyannote.audio.models.embedding import WeSpeakerResNet34

CONFIG = """
dependencies:
  pyannote.audio: 4.0.0
pipeline:
  name: pyannote.audio.pipelines.SpeakerDiarization
  params:
    clustering: VBxClustering
    embedding: $model/embedding
    embedding_batch_size: 8
    embedding_exclude_overlap: true
    plda: $model/plda
    segmentation: $model/segmentation
    segmentation_batch_size: 8
params:
  clustering: {Fa: 0.07, Fb: 0.8, threshold: 0.6}
  segmentation: {min_duration_off: 0.0}
"""
DIMENSION, REDUCED = 256, 128


def main(segmentation: Path, folder: Path) -> None:
    for name in ("segmentation", "embedding", "plda"):
        (folder / name).mkdir(parents=True)
    (folder / "config.yaml").write_text(CONFIG)
    shutil.copy(segmentation, folder / "segmentation" / "pytorch_model.bin")
    torch.manual_seed(1)
    model = WeSpeakerResNet34()
    checkpoint = {
        "state_dict": model.state_dict(),
        "hyper_parameters": dict(model.hparams),
        "pytorch-lightning_version": "2.0.0",
        "pyannote.audio": {
            "versions": {"torch": "2.0.0", "pyannote.audio": "4.0.0"},
            "architecture": {"module": type(model).__module__, "class": type(model).__name__},
            "specifications": Specifications(
                problem=Problem.REPRESENTATION, resolution=Resolution.CHUNK, duration=10.0
            ),
        },
    }
    torch.save(checkpoint, folder / "embedding" / "pytorch_model.bin")
    chance = np.random.default_rng(1)
    np.savez(
        folder / "plda" / "xvec_transform.npz",
        mean1=np.zeros(DIMENSION),
        mean2=np.zeros(REDUCED),
        lda=np.linalg.qr(chance.standard_normal((DIMENSION, REDUCED)))[0],
    )
    np.savez(
        folder / "plda" / "plda.npz",
        mu=np.zeros(REDUCED),
        tr=np.eye(REDUCED),
        psi=np.linspace(10.0, 1.0, REDUCED),
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
