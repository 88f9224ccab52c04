"""What can be run: the stages and environments declared by folders, as frozen values."""

from orchestrator.catalogue.load import load_catalogue
from orchestrator.catalogue.model import (
    Catalogue,
    EnvironmentSpec,
    Limits,
    OutputSpec,
    Resources,
    SettingSpec,
    StageSpec,
)
from orchestrator.catalogue.order import order

__all__ = [
    "Catalogue",
    "EnvironmentSpec",
    "Limits",
    "OutputSpec",
    "Resources",
    "SettingSpec",
    "StageSpec",
    "load_catalogue",
    "order",
]
