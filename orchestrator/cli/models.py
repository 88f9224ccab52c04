"""``run-pipeline models``: what models there are, fetching all that a workflow needs, removing."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from orchestrator.catalogue import StageInstance
from orchestrator.cli.pipeline import STAND_IN
from orchestrator.cli.surroundings import Surroundings, add_settings_options, look_around
from orchestrator.contract.errors import ErrorClass, ErrorInfo, ExitCode, Failure, fail
from orchestrator.preflight.context import Loading
from orchestrator.preflight.loading import load_models
from orchestrator.provision.environments import Environment, ensure_environment
from orchestrator.provision.fetch import bytes_below
from orchestrator.provision.hubtoken import TOKEN_VARIABLE
from orchestrator.provision.inventory import Held, inventory, remove_model
from orchestrator.provision.models import Model, Store, ensure_model, find_ready_model
from orchestrator.provision.progress import show_bytes
from orchestrator.settings import planned_stages
from orchestrator.setup import build_options, model_store, needed_environments, say
from orchestrator.stagemodels import check_named_models, choose_models, named_models
from orchestrator.terminal import print_failure, printable, run_command


def main(arguments: Sequence[str]) -> int:
    """Do what the first word says: list, fetch or remove."""
    given = _parser().parse_args(arguments)
    return run_command(lambda: _act(given))


def _act(given: argparse.Namespace) -> int:
    around = look_around(given)
    store = model_store(around.values, around.loaded.catalogue, around.work)
    if given.action == "list":
        return _list(around, store)
    around.work.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    if given.action == "remove":
        return _remove(store, given.names)
    return _fetch(around, store, given.names)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="run-pipeline models",
        description="Models are fetched once, verified, and from then on used without a network.",
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="list|fetch|remove")
    listing = actions.add_parser("list", help="every model, and the disk space of those here")
    fetching = actions.add_parser(
        "fetch",
        help="all that a workflow needs, environments too, and load each model once; or models "
        "by name",
    )
    fetching.add_argument("names", nargs="*", metavar="NAME")
    removing = actions.add_parser("remove", help="take models off this disk")
    removing.add_argument("names", nargs="+", metavar="NAME")
    for one in (listing, fetching, removing):
        add_settings_options(one, "--for" if one is fetching else "--workflow")
    return parser


def _list(around: Surroundings, store: Store) -> int:
    stages = planned_stages(around.values.settings, around.loaded.catalogue, stand_in=STAND_IN)
    used = {name for one in stages for name in named_models(around.values, one.spec)}
    held = inventory(store)
    print(f"  {'model':<32} {'kind':<13} {'languages':<10} {'size':>8}  here")
    for one in held:
        print(printable(_row(one, store, "*" if one.name in used else " ")))
    environments = bytes_below(around.work.environments)
    print(f"\n* wanted by the workflow {around.values.settings.workflow}")
    print(f"models        {_size(sum(one.bytes for one in held)):>9} in {around.work.models}")
    print(f"environments  {_size(environments):>9} in {around.work.environments}")
    return ExitCode.OK


def _row(one: Held, store: Store, mark: str) -> str:
    spec = store.specs.get(one.name)
    if spec is None:
        return f"{mark} {one.name:<32} {'':<13} {'':<10} {'':>8}  {_size(one.bytes)}, not known"
    languages = ", ".join(spec.languages) or "any"
    here = "yes" if one.ready else f"damaged, {_size(one.bytes)}" if one.bytes else "no"
    terms = f"; terms to accept: {spec.page}" if spec.gated and not one.ready else ""
    languages = languages if len(languages) <= 10 else f"{len(spec.languages)} of them"
    size = _size(spec.size)
    return f"{mark} {one.name:<32} {spec.kind:<13} {languages:<10} {size:>8}  {here}{terms}"


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def _remove(store: Store, names: Sequence[str]) -> int:
    for name in names:
        print(f"removed {name}: {_size(remove_model(store, name, say))} freed")
    return ExitCode.OK


def _fetch(around: Surroundings, store: Store, names: Sequence[str]) -> int:
    if names:
        for name in names:
            with show_bytes(f"model {name}") as progress:
                print(_told(ensure_model(store, name, progress, say)))
        return ExitCode.OK
    stages = planned_stages(around.values.settings, around.loaded.catalogue, stand_in=STAND_IN)
    for line in _terms(around, store, stages):
        say(line)
    errors = _Fetching(around, store).all(stages)
    for error in errors:
        print_failure(error, sys.stderr)
    workflow = around.values.settings.workflow
    if errors:
        print(f"{len(errors)} of what the workflow {workflow} needs could not be had.")
        return ExitCode.PREFLIGHT
    print(f"The workflow {workflow} has all it needs, and needs no network any more.")
    return ExitCode.OK


def _terms(around: Surroundings, store: Store, stages: Sequence[StageInstance]) -> list[str]:
    """What has to be done by a person first, before minutes are spent on the rest."""
    has_token = bool(store.token_file or os.environ.get(TOKEN_VARIABLE))
    lines = []
    for name in dict.fromkeys(n for one in stages for n in named_models(around.values, one.spec)):
        spec = store.specs.get(name)
        if spec is None or not spec.gated or find_ready_model(store, name):
            continue
        who = "" if has_token else f", and set {TOKEN_VARIABLE} or hub_token_file to your token"
        lines.append(f"model {name}: accept its terms once at {spec.page}{who}")
    return lines


class _Fetching:
    """Gets everything that can be had, and keeps what went wrong for the end."""

    def __init__(self, around: Surroundings, store: Store) -> None:
        self._around = around
        self._store = store
        self._errors: list[ErrorInfo] = []

    def all(self, stages: Sequence[StageInstance]) -> list[ErrorInfo]:
        catalogue = self._around.loaded.catalogue
        built = {name: self._build(name) for name in needed_environments(stages, catalogue)}
        for one in {one.spec.name: one for one in stages}.values():
            environment = built[one.spec.environment]
            models = self._get(one)
            if models and environment is not None:
                self._load(one, environment, models)
        return self._errors

    def _build(self, name: str) -> Environment | None:
        spec = self._around.loaded.catalogue.environments[name]
        try:
            environment = ensure_environment(
                spec, self._around.work.root, build_options(self._around.values), say
            )
        except Failure as failure:
            self._errors.append(failure.info)
            return None
        count = len(environment.packages)
        print(f"environment {name}: Python {environment.python_version}, {count} packages")
        return environment

    def _get(self, one: StageInstance) -> tuple[Model, ...]:
        try:
            check_named_models(self._around.values, [one], self._around.loaded.catalogue)
            _, models = choose_models(self._around.values, [one], self._store, say)
        except Failure as failure:
            self._errors.append(failure.info)
            return ()
        return models.get(one.spec.name, ())

    def _load(self, one: StageInstance, environment: Environment, models: Sequence[Model]) -> None:
        spec, values = one.spec, self._around.values
        wanted = Loading(
            spec.name,
            spec.folder,
            self._around.loaded.catalogue.environments[spec.environment],
            (),
            values.device,
            {name: values.stages[spec.name][name] for name, s in spec.settings.items() if s.load},
        )
        loaded = load_models(
            environment.python,
            wanted,
            models,
            threads=self._around.hardware.cores,
            sample=None,
            cwd=self._around.work.root,
        )
        if isinstance(loaded, str):
            names = ", ".join(model.name for model in models)
            failure = fail(
                "model_does_not_load",
                f"the stage {spec.name} could not load {names} on {values.device}: "
                + " | ".join(loaded.split("\n")),
                "Choose another device or compute_type; if the files are damaged: run-pipeline "
                f"models remove {models[0].name}, then fetch again.",
                error_class=ErrorClass.ENVIRONMENT,
            )
            self._errors.append(failure.info)
            return
        for model in models:
            print(_told(model))
        print(f"stage {spec.name}: {loaded.told()}")


def _told(model: Model) -> str:
    return printable(f"model {model.name}: {_size(bytes_below(model.path))} in {model.path}")
