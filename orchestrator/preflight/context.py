"""What the checks look at: pieces of the settings and of the machine, never the whole of either."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.catalogue import EnvironmentSpec
from orchestrator.hardware import Hardware
from orchestrator.provision.build import BuildOptions
from orchestrator.provision.choose import stand_ins
from orchestrator.provision.models import Model, Store, find_ready_model
from orchestrator.provision.process import Report, no_report


@dataclass(frozen=True, slots=True)
class ModelWish:
    """A model that a stage will ask for. A default may be replaced, a named one may not.

    ``language`` is the ISO 639-1 code of the speech, None when it is to be found out.
    """

    name: str
    was_default: bool = False
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Loading:
    """A stage whose models are to be loaded for a try, and with what it loads them."""

    stage: str
    stage_folder: Path
    environment: EnvironmentSpec
    models: tuple[ModelWish, ...]
    device: str
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Context:
    """Everything the checks need.

    Args:
        output_dir: None when subtitles go beside their media.
        device: as resolved from the settings: ``cpu``, ``cuda``, ``cuda:1``.
        count_media: how many media files a folder holds; raises Failure when it cannot be read.
        sample: a file of clean speech; noise is made up where there is none.
        build: build and fetch what is missing, and replace what is broken.
        report: gets lines for people while something is built.
    """

    work_dir: Path
    input_dir: Path | None
    output_dir: Path | None
    hardware: Hardware
    device: str
    environments: tuple[EnvironmentSpec, ...]
    options: BuildOptions
    store: Store
    models: tuple[ModelWish, ...]
    loadings: tuple[Loading, ...]
    count_media: Callable[[Path], int]
    sample: Path | None = None
    build: bool = False
    report: Report = no_report

    def find_model(self, wish: ModelWish) -> Model | None:
        """The model a run would use now, without fetching: the one wished for or its stand-in."""
        model = find_ready_model(self.store, wish.name)
        if model is None and wish.was_default:
            return next(iter(stand_ins(self.store, wish.name, wish.language)), None)
        return model
