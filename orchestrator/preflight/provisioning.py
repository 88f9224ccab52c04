"""Checks of what has been built and fetched: uv, environments, models, loading them."""

from __future__ import annotations

from orchestrator.catalogue import EnvironmentSpec
from orchestrator.contract.errors import Failure
from orchestrator.preflight.check import Check, failed
from orchestrator.preflight.context import Context, Loading, ModelWish
from orchestrator.preflight.loading import load_models
from orchestrator.provision import environments
from orchestrator.provision.build import check_health
from orchestrator.provision.choose import choose_model
from orchestrator.provision.progress import show_bytes
from orchestrator.provision.uv import find_uv

_BUILD = "Run verify_install.py --build with access to the network."


def check_uv() -> Check:
    """uv is there; without it pip does the same, slowly, and only for the running Python."""
    program = find_uv()
    if program is not None:
        return Check("uv", True, str(program), essential=False)
    return Check(
        "uv",
        None,
        "not found: environments are built with pip, which takes about ten times as long",
        "Install it: python -m pip install uv",
        essential=False,
    )


def check_environment(context: Context, spec: EnvironmentSpec) -> Check:
    """The environment is built, and imports everything it is for."""
    name = f"environment {spec.name}"
    try:
        environment = environments.find_ready(spec, context.work_dir, context.options)
        if environment is None and not context.build:
            return Check(name, False, "is not built yet", _BUILD)
        if environment is not None:
            try:
                check_health(spec, environment.python)
            except Failure:
                if not context.build:
                    raise
                environments.discard(environment, context.report)
        environment = environments.ensure_environment(
            spec, context.work_dir, context.options, context.report
        )
    except Failure as failure:
        return failed(name, failure.info)
    about = f"Python {environment.python_version}, {len(environment.packages)} packages"
    return Check(name, True, f"{about} in {environment.path}")


def check_model(context: Context, wish: ModelWish) -> Check:
    """The model's files are here and whole."""
    name = f"model {wish.name}"
    try:
        if context.build:
            with show_bytes(name) as progress:
                choose_model(
                    context.store,
                    wish.name,
                    was_default=wish.was_default,
                    language=wish.language,
                    progress=progress,
                    report=context.report,
                )
    except Failure as failure:
        return failed(name, failure.info)
    model = context.find_model(wish)
    if model is None:
        return Check(name, False, "is not on this machine", _BUILD)
    if wish.name in context.store.specs and model.name != wish.name:
        detail = f"is not on this machine; {model.name}, the largest that is, stands in for it"
        return Check(name, None, detail, _BUILD)
    return Check(name, True, f"{model.path}, from {model.source}")


def check_loading(context: Context, wanted: Loading) -> Check:
    """The stage's models really load in its environment; a recogniser hears a few seconds."""
    name = f"stage {wanted.stage}"
    environment = environments.find_ready(wanted.environment, context.work_dir, context.options)
    models = [context.find_model(wish) for wish in wanted.models]
    found = [model for model in models if model is not None]
    if environment is None or len(found) < len(models):
        return Check(name, False, "not tried: its environment or a model is missing", _BUILD)
    told = ", ".join(model.name for model in found)
    answer = load_models(
        environment.python,
        wanted,
        found,
        threads=context.hardware.cores,
        sample=context.sample,
        cwd=context.work_dir,
    )
    if isinstance(answer, str):
        return Check(
            name,
            False,
            f"{told} failed on {wanted.device}:\n{answer}",
            "Choose another device or compute_type in the settings; if the model's files are "
            f"damaged, delete {found[0].path} and run verify_install.py --build.",
        )
    about = f"{told} on {wanted.device}: {answer.told()}"
    if context.sample is not None and answer.text == "":
        return Check(
            name,
            False,
            f"{about}, and heard no words in {context.sample.name}",
            f"The model in {found[0].path} does not work: delete that folder and run "
            "verify_install.py --build, or choose another model.",
        )
    return Check(name, True, about)
