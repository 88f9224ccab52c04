"""Loads the speech model as the stage does and recognises a few seconds; run by its path.

``PYTHON -I recognise_child.py STAGE_FOLDER SETTINGS_JSON SAMPLE`` runs in the stage's environment.
With an empty SAMPLE it makes a second of noise. It prints one marked line of JSON.
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
    started = time.perf_counter()
    model = _stage(Path(stage_folder)).load(json.loads(settings))
    loaded = time.perf_counter()
    whisper = model.whisper
    language = None if whisper.model.is_multilingual else "en"
    segments, _info = whisper.transcribe(
        _sound(sample), language=language, beam_size=1, clip_timestamps=[0.0, SECONDS]
    )
    text = " ".join(segment.text.strip() for segment in segments) if sample else ""
    heard = {
        "text": text[:80],
        "compute_type": model.compute_type,
        "load_seconds": loaded - started,
        "run_seconds": time.perf_counter() - loaded,
    }
    print("\nbatch-subtitles-heard:" + json.dumps(heard), flush=True)
    return 0


def _stage(folder: Path) -> Any:
    """The stage's own module, imported as its process imports it."""
    place = Path(__file__).resolve().parents[1] / "contract" / "bootstrap.py"
    spec = importlib.util.spec_from_file_location("bootstrap", place)
    assert spec is not None
    assert spec.loader is not None
    bootstrap = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bootstrap)
    bootstrap.expose_contract()
    return bootstrap.import_stage(folder)


def _sound(sample: str) -> Any:
    """The file to hear, or 16 kHz mono samples between -1 and 1."""
    if sample:
        return sample
    import numpy

    noise = numpy.random.default_rng(0).standard_normal(SAMPLE_RATE)
    return (0.01 * noise).astype(numpy.float32)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
