"""Settings: one validated, frozen value made from the command line, environment and files."""

from orchestrator.settings.load import (
    LoadedSettings,
    explained_defaults,
    load_settings,
    parse_assignments,
    work_folder,
)
from orchestrator.settings.schema import Settings
from orchestrator.settings.table import (
    Choice,
    ResolvedSettings,
    StageSettings,
    resolved,
    stage_settings,
)

__all__ = [
    "Choice",
    "LoadedSettings",
    "ResolvedSettings",
    "Settings",
    "StageSettings",
    "explained_defaults",
    "load_settings",
    "parse_assignments",
    "resolved",
    "stage_settings",
    "work_folder",
]
