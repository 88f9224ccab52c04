"""All checks in the order in which a failure of one explains those after it."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.hardware import Gpu
from orchestrator.preflight import places, provisioning
from orchestrator.preflight.check import Check
from orchestrator.preflight.context import Context

OLDEST_DRIVER = 525
"""The first NVIDIA driver for CUDA 12, which the libraries of the asr environment are made for."""


def checks(context: Context) -> Iterator[Check]:
    """Each check as soon as it is done: some take seconds, or minutes with ``build``."""
    yield check_processor(context)
    yield check_gpu(context)
    yield places.check_work_dir(context)
    yield places.check_file_system(context)
    yield places.check_disk_space(context)
    yield provisioning.check_uv()
    for spec in context.environments:
        yield provisioning.check_environment(context, spec)
    for wish in context.models:
        yield provisioning.check_model(context, wish)
    for loading in context.loadings:
        yield provisioning.check_loading(context, loading)
    yield places.check_input(context)
    yield places.check_output(context)


def run_checks(context: Context) -> list[Check]:
    """All of :func:`checks`."""
    return list(checks(context))


def check_processor(context: Context) -> Check:
    """What there is to work with; never fails."""
    machine = context.hardware
    detail = f"{machine.cpu_name}, {machine.cores} cores, {machine.threads} threads"
    return Check("processor", True, f"{detail}, {machine.ram_bytes / 1e9:.1f} GB", essential=False)


def check_gpu(context: Context) -> Check:
    """The device that the settings ask for is there, and its driver is new enough."""
    gpus = context.hardware.gpus
    cuda = [gpu for gpu in gpus if gpu.kind == "cuda"]
    if context.device.startswith("cuda") and not cuda:
        fix = "Install NVIDIA's driver, or set device to cpu or auto."
        return Check("GPU", False, f"device is {context.device}, and no NVIDIA GPU was found", fix)
    if not gpus:
        return Check("GPU", True, "none: the processor is used", essential=False)
    old = [gpu for gpu in cuda if _major(gpu) < OLDEST_DRIVER]
    detail = "; ".join(_describe(gpu) for gpu in gpus)
    if old:
        fix = f"Update NVIDIA's driver to version {OLDEST_DRIVER} or later, or set device to cpu."
        wanted = context.device.startswith("cuda")
        return Check("GPU", False if wanted else None, f"{detail}: the driver is too old", fix)
    if not cuda:
        return Check(
            "GPU", True, f"{detail}: speech recognition uses the processor", essential=False
        )
    return Check("GPU", True, detail, essential=False)


def _describe(gpu: Gpu) -> str:
    driver = f", driver {gpu.driver}" if gpu.driver else ""
    return f"{gpu.name} ({gpu.kind}, {gpu.memory_bytes / 1e9:.1f} GB{driver})"


def _major(gpu: Gpu) -> int:
    """The driver's major version; one that cannot be read counts as new enough."""
    first = gpu.driver.split(".")[0]
    return int(first) if first.isdigit() else OLDEST_DRIVER
