"""A stage that runs out of memory unless it is given little to do at once.

It takes ``batch_size`` times the bytes of a weight, more for a large model, and has ``room``.
"""

import json
from pathlib import Path

from orchestrator.contract.exchange import StageOutcome

WEIGHTS = {"float32": 4, "float16": 2, "int8_float16": 1, "int8": 1}


def load(settings):
    model = settings["models"][0]["name"] if settings["models"] else "small"
    return {"compute_type": settings["compute_type"], "model": model, "device": settings["device"]}


def run(request, model, report):
    taken = request.settings["batch_size"] * WEIGHTS[model["compute_type"]]
    taken += 100 if model["model"] == "large" else 0
    room = 1000 if request.device == "cpu" else request.settings["room"]
    if taken > room:
        raise MemoryError(f"CUDA out of memory: wanted {taken} of {room}")
    seen = {**model, "batch_size": request.settings["batch_size"]}
    Path(request.output("seen")).write_text(json.dumps(seen))
    return StageOutcome()
