"""Defaults from the hardware: which model, batch size, number format and device, and why.

The table is the project's own, after what fits: large-v3 in float16 with a batch of 16 takes
somewhat under 10 GB, medium with 8 under 6 GB. A GB is 10**9 bytes, so that a card sold as
"10 GB" counts as one. CTranslate2, which runs the ``asr`` stage, knows CUDA and the CPU only: on
Apple and AMD GPUs that stage runs on the CPU. Apple's unified memory and vector units carry a
larger model there than other CPUs do, hence its own row.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from orchestrator.catalogue import Catalogue, SettingSpec, StageSpec
from orchestrator.catalogue.model import AUTO
from orchestrator.contract.errors import ErrorClass, fail
from orchestrator.settings.schema import Settings
from orchestrator.settings.workflow import each_value

if TYPE_CHECKING:
    from orchestrator.hardware import Gpu, Hardware

_GB = 10**9
_LARGE_GPU = 10 * _GB
_MEDIUM_GPU = 6 * _GB
_LARGE_APPLE = 32 * _GB
_CPU_BATCH = 4
"""Pieces at once on a CPU: more only needs more memory there."""

RECOGNITION = "asr"
"""The role of the stages that the table is for, whatever their engine."""

_NO_FLOAT16 = re.compile(r"GTX (9|10)\d\d\b|Quadro [KMP]|Tesla [KMP]|TITAN X", re.IGNORECASE)
"""GPUs before Volta (compute capability below 7.0), for which CTranslate2 refuses float16."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A value chosen for the dotted ``key`` and the ``reason``.

    ``was_default`` is false where the user named the value: such a one is never replaced.
    """

    key: str
    value: str | int
    reason: str
    was_default: bool


@dataclass(frozen=True, slots=True)
class ResolvedSettings:
    """Settings with nothing left to choose.

    ``device`` is ``cpu``, ``cuda`` or ``cuda:N``, and ``gpu`` the one meant by it. ``stages`` holds
    every setting of every stage of the catalogue.
    """

    settings: Settings
    device: str
    gpu: Gpu | None
    stages: Mapping[str, Mapping[str, Any]]
    choices: tuple[Choice, ...]

    def with_choice(self, choice: Choice) -> ResolvedSettings:
        """These settings with a stage's value replaced, as for a default model out of reach."""
        _, stage, name = choice.key.split(".")
        values = MappingProxyType({**self.stages[stage], name: choice.value})
        kept = tuple(other for other in self.choices if other.key != choice.key)
        return replace(
            self,
            stages=MappingProxyType({**self.stages, stage: values}),
            choices=(*kept, choice),
        )

    def used_by(self, stages: Collection[str]) -> ResolvedSettings:
        """These settings with the choices that concern these stages."""
        keys = tuple(f"stages.{name}." for name in stages)
        kept = (one for one in self.choices if one.key == "device" or one.key.startswith(keys))
        return replace(self, choices=tuple(kept))

    def to_json(self) -> dict[str, Any]:
        """All values by key, nested as in ``config.yaml``, for a job's record."""
        data = self.settings.model_dump(mode="json")
        data["device"] = self.device
        data["stages"] = {
            stage: {name: _plain(value) for name, value in values.items()}
            for stage, values in self.stages.items()
        }
        return data


@dataclass(frozen=True, slots=True)
class StageSettings:
    """A stage's values: those that are part of its key, and those that only change how it runs."""

    in_key: dict[str, Any]
    other: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Row:
    model: str
    batch_size: int
    compute_type: str
    reason: str


def resolved(settings: Settings, hardware: Hardware, catalogue: Catalogue) -> ResolvedSettings:
    """Fill what is ``auto`` from ``hardware``: ``device``, and what stages leave to it.

    An ``auto`` that the tables here do not know stays for the stage to decide.

    Raises:
        Failure: ``no_such_gpu``, where ``device`` names one that is not there.
    """
    device, gpu, reason = _device(settings.device, hardware)
    choices = [Choice("device", device, reason, settings.device == AUTO)]
    row = _row(gpu, hardware)
    stages: dict[str, Mapping[str, Any]] = {}
    for spec in catalogue.stages.values():
        values = _values(spec, settings, catalogue)
        for name, (value, why) in _chosen(spec, row, gpu, device).items():
            was_default = values[name] == AUTO
            if was_default:
                values[name] = value
            why = why if was_default else "asked for in the settings"
            choices.append(Choice(f"stages.{spec.name}.{name}", values[name], why, was_default))
        stages[spec.name] = MappingProxyType(values)
    choices.sort(key=lambda choice: choice.key)
    return ResolvedSettings(settings, device, gpu, MappingProxyType(stages), tuple(choices))


def stage_settings(spec: StageSpec, settings: ResolvedSettings) -> StageSettings:
    """The values of the stage ``spec``, parted by whether they change its result."""
    values = {name: _plain(value) for name, value in settings.stages[spec.name].items()}
    in_key = {name: value for name, value in values.items() if spec.settings[name].in_key}
    other = {name: value for name, value in values.items() if not spec.settings[name].in_key}
    return StageSettings(in_key, other)


