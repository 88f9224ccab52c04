"""``PYTHON taken_over.py``: the stage diarization hears a speaker whose turns all go to others.

What the pipeline finds and how the voices sound is made up; what is made of it is not. Prints the
voices with their turns as JSON. Runs in the diarization environment.
"""

from __future__ import annotations

import json
import sys
import tempfile
import wave
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np
from pyannote.audio.pipelines import SpeakerDiarization
from pyannote.core import Annotation, Segment

from orchestrator.contract.channel import Sender
from orchestrator.contract.report import Report
from orchestrator.stagekit.speech import Turn
from orchestrator.stagekit.wavfile import SAMPLE_RATE, WavSamples
from orchestrator.stages.diarization import engine, stage

FOUND = ["A", "A", "A", "B", "B", "C", "C", "C"]
"""Who is said to speak in each second."""
SOUNDS = ["A", "A", "A", "A", "C", "C", "C", "C"]
"""Whose voice it is: nobody's is B's."""
VOICES = {"A": (1.0, 0.0), "C": (0.0, 1.0)}


def found(*_asked: Any, **_limits: Any) -> Any:
    annotation = Annotation(uri="made-up")
    for second, label in enumerate(FOUND):
        annotation[Segment(second, second + 1), str(second)] = label
    vectors = np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])
    return SimpleNamespace(speaker_diarization=annotation, speaker_embeddings=vectors)


class MadeUp(engine._Rechecked):
    def __init__(self) -> None:
        """Nothing of the pipeline is loaded."""

    def __call__(self, file: Any, hook: Any, **limits: Any) -> Any:
        return self.apply(file, **limits)

    def _voice(self, file: Any, segment: Segment) -> Any:
        return np.array([VOICES[SOUNDS[int(segment.start)]]], dtype=np.float32)


def main() -> None:
    SpeakerDiarization.apply = found
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "silence.wav")
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, SAMPLE_RATE, 0, "NONE", ""))
            file.writeframes(bytes(2 * SAMPLE_RATE * len(FOUND)))
        window = Turn(0.0, float(len(FOUND)))
        report = Report(Sender(1, "run"), "diarization", lambda: 0.0)
        heard = list(stage.listen(MadeUp(), WavSamples(path), window, {}, report))
    print(json.dumps(heard))


if __name__ == "__main__":
    main()
