"""What pydantic found wrong, in plain words with the place where each value was written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from orchestrator.catalogue import Catalogue
from orchestrator.catalogue.suggest import did_you_mean
from orchestrator.contract.secrets import masked
from orchestrator.settings.convert import ADDRESS
from orchestrator.settings.layers import DEPTHS, Key, Leaf, Problem, dotted, overlap
from orchestrator.settings.schema import Settings

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_WORDS = {
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "string_type": "must be text (put it in quotes)",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list, like [a, b]",
    "model_type": "must be a section of keys",
    "dict_type": "must be a section of keys",
    "mapping_type": "must be a section of keys",
    "is_instance_of": "must be a path",
    "too_short": "must name at least one",
    "greater_than_equal": "must be at least {ge:g}",
    "greater_than": "must be more than {gt:g}",
    "less_than_equal": "must be at most {le:g}",
}
_SEE = "docs/settings.md lists the keys"
_LONGEST = 60


def explain(
    errors: list[ErrorDetails], winners: Mapping[Key, Leaf], catalogue: Catalogue
) -> list[Problem]:
    """One problem for each of pydantic's ``errors``."""
    problems = []
    for error in errors:
        location = tuple(part for part in error["loc"] if part != "[key]")
        problems.append(
            Problem(dotted(location), _place(location, winners), _message(error, catalogue))
        )
    return problems


def _place(location: tuple[str | int, ...], winners: Mapping[Key, Leaf]) -> str:
    """Where the value was written; of an unknown section, where its first key was."""
    return next((leaf.place for key, leaf in winners.items() if overlap(key, location)), "default")


def _message(error: ErrorDetails, catalogue: Catalogue) -> str:
    kind = error["type"]
    context: Mapping[str, Any] = error.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown_key(tuple(map(str, error["loc"])), catalogue)
    if kind == "value_error":
        return str(context["error"])
    if kind == "literal_error":
        allowed = re.findall(r"'([^']*)'", str(context["expected"]))
        hint = did_you_mean(str(error["input"]), allowed)
        message = f"must be {' or '.join(allowed)}, got {_shown(error['input'])}"
        return f"{message}; {hint}" if hint else message
    words = _WORDS.get(kind, error["msg"]).format(**context)
    if kind == "is_instance_of" and ADDRESS.match(str(error["input"])):
        words += ", not an address (mount the share, and name where it is mounted)"
    return f"{words}, got {_shown(error['input'])}"


def _unknown_key(location: Key, catalogue: Catalogue) -> str:
    *section, key = location
    if not section:
        known: Iterable[str] = Settings.model_fields
    elif section == ["stages"]:
        known = catalogue.stages
    else:
        known = catalogue.stages[section[1]].settings
    homes = [
        f"stages.{stage.name}.{key}" for stage in catalogue.stages.values() if key in stage.settings
    ]
    if homes and len(location) < DEPTHS["stages"]:
        return f"unknown key; did you mean {' or '.join(homes)}?"
    hint = did_you_mean(key, known)
    if not hint:
        hint = f"{'.'.join(section)} has: {', '.join(sorted(known))}" if section else _SEE
    return f"unknown key; {hint}"


def _shown(value: object) -> str:
    """``value`` as YAML would show it, short, with no control character and no password."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return str(value).lower()
    text = masked(repr(list(value)) if isinstance(value, tuple) else repr(value))
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
