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
from orchestrator.settings.workflow import TARGETS, each_value, planned_stages

__all__ = [
    "TARGETS",
    "Choice",
    "LoadedSettings",
    "ResolvedSettings",
    "Settings",
    "StageSettings",
    "each_value",
    "explained_defaults",
    "load_settings",
    "parse_assignments",
    "planned_stages",
    "resolved",
    "stage_settings",
    "work_folder",
]
