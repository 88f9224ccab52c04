"""Loads the models of a stage once, in the stage's own environment, and tells what that took."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.contract.exchange import ModelRef
from orchestrator.contract.records import to_json
from orchestrator.job.stageprocess import stage_environment
from orchestrator.preflight.context import Loading
from orchestrator.provision.models import Model
from orchestrator.provision.process import clean_environment, run

_CHILD = Path(__file__).with_name("model_child.py")
_MARK = "batch-subtitles-loaded:"


@dataclass(frozen=True, slots=True)
class Loaded:
    """Seconds to load, the size of that process, and what a recogniser heard (None: it is none)."""

    load_seconds: float
    rss_bytes: int | None = None
    compute_type: str = ""
    text: str | None = None
    run_seconds: float = 0.0

    def told(self) -> str:
        parts = [f"loaded in {self.load_seconds:.1f} s"]
        if self.rss_bytes:
            parts.append(f"{self.rss_bytes / 1e6:.0f} MB of memory")
        if self.compute_type:
            parts.append(self.compute_type)
        if self.text is not None:
            parts.append(f"recognised in {self.run_seconds:.1f} s")
        if self.text:
            parts.append(f"heard {self.text!r}")
        return ", ".join(parts)


def load_models(
    python: Path,
    wanted: Loading,
    models: Sequence[Model],
    *,
    threads: int,
    sample: Path | None,
    cwd: Path,
) -> Loaded | str:
    """Load ``models`` in a process of the stage's environment.

    Returns:
        What it took, or the last lines of what that process said where it failed.
    """
    refs = [ModelRef(one.name, str(one.path), one.key, one.languages) for one in models]
    settings = {
        **wanted.settings,
        "model_path": str(models[0].path),
        "models": [to_json(ref) for ref in refs],
        "device": wanted.device,
        "threads": threads,
    }
    done = run(
        [
            *(str(python), "-I", str(_CHILD)),
            *(str(wanted.stage_folder), json.dumps(settings), str(sample or "")),
        ],
        environment=stage_environment(clean_environment(), threads, cwd),
        cwd=cwd,
    )
    answers = [line for line in done.lines if line.startswith(_MARK)]
    if not answers:
        return done.last_lines(6)
    return Loaded(**json.loads(answers[-1].removeprefix(_MARK)))
