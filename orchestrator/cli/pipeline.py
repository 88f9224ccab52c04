"""``run-pipeline pipeline``: the workflow as a picture, before anything is built or run."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from orchestrator.catalogue import StageInstance
from orchestrator.catalogue.model import MEDIA
from orchestrator.cli.picture import Box, draw, pen_for
from orchestrator.cli.surroundings import Surroundings, add_settings_options, look_around
from orchestrator.contract.errors import ExitCode
from orchestrator.prepare import ALWAYS_PUBLISHED
from orchestrator.provision.environments import find_ready
from orchestrator.provision.models import Store, find_ready_model
from orchestrator.settings import TARGETS, planned_stages
from orchestrator.setup import build_options, model_store
from orchestrator.terminal import printable, run_command

STAND_IN = "LANGUAGE"
"""In the place of a language where none is set."""


def main(arguments: Sequence[str]) -> int:
    """Print the picture."""
    given = _parser().parse_args(arguments)
    return run_command(lambda: _show(look_around(given)))


def _show(around: Surroundings) -> int:
    print(picture(around, sys.stdout.encoding, _columns()))
    return ExitCode.OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="run-pipeline pipeline",
        description="Show the stages of a workflow in their order: what each takes and from which "
        "stage, its environment, engine and models, and what is published.",
    )
    parser.add_argument("action", nargs="?", choices=["show"], default="show")
    add_settings_options(parser)
    return parser


def _columns() -> int:
    return shutil.get_terminal_size((80, 24)).columns


def picture(around: Surroundings, encoding: str | None, width: int) -> str:
    """The workflow of these settings on this machine.

    Raises:
        Failure: what is wrong with the workflow.
    """
    values = around.values
    stages = planned_stages(values.settings, around.loaded.catalogue, stand_in=STAND_IN)
    teller = _Teller(around, model_store(values, around.loaded.catalogue, around.work))
    boxes = [teller.box(one, stages) for one in stages]
    reason = next(one.reason for one in values.choices if one.key == "device")
    pen = pen_for(encoding, dumb=os.environ.get("TERM") == "dumb")
    heading = f"{values.settings.workflow}, on {values.device}: {reason}"
    return f"{printable(heading)}\n\n{draw('the film or recording', boxes, width, pen)}"


@dataclass(frozen=True, slots=True)
class _Teller:
    around: Surroundings
    store: Store

    def box(self, one: StageInstance, stages: Sequence[StageInstance]) -> Box:
        wanted = {
            source.output for other in stages for source in other.inputs if source.stage == one.name
        }
        lines = [
            (label, printable(text))
            for label, text in (
                ("takes", _takes(one)),
                ("environment", self._environment(one)),
                ("engine", one.spec.engine or ""),
                *(("model", text) for text in self._models(one)),
                *(("publishes", text) for text in self._publishes(one)),
            )
            if text
        ]
        hands_on = [one.artefact(name) for name in one.spec.outputs if name in wanted]
        return Box(f"{one.name}: {printable(one.spec.title)}", lines, hands_on)

    def _environment(self, one: StageInstance) -> str:
        spec = self.around.loaded.catalogue.environments[one.spec.environment]
        ready = find_ready(spec, self.around.work.root, build_options(self.around.values))
        return spec.name if ready else f"{spec.name} (to be built)"

    def _models(self, one: StageInstance) -> Iterator[str]:
        setting = one.spec.model_setting
        if setting is None:
            return
        value = self.around.values.stages[one.spec.name][setting]
        if one.spec.needs_model and not value:
            yield f"none: set stages.{one.spec.name}.{setting}"
        key = f"stages.{one.spec.name}.{setting}"
        reasons = {choice.key: choice.reason for choice in self.around.values.choices}
        for name in value if isinstance(value, tuple) else (value,):
            if name is None:
                continue
            model = find_ready_model(self.store, str(name))
            spec = self.store.specs.get(str(name))
            size = f"to be fetched, {spec.size / 1e6:.0f} MB" if spec else "not there"
            why = f": {reasons[key]}" if key in reasons else ""
            yield f"{name} ({'on this machine' if model else size}){why}"

    def _publishes(self, one: StageInstance) -> Iterator[str]:
        formats = {*self.around.values.settings.formats, *ALWAYS_PUBLISHED}
        spoken = self.around.values.settings.language or STAND_IN
        language = one.value if one.value and one.spec.for_each == TARGETS else spoken
        for output in one.spec.outputs.values():
            if output.publish is None or (output.publish not in formats and not output.suffix):
                continue
            yield f"NAME.{output.suffix or language}.{output.publish}"


def _takes(one: StageInstance) -> str:
    makers: dict[str, list[str]] = {}
    for source in one.inputs:
        makers.setdefault(source.stage, []).append(source.name)
    return "; ".join(
        "the file itself" if names == [MEDIA] else f"{', '.join(names)} from {stage}"
        for stage, names in makers.items()
    )
