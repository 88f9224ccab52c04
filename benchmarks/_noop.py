"""The stage folder of the benchmarks: does next to nothing, or stays busy until it is stopped."""

from __future__ import annotations

from pathlib import Path

_STAGE = """\
import time


def load(settings):
    return None


def run(request, model, report):
    from orchestrator.contract.exchange import StageOutcome

    report.progress(0.5, 1.0)
    while {busy}:
        report.progress(0.5, 1.0)
        time.sleep(0.02)
    request.output("words").write_text("1\\n00:00:00,000 --> 00:00:01,000\\nHello.\\n")
    return StageOutcome(facts={{"language": "en", "audio_seconds": 1.0}})
"""


def write_stage(folder: Path, *, busy: bool = False) -> Path:
    """Make the stage in ``folder``. ``busy``: it never ends by itself and hears no cancel."""
    folder.mkdir()
    (folder / "stage.py").write_text(_STAGE.format(busy=busy))
    return folder
