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
from orchestrator.catalogue.order import StageInstance, choose_stage, order, with_needs

__all__ = [
    "Catalogue",
    "EnvironmentSpec",
    "Limits",
    "OutputSpec",
    "Resources",
    "SettingSpec",
    "StageInstance",
    "StageSpec",
    "choose_stage",
    "load_catalogue",
    "order",
    "with_needs",
]
