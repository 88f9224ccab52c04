"""Checks of what has been built and fetched: uv, environments, models, one real recognition."""

from __future__ import annotations

import json
from pathlib import Path

from orchestrator.catalogue import EnvironmentSpec
from orchestrator.contract.errors import Failure
from orchestrator.preflight.check import Check, failed
from orchestrator.preflight.context import Context, ModelWish
from orchestrator.provision import environments, models
from orchestrator.provision.build import check_health
from orchestrator.provision.process import clean_environment, run
from orchestrator.provision.progress import show_bytes
from orchestrator.provision.uv import find_uv

_BUILD = "Run verify_install.py --build with access to the network."
_CHILD = Path(__file__).with_name("recognise_child.py")
_MARK = "batch-subtitles-heard:"


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
                models.choose_model(
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


def check_recognition(context: Context) -> Check:
    """The model really loads in its environment and recognises a few seconds of sound."""
    name = "recognition"
    wanted = context.inference
    if wanted is None:
        return Check(name, True, "this workflow recognises no speech", essential=False)
    environment = environments.find_ready(wanted.environment, context.work_dir, context.options)
    model = context.find_model(wanted.model)
    if environment is None or model is None:
        return Check(name, False, "not tried: its environment or model is missing", _BUILD)
    settings = {
        **wanted.settings,
        "model_path": str(model.path),
        "device": wanted.device,
        "threads": context.hardware.cores,
    }
    sample = "" if context.sample is None else str(context.sample)
    done = run(
        [
            *(str(environment.python), "-I", str(_CHILD)),
            *(str(wanted.stage_folder), json.dumps(settings), sample),
        ],
        environment=clean_environment(),
        cwd=context.work_dir,
    )
    answers = [line for line in done.lines if line.startswith(_MARK)]
    if not answers:
        return Check(
            name,
            False,
            f"{model.name} failed on {wanted.device}:\n{done.last_lines(6)}",
            "Choose another device or compute_type in the settings; if the model's files are "
            f"damaged, delete {model.path} and run verify_install.py --build.",
        )
    heard = json.loads(answers[-1].removeprefix(_MARK))
    times = f"loaded in {heard['load_seconds']:.1f} s, recognised in {heard['run_seconds']:.1f} s"
    about = f"{model.name} on {wanted.device} ({heard['compute_type']}): {times}"
    if context.sample is not None and not heard["text"]:
        return Check(
            name,
            False,
            f"{about}, and heard no words in {context.sample.name}",
            f"The model in {model.path} does not work: delete that folder and run "
            "verify_install.py --build, or choose another model.",
        )
    words = f", heard {heard['text']!r}" if heard["text"] else ""
    return Check(name, True, about + words)
