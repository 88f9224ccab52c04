"""Real environments and models, in a work folder that belongs to the benchmarks."""

from __future__ import annotations

import shutil
import sys
from contextlib import closing
from pathlib import Path

from _process import REPOSITORY

from batch.state import State
from orchestrator.catalogue import Catalogue
from orchestrator.contract.paths import WorkFolder
from orchestrator.hardware import detect
from orchestrator.provision.environments import ensure_environment
from orchestrator.settings import load_settings, resolved
from orchestrator.setup import build_options

OWN_FOLDER = REPOSITORY / ".cache" / "benchmarks"
_MARK = "made-by-the-benchmarks"


def own_work_folder(root: Path) -> WorkFolder:
    """The folder, made if need be: environments are built and models fetched there only once.

    What it remembers of files is emptied between measurements, so one of somebody else is refused.
    """
    work = WorkFolder(root.absolute())
    if root.exists() and not (root / _MARK).exists():
        raise SystemExit(f"{root} was not made by the benchmarks: name another --work-dir")
    root.mkdir(parents=True, exist_ok=True)
    (root / _MARK).touch()
    return work


def forget(work: WorkFolder) -> None:
    """Make every file new again: drop what is known of files, jobs and artefacts.

    Environments, models and what was learnt of the stages' speed on this machine are kept.
    """
    for folder in (work.jobs, work.artefacts, work.runs):
        shutil.rmtree(folder, ignore_errors=True)
    with closing(State.open(work.database)) as state:
        learnt = state.history()
    for file in work.root.glob(f"{work.database.name}*"):
        file.unlink()
    with closing(State.open(work.database)) as state:
        state.save_history(learnt)


def interpreter(work: WorkFolder, environment: str) -> tuple[Path, Catalogue]:
    """The interpreter of a stage environment in the work folder, built now if need be."""
    loaded = load_settings(cli={}, environ={}, config_path=None)
    options = build_options(resolved(loaded.settings, detect(), loaded.catalogue))
    spec = loaded.catalogue.environments[environment]
    ready = ensure_environment(spec, work.root, options, lambda text: print(text, file=sys.stderr))
    return ready.python, loaded.catalogue