def _values(spec: StageSpec, settings: Settings, catalogue: Catalogue) -> dict[str, Any]:
    given = settings.stages.get(spec.name, {})
    values = {name: given.get(name, setting.default) for name, setting in spec.settings.items()}
    usual = catalogue.stages.get(spec.part, spec)
    for name, setting in spec.settings.items():
        other = usual.settings.get(name)
        if other is not None and values[name] == setting.default and _alike(setting, other):
            values[name] = settings.stages.get(usual.name, {}).get(name, values[name])
    if spec.for_each is not None:
        values[spec.for_each] = each_value(spec, settings)
    return values


def _alike(one: SettingSpec, other: SettingSpec) -> bool:
    """Whether a value of one of two engines' settings means the same to the other.

    What is set for a role, as by ``--model``, then holds for whichever engine does the work.
    """
    rules = ("type", "default", "choices", "minimum", "maximum", "auto")
    return all(getattr(one, rule) == getattr(other, rule) for rule in rules)


def _chosen(
    spec: StageSpec, row: _Row, gpu: Gpu | None, device: str
) -> Mapping[str, tuple[str | int, str]]:
    """What this machine means for the settings of a stage that may be ``auto``, and why."""
    automatic = [name for name, setting in spec.settings.items() if setting.auto]
    if spec.part == RECOGNITION:
        known: dict[str, tuple[str | int, str]] = {
            "model": (row.model, row.reason),
            "batch_size": (row.batch_size, row.reason),
            "compute_type": (row.compute_type, row.reason),
        }
    elif gpu is None:
        why = "this stage runs on the CPU"
        known = {"batch_size": (_CPU_BATCH, why), "compute_type": ("float32", why)}
    else:
        why = f"{gpu.name} has {_gigabytes(gpu.memory_bytes)} of memory"
        half = "float32" if _NO_FLOAT16.search(gpu.name) else "float16"
        known = {"batch_size": (_gpu_batch(gpu), why), "compute_type": (half, why)}
    known["device"] = (device, "as for the other stages")
    return {name: known[name] for name in automatic if _fits(spec.settings[name], known.get(name))}


def _fits(setting: SettingSpec, chosen: tuple[str | int, str] | None) -> bool:
    """Whether the stage could take that value; if not, ``auto`` is for the stage to decide."""
    return chosen is not None and (not setting.choices or chosen[0] in setting.choices)


def _gpu_batch(gpu: Gpu) -> int:
    """Pieces at once for the other stages: their models are smaller than the recogniser's."""
    if gpu.memory_bytes >= _LARGE_GPU:
        return 32
    return 16 if gpu.memory_bytes >= _MEDIUM_GPU else 8


def _device(wanted: str, hardware: Hardware) -> tuple[str, Gpu | None, str]:
    cuda = [gpu for gpu in hardware.gpus if gpu.kind == "cuda"]
    if wanted == "cpu":
        return "cpu", None, "asked for in the settings"
    if wanted == AUTO:
        if not cuda:
            return "cpu", None, _why_cpu(hardware)
        best = max(cuda, key=lambda gpu: (gpu.memory_bytes, -gpu.index))
        return _cuda(best), best, f"{best.name} is the CUDA GPU with the most memory"
    index = int(wanted.partition(":")[2] or 0)
    for gpu in cuda:
        if gpu.index == index:
            return _cuda(gpu), gpu, "asked for in the settings"
    found = ", ".join(f"{_cuda(gpu)} ({gpu.name})" for gpu in cuda) or "no CUDA GPU"
    raise fail(
        "no_such_gpu",
        f"device is {wanted}, and this machine has {found}",
        "Set device to auto or cpu, or install the GPU's driver.",
        error_class=ErrorClass.ENVIRONMENT,
    )


def _cuda(gpu: Gpu) -> str:
    return f"cuda:{gpu.index}" if gpu.index else "cuda"


def _why_cpu(hardware: Hardware) -> str:
    if hardware.gpus:
        return f"speech recognition cannot use {hardware.gpus[0].name}: it runs on CUDA or the CPU"
    return "this machine has no GPU"


def _row(gpu: Gpu | None, hardware: Hardware) -> _Row:
    if gpu is not None:
        return _gpu_row(gpu)
    if any(other.kind == "mps" for other in hardware.gpus):
        large = hardware.ram_bytes >= _LARGE_APPLE
        reason = f"Apple silicon with {_gigabytes(hardware.ram_bytes)} of memory"
        return _Row("large-v3" if large else "medium", 8, "float32", reason)
    return _Row("base", 1, "int8", "speech recognition runs on the CPU")


def _gpu_row(gpu: Gpu) -> _Row:
    reason = f"{gpu.name} has {_gigabytes(gpu.memory_bytes)} of memory"
    compute_type = "float16"
    if _NO_FLOAT16.search(gpu.name):
        compute_type, reason = "int8", f"{reason} and no float16"
    if gpu.memory_bytes >= _LARGE_GPU:
        return _Row("large-v3", 16, compute_type, reason)
    if gpu.memory_bytes >= _MEDIUM_GPU:
        return _Row("medium", 8, compute_type, reason)
    return _Row("base", 4, compute_type, reason)


def _gigabytes(size: int) -> str:
    return f"{size / _GB:.1f} GB"


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
