"""What commands that look at a workflow share: settings, machine and work folder."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path

from orchestrator.contract.paths import WorkFolder
from orchestrator.hardware import Hardware, detect
from orchestrator.settings import (
    LoadedSettings,
    ResolvedSettings,
    load_settings,
    parse_assignments,
    resolved,
    work_folder,
)


@dataclass(frozen=True, slots=True)
class Surroundings:
    loaded: LoadedSettings
    values: ResolvedSettings
    hardware: Hardware
    work: WorkFolder


def add_settings_options(parser: argparse.ArgumentParser, workflow: str = "--workflow") -> None:
    """``--workflow`` (under the name given), ``--work-dir``, ``--config`` and ``--set``."""
    parser.add_argument(
        workflow, dest="workflow", metavar="WORKFLOW", help="instead of the one that is set"
    )
    parser.add_argument("--work-dir", metavar="DIR")
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings file to use")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")


def look_around(given: argparse.Namespace) -> Surroundings:
    """Load the settings and look at the machine.

    Raises:
        Failure: a setting is wrong.
    """
    flags = {"workflow": given.workflow, "work_dir": given.work_dir}
    cli = {
        **parse_assignments(given.set),
        **{key: value for key, value in flags.items() if value is not None},
    }
    loaded = load_settings(cli=cli, environ=os.environ, config_path=given.config)
    hardware = detect()
    values = resolved(loaded.settings, hardware, loaded.catalogue)
    return Surroundings(
        loaded, values, hardware, WorkFolder(work_folder(loaded.settings).absolute())
    )
