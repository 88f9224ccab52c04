"""A stage that writes down what its process can import, and its environment variables."""

import importlib
import json
import os
import sys

from orchestrator.contract.exchange import StageOutcome

from .sibling import ANSWER

CANDIDATES = (
    "orchestrator.contract.keys",
    "orchestrator.job.run",
    "orchestrator.launcher",
    "batch",
    "trio",
    "pydantic",
)


def load(settings):
    return settings["model_path"]


def run(request, model, report):
    seen = {
        "path": sys.path,
        "importable": [name for name in CANDIDATES if can_import(name)],
        "environ": dict(os.environ),
        "sibling": ANSWER,
        "model": model,
        "threads": request.threads,
    }
    request.output("seen").write_text(json.dumps(seen))
    return StageOutcome()


def can_import(name):
    try:
        importlib.import_module(name)
    except ImportError:
        return False
    return True
