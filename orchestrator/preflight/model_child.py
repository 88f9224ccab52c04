"""Loads a stage's models as the stage's process does, and reports what that took; run by its path.

``PYTHON -I model_child.py STAGE_FOLDER SETTINGS_JSON SAMPLE`` runs in the stage's environment. What
recognises speech also has to hear a few seconds: of SAMPLE, or of noise made here where that is
empty. It prints one marked line of JSON.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import time
from pathlib import Path
from typing import Any

SAMPLE_RATE = 16000
SECONDS = 8.0


def main(stage_folder: str, settings: str, sample: str) -> int:
    """Exit status 0; whatever goes wrong is raised, for the traceback tells best."""
    bootstrap = _bootstrap()
    started = time.perf_counter()
    model = bootstrap.import_stage(Path(stage_folder)).load(json.loads(settings))
    loaded = time.perf_counter()
    answer: dict[str, Any] = {"load_seconds": loaded - started}
    whisper = getattr(model, "whisper", None)
    if hasattr(whisper, "transcribe"):
        answer["compute_type"] = model.compute_type
        answer["text"] = _hear(whisper, sample)[:80]
        answer["run_seconds"] = time.perf_counter() - loaded
    from orchestrator.contract.memory import rss_bytes

    answer["rss_bytes"] = rss_bytes()
    print("\nbatch-subtitles-loaded:" + json.dumps(answer), flush=True)
    return 0


def _hear(whisper: Any, sample: str) -> str:
    language = None if whisper.model.is_multilingual else "en"
    segments, _info = whisper.transcribe(
        _sound(sample), language=language, beam_size=1, clip_timestamps=[0.0, SECONDS]
    )
    return " ".join(segment.text.strip() for segment in segments) if sample else ""


def _bootstrap() -> Any:
    """What every stage process starts with, so that the stage is imported as there."""
    place = Path(__file__).resolve().parents[1] / "contract" / "bootstrap.py"
    spec = importlib.util.spec_from_file_location("bootstrap", place)
    assert spec is not None
    assert spec.loader is not None
    bootstrap = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bootstrap)
    bootstrap.expose_contract()
    return bootstrap


def _sound(sample: str) -> Any:
    """The file to hear, or 16 kHz mono samples between -1 and 1."""
    if sample:
        return sample
    import numpy

    noise = numpy.random.default_rng(0).standard_normal(SAMPLE_RATE)
    return (0.01 * noise).astype(numpy.float32)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
