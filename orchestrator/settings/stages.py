"""The settings model with a section for every stage of a catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    create_model,
)

from orchestrator.catalogue import Catalogue, SettingSpec, StageSpec
from orchestrator.catalogue.model import AUTO
from orchestrator.catalogue.suggest import unknown
from orchestrator.settings.schema import Settings, StageValues, Texts, plain

_STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
_TYPES: Mapping[str, Any] = {
    "int": int,
    "float": float,
    "str": str,
    "bool": bool,
    "list[str]": Texts,
}


def settings_model(catalogue: Catalogue) -> type[Settings]:
    """:class:`Settings` whose ``stages`` take exactly what the stages of ``catalogue`` declare.

    The value of ``stages`` is a read-only mapping of stage name, setting name and value, with the
    defaults filled in.
    """
    fields: dict[str, Any] = {}
    for number, stage in enumerate(catalogue.stages.values()):
        section = _section(stage)
        fields[f"stage_{number}"] = (section, _named(stage.name, section))
    sections = create_model("Stages", __config__=_STRICT, **fields)
    values: Any = Annotated[sections, AfterValidator(_values), PlainSerializer(plain)]
    default = Field(default_factory=lambda: _values(sections()))
    return create_model("Settings", __base__=Settings, stages=(values, default))


def _section(stage: StageSpec) -> type[BaseModel]:
    fields: dict[str, Any] = {
        f"value_{spec.name}": (_type(spec), _named(spec.name, lambda spec=spec: spec.default))
        for spec in stage.settings.values()
    }
    return create_model(f"Stage_{stage.name}", __config__=_STRICT, **fields)


def _named(name: str, default: Any) -> Any:
    """A field known by its alias alone, as ``name`` may be a word that pydantic uses itself."""
    return Field(alias=name, default_factory=default)


def _type(spec: SettingSpec) -> Any:
    rules: list[Any] = []
    if spec.minimum is not None:
        rules.append(Field(ge=spec.minimum))
    if spec.maximum is not None:
        rules.append(Field(le=spec.maximum))
    if spec.choices:
        rules.append(AfterValidator(lambda value: _chosen(spec, value)))
    rules.append(WrapValidator(lambda value, handler: _special(spec, value, handler)))
    made: Any = _TYPES[spec.type]
    for rule in rules:
        made = Annotated[made, rule]
    return made


def _chosen(spec: SettingSpec, value: Any) -> Any:
    for item in value if isinstance(value, tuple) else (value,):
        if item not in spec.choices:
            raise ValueError(unknown(str(item), map(str, spec.choices), "value"))
    return value


def _special(spec: SettingSpec, value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    """``auto`` and "not set" pass where the declaration allows them."""
    if (spec.auto and value == AUTO) or (spec.default is None and value is None):
        return value
    return handler(value)


def _values(sections: BaseModel) -> StageValues:
    return MappingProxyType(
        {
            stage: MappingProxyType(_by_alias(section))
            for stage, section in _by_alias(sections).items()
        }
    )


def _by_alias(model: BaseModel) -> dict[str, Any]:
    fields = type(model).model_fields
    return {str(field.alias): getattr(model, name) for name, field in fields.items()}
