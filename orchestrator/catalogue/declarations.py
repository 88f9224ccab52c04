"""``stage.json`` and ``environment.json`` as specs."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from orchestrator.catalogue.model import (
    AUTO,
    COLLECTS,
    MEDIA,
    EnvironmentSpec,
    Limits,
    OutputSpec,
    Resources,
    SettingSpec,
    StageSpec,
)
from orchestrator.catalogue.reader import Problems, Reader, read_object
from orchestrator.catalogue.suggest import unknown

STAGE_FILE = "stage.json"
ENVIRONMENT_FILE = "environment.json"
REQUIREMENTS_FILE = "requirements.in"

_TYPES: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (int, float),
    "str": (str,),
    "bool": (bool,),
    "list[str]": (list,),
}
_ARTEFACT = re.compile(r"[a-z][a-z0-9_]*(\.\*)?")
_FACTS = ("language", "clip")
_ONE_BOUND = r"(==|!=|<=|>=|<|>|~=)\d+(\.\d+)*(\.\*)?"
_PYTHON = re.compile(rf"{_ONE_BOUND}(\s*,\s*{_ONE_BOUND})*")


def read_stage(folder: Path, problems: Problems) -> StageSpec | None:
    """The stage in ``folder``; ``None``, with problems added, when it is broken."""
    file = folder / STAGE_FILE
    before = len(problems.lines)
    data = read_object(file, problems)
    if data is None:
        return None
    reader = Reader(data, file, problems)
    settings = reader.each("settings", _setting, required=False)
    resources = reader.inner("resources")
    limits = reader.inner("limits")
    stage = StageSpec(
        name=reader.folder_name("name"),
        version=reader.whole("version", minimum=1),
        title=reader.text("title", folder.name),
        folder=folder,
        environment=reader.folder_name("environment"),
        inputs=reader.names("inputs"),
        outputs=MappingProxyType(reader.each("outputs", _output, required=True)),
        settings=MappingProxyType(settings),
        model_setting=reader.name_if_any("model_setting"),
        uses=reader.names("uses", required=False),
        resources=Resources(
            cpu_threads=resources.whole("cpu_threads", Resources().cpu_threads, minimum=1),
            ram_mb=resources.whole("ram_mb", Resources().ram_mb),
            vram_mb=resources.whole("vram_mb", Resources().vram_mb),
        ),
        limits=Limits(
            stall_seconds=_seconds(limits, "stall_seconds", Limits().stall_seconds),
            grace_seconds=_seconds(limits, "grace_seconds", Limits().grace_seconds),
        ),
        optional_inputs=reader.names("optional_inputs", required=False),
        role=reader.folder_name("role", folder.name),
        engine=reader.folder_name("engine", "") or None,
        for_each=reader.name_if_any("for_each"),
        needs_model=reader.flag("needs_model", False),
    )
    resources.done()
    limits.done()
    _check_stage(stage, reader)
    reader.done()
    return stage if len(problems.lines) == before else None


def _check_stage(stage: StageSpec, reader: Reader) -> None:
    if stage.name and stage.name != stage.folder.name:
        reader.problem("name", f"must be the folder's name, {stage.folder.name!r}")
    if not (stage.folder / "stage.py").is_file():
        reader.problem("", f"{stage.folder} has no stage.py: add it, with its run function")
    if MEDIA in stage.outputs:
        reader.problem(f"outputs.{MEDIA}", "is the source file's name: choose another")
    files = [output.file for output in stage.outputs.values()]
    for file in sorted({file for file in files if files.count(file) > 1}):
        reader.problem("outputs", f"two outputs have the same file, {file!r}")
    for fact in stage.uses:
        if fact not in _FACTS:
            reader.problem("uses", unknown(fact, _FACTS, "fact of a job"))
    if stage.role not in (stage.name, stage.folder.name) and stage.engine is None:
        reader.problem("engine", f"is missing: add what sets it apart from other {stage.role!r}")
    _check_inputs(stage, reader)
    model = stage.model_setting
    if model is not None and model not in stage.settings:
        reader.problem("model_setting", unknown(model, stage.settings, "setting"))
    elif model is not None and stage.settings[model].type not in ("str", "list[str]"):
        reader.problem("model_setting", f"the setting {model!r} must be of type str or list[str]")
    if stage.needs_model and model is None:
        reader.problem("needs_model", "is only for a stage with a model_setting")
    if stage.for_each is not None:
        _check_for_each(stage, stage.for_each, reader)


def _check_inputs(stage: StageSpec, reader: Reader) -> None:
    for key, names in (("inputs", stage.inputs), ("optional_inputs", stage.optional_inputs)):
        for name in names:
            if not _ARTEFACT.fullmatch(name):
                reader.problem(key, f"must be names of artefacts, or like srt.*, got {name!r}")
            elif name.endswith(COLLECTS) and name.removesuffix(COLLECTS) in stage.outputs:
                reader.problem(key, f"{name!r} would collect the stage's own output")
    for name in stage.optional_inputs:
        if name in stage.inputs:
            reader.problem("optional_inputs", f"{name!r} is among the inputs already")


def _check_for_each(stage: StageSpec, name: str, reader: Reader) -> None:
    setting = stage.settings.get(name)
    if setting is None:
        reader.problem("for_each", unknown(name, stage.settings, "setting"))
        return
    if setting.type != "list[str]" or not name.endswith("s"):
        reader.problem("for_each", "must be a setting of type list[str] whose name ends with s")
        return
    one = stage.settings.get(name.removesuffix("s"))
    if one is None or one.type != "str" or one.default is not None:
        reader.problem(
            "for_each",
            f"wants a setting {name.removesuffix('s')!r} of type str with the default null: each "
            "instance finds its value there",
        )


def _output(name: str, reader: Reader) -> OutputSpec:
    output = OutputSpec(
        name,
        file=reader.file_name("file"),
        large=reader.flag("large", False),
        publish=reader.name_if_any("publish"),
        suffix=reader.folder_name("suffix", ""),
        optional=reader.flag("optional", False),
    )
    if output.suffix and output.publish is None:
        reader.problem("suffix", "is only for an output that is published")
    return output


def _setting(name: str, reader: Reader) -> SettingSpec:
    kind = reader.text("type")
    if kind and kind not in _TYPES:
        reader.problem("type", unknown(kind, _TYPES, "type"))
    minimum, maximum = reader.number("min"), reader.number("max")
    if kind not in ("int", "float") and (minimum is not None or maximum is not None):
        reader.problem("min" if maximum is None else "max", "is only for types int and float")
        minimum = maximum = None
    spec = SettingSpec(
        name=name,
        type=kind,
        default=None,
        choices=_choices(reader),
        minimum=minimum,
        maximum=maximum,
        in_key=reader.flag("in_key", True),
        load=reader.flag("load", False),
        auto=reader.flag("auto", False),
        help=reader.text("help", ""),
    )
    if not reader.has("default"):
        reader.problem("default", "is missing; add it (null where the setting may be left unset)")
    default = reader.value("default")
    wrong = _wrong_default(spec, default)
    if wrong:
        reader.problem("default", f"{wrong}, got {default!r}")
    return replace(spec, default=tuple(default) if isinstance(default, list) else default)


def _choices(reader: Reader) -> tuple[str | int | float, ...]:
    value = reader.value("choices")
    if value is None:
        return ()
    if isinstance(value, list) and value and all(isinstance(v, str | int | float) for v in value):
        return tuple(value)
    reader.problem("choices", f"must be a list of values, got {value!r}")
    return ()


def _wrong_default(spec: SettingSpec, value: Any) -> str:
    if value is None or spec.type not in _TYPES or (spec.auto and value == AUTO):
        return ""
    items = value if isinstance(value, list) else [value]
    if not _has_type(spec.type, value):
        return f"must be of type {spec.type}"
    if spec.choices and not all(item in spec.choices for item in items):
        return f"must be one of {', '.join(map(str, spec.choices))}"
    too_small = spec.minimum is not None and value < spec.minimum
    if too_small or (spec.maximum is not None and value > spec.maximum):
        return "must lie between min and max"
    return ""


def _has_type(kind: str, value: Any) -> bool:
    if isinstance(value, bool) or kind == "bool":
        return isinstance(value, bool) and kind == "bool"
    if isinstance(value, list):
        return kind == "list[str]" and all(isinstance(item, str) for item in value)
    return isinstance(value, _TYPES[kind])


def _seconds(reader: Reader, key: str, default: float) -> float:
    value = reader.number(key)
    if value is None:
        return default
    if value <= 0:
        reader.problem(key, f"must be more than 0 seconds, got {value!r}")
    return float(value)


def read_environment(folder: Path, problems: Problems) -> EnvironmentSpec | None:
    """The environment in ``folder``; ``None``, with problems added, when it is broken."""
    file = folder / ENVIRONMENT_FILE
    before = len(problems.lines)
    data = read_object(file, problems)
    if data is None:
        return None
    reader = Reader(data, file, problems)
    variants = reader.inner("variants")
    files = {kind: variants.file_name(kind) for kind in reader.section("variants")}
    environment = EnvironmentSpec(
        name=folder.name,
        folder=folder,
        imports=reader.names("imports"),
        python=reader.text("python", ">=3.11"),
        torch=reader.flag("torch", False),
        variants=MappingProxyType(files),
    )
    if not _PYTHON.fullmatch(environment.python):
        reader.problem("python", f'must be like ">=3.11,<3.14", got {environment.python!r}')
    if not (folder / REQUIREMENTS_FILE).is_file():
        reader.problem("", f"{folder} has no {REQUIREMENTS_FILE}: add it, one requirement a line")
    for kind, name in files.items():
        if name and not (folder / name).is_file():
            reader.problem(f"variants.{kind}", f"there is no file {name!r} in {folder}")
    reader.done()
    return environment if len(problems.lines) == before else None
